package main

import (
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"strings"
	"time"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

//go:embed demo.yaml
var demo []byte

// options are the flags.
type options struct {
	config   string
	upstream string
	check    bool                   // validate the configuration, and end
	version  bool                   // say which version this is, and end
	override []func(*config.Config) // one for each other flag that was given
}

func parseFlags(args []string, out io.Writer) (*options, error) {
	o := &options{}
	flags := flag.NewFlagSet("gateway", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		fmt.Fprint(out, "usage: gateway [flags]\n\nA caching gateway for REST and JSON APIs. Flags win over the configuration file.\n\n")
		flags.PrintDefaults()
	}
	flags.StringVar(&o.config, "config", "", "YAML configuration `file`; SIGHUP reads it again")
	flags.StringVar(&o.upstream, "upstream", "",
		"plain caching reverse proxy for this base `URL` (default: an embedded demo service)")
	flags.BoolVar(&o.check, "check", false,
		"validate the configuration and end: status 0 if it is right, else 1, and all that is wrong is told")
	flags.BoolVar(&o.version, "version", false, "print the version and end")
	d := config.Default()
	listen := flags.String("listen", d.Listen, "`address` to listen on")
	maxBytes := d.Cache.MaxBytes
	flags.Var(&maxBytes, "max-bytes", "cache budget, a `size` such as 256MiB")
	ttl := flags.Duration("default-ttl", 0,
		"lifetime of responses that may be stored but state none, such as 30s")
	access := flags.String("access-log", d.Log.Access,
		"`which` requests are logged: all, sampled (up to 100 a second) or off")
	format := flags.String("log-format", d.Log.Format, "`text` or json")
	admin := flags.String("admin", "", "`address` of their own for /metrics and the dashboard")
	pprof := flags.String("pprof", "", "`address` of net/http/pprof (default: not served)")
	load := flags.Int("load", 0, "`requests` a second that the demo sends to itself over loopback (default 40 in the demo, else 0)")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.config != "" && o.upstream != "" {
		return nil, errors.New("-config and -upstream exclude each other: name the upstream in the file")
	}
	apply := map[string]func(*config.Config){
		"listen":      func(c *config.Config) { c.Listen = *listen },
		"max-bytes":   func(c *config.Config) { c.Cache.MaxBytes = maxBytes },
		"default-ttl": func(c *config.Config) { c.Cache.DefaultTTL = *ttl },
		"access-log":  func(c *config.Config) { c.Log.Access = *access },
		"log-format":  func(c *config.Config) { c.Log.Format = *format },
		"admin":       func(c *config.Config) { c.Admin.Listen = *admin },
		"pprof":       func(c *config.Config) { c.Pprof = *pprof },
		"load":        func(c *config.Config) { c.Demo.Load = *load },
	}
	flags.Visit(func(f *flag.Flag) {
		if set := apply[f.Name]; set != nil {
			o.override = append(o.override, set)
		}
	})
	return o, nil
}

// load returns the configuration that the flags ask for.
func (o *options) load() (*config.Config, error) {
	c, err := o.base()
	if err != nil {
		return nil, err
	}
	for _, set := range o.override {
		set(c)
	}
	return c, c.Finish()
}

func (o *options) base() (*config.Config, error) {
	switch {
	case o.config != "":
		return config.Load(o.config)
	case o.upstream != "":
		return config.Plain(o.upstream), nil
	default:
		return config.Parse(demo)
	}
}

// version tells what this program was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "gateway (unknown version)"
	}
	text := "gateway " + info.Main.Version
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			text += " " + s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			text += " (modified)"
		}
	}
	return text + " " + info.GoVersion
}

// welcome tells where the gateway is and what to try.
func (o *options) welcome(out io.Writer, c *config.Config, address string) {
	base := "http://" + address
	dashboard := base
	if c.Admin.Listen != "" {
		dashboard = "http://" + c.Admin.Listen
	} else if host, port, err := net.SplitHostPort(address); err == nil &&
		net.ParseIP(host).IsUnspecified() {
		base = "http://" + net.JoinHostPort("127.0.0.1", port)
		dashboard = base
	}
	var text strings.Builder
	fmt.Fprintf(&text, "\nlarder gateway at %s with a cache of %v", base, c.Cache.MaxBytes)
	if c.Cache.DefaultTTL > 0 {
		fmt.Fprintf(&text, " (default TTL %v)", c.Cache.DefaultTTL.Round(time.Millisecond))
	}
	fmt.Fprintf(&text, "\ndashboard         %s%s\nmetrics           %s/metrics\n",
		dashboard, c.Admin.Path, dashboard)
	if o.config == "" && o.upstream == "" {
		fmt.Fprintf(&text, `
Try each of these twice, and see a miss, then a hit, here and in Cache-Status:

  curl -i %[1]s/airports/CDG
  curl -i '%[1]s/search?q=paris'
  curl -i '%[1]s/airports?country=FR&limit=3'

Ctrl-C stops it.

`, base)
	}
	_, _ = io.WriteString(out, text.String()) // in one piece, whoever else writes there
}
