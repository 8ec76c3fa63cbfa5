// Command gateway is a caching gateway for REST and JSON APIs, with a larder
// cache in its own process.
//
// Without flags it serves a data set of its own and tells what to try. With
// -upstream it is a plain caching reverse proxy for that URL. With -config it
// does what the file says; SIGHUP reads the file again.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/larder-cache/larder/examples/gateway/internal/accesslog"
	"github.com/larder-cache/larder/examples/gateway/internal/config"
	"github.com/larder-cache/larder/examples/gateway/internal/gateway"
)

// ballast is memory that is never touched and so costs none, but counts for the
// garbage collector, which collects when the heap has doubled. The cache is not
// on the Go heap, and what is there, the requests in flight, comes to so few
// MiB that it would be collected dozens of times a second under load. With the
// ballast it is at most so much garbage, whatever the load, and not a multiple
// of the live heap as with a higher GOGC.
var ballast []byte

const ballastBytes = 32 << 20

func main() {
	if os.Getenv("GOGC") == "" {
		ballast = make([]byte, ballastBytes)
	}
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal the default is back: a second one ends the program
	// at once.
	context.AfterFunc(ctx, stop)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr, reload)
	runtime.KeepAlive(ballast)
	os.Exit(status)
}

// run is main with everything it touches as a parameter. It returns the exit
// status: 0 after a stop, even if what outlasted the grace was cut; 1 after a failure, 2
// for wrong flags.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, reload <-chan os.Signal) int {
	o, err := parseFlags(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "gateway:", err)
		return 2
	case o.version:
		fmt.Fprintln(stdout, version())
		return 0
	}
	c, err := o.load()
	if err != nil {
		fmt.Fprintln(stderr, "gateway:", err)
		return 1
	}
	if o.check {
		fmt.Fprintf(stdout, "the configuration is right: %d routes, %d upstreams\n",
			len(c.Routes), len(c.Upstreams))
		return 0
	}
	out := accesslog.NewWriter(stderr)
	defer out.Close()
	log := slog.New(newLogHandler(c, out))
	if err := serve(ctx, o, c, log, stdout, reload); err != nil {
		log.Error("stopped", "error", err)
		return 1
	}
	log.Info("stopped")
	return 0
}

func newLogHandler(c *config.Config, out io.Writer) slog.Handler {
	if c.Log.Format == "json" {
		return slog.NewJSONHandler(out, nil)
	}
	return slog.NewTextHandler(out, nil)
}

func serve(ctx context.Context, o *options, c *config.Config, log *slog.Logger, stdout io.Writer, reload <-chan os.Signal) (err error) {
	g, err := gateway.New(c, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	// Signals are heard until the servers have drained, so that a reload while
	// draining is not one more way to die.
	listening, done := context.WithCancel(context.Background())
	defer done()
	go o.reloadOn(listening, reload, g, log)
	return g.Serve(ctx, func(address string) { o.welcome(stdout, c, address) })
}

// reloadOn reads the configuration again at each signal.
func (o *options) reloadOn(ctx context.Context, signals <-chan os.Signal, g *gateway.Gateway, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
		}
		c, err := o.load()
		if err == nil {
			err = g.Reload(c)
		}
		if err != nil {
			log.Error("the configuration was not reloaded, the old one stays", "error", err)
		} else {
			log.Info("reloaded", "routes", len(c.Routes), "upstreams", len(c.Upstreams))
		}
	}
}
