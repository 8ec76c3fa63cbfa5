package gateway

import (
	"bytes"
	"context"
	"errors"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"sync"
	"time"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

// Serve listens on the configured addresses and answers until ctx ends; then
// it drains: it tells balancers to go elsewhere, stops accepting, lets the
// requests in flight finish, WebSockets and other streams included, cuts what is
// left after the configured time, and returns. ready, if not nil, is called with the
// main address once it accepts connections.
func (g *Gateway) Serve(ctx context.Context, ready func(address string)) error {
	c := g.state.Load().config
	main, err := listen(c.Listen, c)
	if err != nil {
		return err
	}
	servers := []*running{{server: newServer(c, g, g.log), listener: main}}
	for _, extra := range []struct {
		address string
		handler http.Handler
	}{
		{c.Admin.Listen, http.HandlerFunc(g.serveAdmin)},
		{c.Pprof, http.HandlerFunc(g.servePprof)},
	} {
		if extra.address == "" {
			continue
		}
		l, err := listen(extra.address, nil)
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
		return g.drain(servers, g.state.Load().config.Shutdown)
	}
}

// running is a server with what it listens on.
type running struct {
	server   *http.Server
	listener *watchedListener
}

func closeAll(servers []*running) {
	for _, s := range servers {
		_ = s.listener.Close()
		_ = s.server.Close()
	}
}

// listen listens on an address; c bounds its connections, if it is the main one.
func listen(address string, c *config.Config) (*watchedListener, error) {
	l, err := net.Listen("tcp", address)
	switch {
	case err != nil:
		return nil, err
	case c == nil:
		return watch(l, 0, 0), nil
	}
	return watch(l, c.Server.SendTimeout, c.Server.MaxConnections), nil
}

// serveAdmin answers at the admin pages' own address.
func (g *Gateway) serveAdmin(w http.ResponseWriter, r *http.Request) {
	g.state.Load().admin.ServeHTTP(w, r)
}

func newServer(c *config.Config, h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: c.Server.ReadHeaderTimeout,
		IdleTimeout:       c.Server.IdleTimeout,
		MaxHeaderBytes:    int(c.Server.MaxHeaderBytes),
		ConnState:         noteTaken,
		ErrorLog:          stdlog.New(serverErrors{log}, "", 0),
	}
}

// servePprof answers at pprof's address, to those who may see the admin pages.
func (g *Gateway) servePprof(w http.ResponseWriter, r *http.Request) {
	admit(ownGate(g.state.Load().config), pprofPages).ServeHTTP(w, r)
}

// noteTaken tells a connection that a handler has taken it over.
func noteTaken(c net.Conn, state http.ConnState) {
	if w, ok := c.(*watchedConn); ok && state == http.StateHijacked {
		w.takeOver()
	}
}

// serverErrors is where net/http reports errors: handlers that panic, which somebody must
// see, and clients that speak no HTTP or leave, which would hide it.
type serverErrors struct{ log *slog.Logger }

func (e serverErrors) Write(line []byte) (int, error) {
	level := slog.LevelDebug
	if bytes.HasPrefix(line, []byte("http: panic serving")) {
		level = slog.LevelError
	}
	e.log.Log(context.Background(), level, strings.TrimSpace(string(line)))
	return len(line), nil
}

// drain ends all servers, the main one first, since the others are how one
// watches it.
func (g *Gateway) drain(servers []*running, c config.Shutdown) error {
	g.draining.Store(true)
	g.dashboard.Close()
	if c.Delay > 0 {
		g.log.Info("draining", "delay", c.Delay)
		time.Sleep(c.Delay)
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	err := servers[0].server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		g.log.Warn("requests were still in flight, and are cut", "after", c.Timeout)
		err = nil
	}
	if left := servers[0].listener.taken.wait(ctx.Done()); left > 0 {
		g.log.Warn("upgraded connections were still open, and are cut", "after", c.Timeout,
			"connections", left)
	}
	closeAll(servers)
	return err
}

// pprofPages are net/http/pprof, which registers itself only where nobody should see it.
var pprofPages = pprofHandler()

func pprofHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}
