package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

// Serve listens on the configured addresses and answers until ctx ends; then
// it drains: it tells balancers to go elsewhere, stops accepting, lets the
// requests in flight finish, and returns. ready, if not nil, is called with the
// main address once it accepts connections.
func (g *Gateway) Serve(ctx context.Context, ready func(address string)) error {
	c := g.state.Load().config
	main, err := listen(c.Listen, c.Server.MaxConnections)
	if err != nil {
		return err
	}
	servers := []*running{{server: newServer(c, g, g.log), listener: main}}
	for _, extra := range []struct {
		address string
		handler http.Handler
	}{
		{c.Admin.Listen, g.adminHandler(c)},
		{c.Pprof, pprofHandler()},
	} {
		if extra.address == "" {
			continue
		}
		l, err := listen(extra.address, 0)
		if err != nil {
			closeAll(servers)
			return err
		}
		servers = append(servers, &running{server: newServer(c, extra.handler, g.log), listener: l})
	}

	background, stop := context.WithCancel(context.Background())
	var tasks sync.WaitGroup
	tasks.Go(func() { g.Background(background) })
	defer tasks.Wait()
	defer stop()

	failed := make(chan error, len(servers))
	for _, s := range servers {
		go func() { failed <- s.server.Serve(s.listener) }()
	}
	if ready != nil {
		ready(main.Addr().String())
	}
	select {
	case err := <-failed:
		closeAll(servers)
		return err
	case <-ctx.Done():
		return g.drain(servers, c)
	}
}

// running is a server with what it listens on.
type running struct {
	server   *http.Server
	listener net.Listener
}

func closeAll(servers []*running) {
	for _, s := range servers {
		_ = s.listener.Close()
		_ = s.server.Close()
	}
}

func listen(address string, maxConnections int) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err == nil && maxConnections > 0 {
		l = netutil.LimitListener(l, maxConnections)
	}
	return l, err
}

func newServer(c *config.Config, h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: c.Server.ReadHeaderTimeout,
		IdleTimeout:       c.Server.IdleTimeout,
		MaxHeaderBytes:    int(c.Server.MaxHeaderBytes),
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// drain ends all servers, the main one first, since the others are how one
// watches it.
func (g *Gateway) drain(servers []*running, c *config.Config) error {
	g.draining.Store(true)
	g.dashboard.Close()
	if c.Shutdown.Delay > 0 {
		g.log.Info("draining", "delay", c.Shutdown.Delay)
		time.Sleep(c.Shutdown.Delay)
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.Shutdown.Timeout)
	defer cancel()
	err := servers[0].server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("requests were still in flight after %v", c.Shutdown.Timeout)
	}
	closeAll(servers)
	return err
}

// pprofHandler serves net/http/pprof, which registers itself only where nobody
// should see it.
func pprofHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}
