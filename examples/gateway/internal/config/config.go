// Package config is the gateway's configuration: what a YAML file may say, what
// it means when it says nothing, and what is wrong with it.
package config

import (
	"time"
)

// Config is the whole configuration. Every field has a default, so that the
// empty file is valid but for its missing routes.
type Config struct {
	// Listen is the address that clients connect to.
	Listen string `yaml:"listen"`
	// TrustedProxies are the addresses and prefixes, such as 10.0.0.0/8, of proxies in
	// front. What their X-Forwarded-For, -Host and -Proto say of the client is believed;
	// from anybody else these fields are dropped.
	TrustedProxies []string `yaml:"trusted_proxies"`
	Admin          Admin    `yaml:"admin"`
	// Pprof is the address of net/http/pprof. Empty: not served.
	Pprof    string   `yaml:"pprof"`
	Log      Log      `yaml:"log"`
	Server   Server   `yaml:"server"`
	Shutdown Shutdown `yaml:"shutdown"`
	// RequestID is the header field that carries a request's id: taken from the
	// client if it is plausible, else made, passed to the upstream and
	// answered. Empty: none.
	RequestID string               `yaml:"request_id"`
	Tracing   Tracing              `yaml:"tracing"`
	Cache     Cache                `yaml:"cache"`
	Fleet     Fleet                `yaml:"fleet"`
	Upstreams map[string]*Upstream `yaml:"upstreams"`
	Routes    []*Route             `yaml:"routes"`
	Demo      Demo                 `yaml:"demo"`
}

// Admin says where /metrics and the dashboard are served, and to whom.
type Admin struct {
	// Listen is an address of their own. Empty: they are on the main address.
	// There, without a token, they answer clients on this machine only that did not
	// come through a proxy.
	Listen string `yaml:"listen"`
	// Path is where the dashboard is.
	Path string `yaml:"path"`
	// Token, or else the first line of TokenFile, must be shown by whoever asks for
	// them, on either address: as a bearer token, or as the password of Basic
	// credentials, which browsers ask for. With it they answer clients elsewhere, too.
	Token     string `yaml:"token"`
	TokenFile string `yaml:"token_file"`
	// Hosts are names that admin.listen answers to without a token, besides addresses
	// and localhost: a browser can be led to ask for any other name here (DNS rebinding).
	Hosts []string `yaml:"hosts"`

	secret string // Token, or what TokenFile holds
}

// Log configures what is written to standard error.
type Log struct {
	// Format is text or json.
	Format string `yaml:"format"`
	// Access is which requests are logged: all, sampled or off.
	Access string `yaml:"access"`
	// AccessPerSecond bounds the lines of sampled access logs. The requests
	// beyond are counted in one line a second.
	AccessPerSecond int `yaml:"access_per_second"`
}

// Server bounds what one client connection may take.
type Server struct {
	ReadHeaderTimeout time.Duration `yaml:"read_header_timeout"`
	IdleTimeout       time.Duration `yaml:"idle_timeout"`
	MaxHeaderBytes    Size          `yaml:"max_header_bytes"`
	// MaxConnections bounds the connections open at once; 0: no bound.
	MaxConnections int `yaml:"max_connections"`
	// BodyTimeout is for how long a client may send nothing of a request's content that
	// it has announced; SendTimeout for how long it may take nothing of an answer. Then
	// its connection is cut. 0: no bound.
	BodyTimeout time.Duration `yaml:"body_timeout"`
	SendTimeout time.Duration `yaml:"send_timeout"`
	// MaxRequestBytes bounds a request's content; 0: no bound.
	MaxRequestBytes Size `yaml:"max_request_bytes"`
	// UnderscoreHeaders passes on request fields with an underscore in their name.
	UnderscoreHeaders bool `yaml:"underscore_headers"`
}

// Shutdown says how the gateway leaves.
type Shutdown struct {
	// Delay is for how long /healthz already fails while requests are still
	// accepted, so that balancers in front stop sending them.
	Delay time.Duration `yaml:"delay"`
	// Timeout is for how long requests in flight, streams and WebSockets included, are
	// waited for. What is left then is cut, and told in the log.
	Timeout time.Duration `yaml:"timeout"`
}

// Tracing configures OpenTelemetry traces.
type Tracing struct {
	// Endpoint is an OTLP/HTTP collector's URL. Empty: the environment variable
	// OTEL_EXPORTER_OTLP_ENDPOINT; without either nothing is traced.
	Endpoint string `yaml:"endpoint"`
	// Sample is the share of requests traced, from 0 to 1. Only trusted proxies
	// decide otherwise, by the traceparent they send.
	Sample float64 `yaml:"sample"`
	// Service is the service's name in traces.
	Service string `yaml:"service"`
}

// Cache configures the one cache of the process.
type Cache struct {
	MaxBytes             Size          `yaml:"max_bytes"`
	DefaultTTL           time.Duration `yaml:"default_ttl"`
	MaxBodyBytes         Size          `yaml:"max_body_bytes"`
	StaleWhileRevalidate time.Duration `yaml:"stale_while_revalidate"`
	StaleIfError         time.Duration `yaml:"stale_if_error"`
	// IgnoreRequestDirectives keeps clients from forcing work on upstreams
	// through Cache-Control: no-cache and the like.
	IgnoreRequestDirectives bool `yaml:"ignore_request_directives"`
	// StoreSetCookie stores responses with Set-Cookie whose freshness is explicit, as
	// RFC 9111, 7.3 permits, and so gives one client's cookie to others.
	StoreSetCookie bool `yaml:"store_set_cookie"`
	// IgnoreQuery are parameters that make no difference to any answer, such as utm_*:
	// the cache leaves them out of its keys. Upstreams see them.
	IgnoreQuery []string `yaml:"ignore_query"`
}

// Demo configures the traffic that the gateway sends to itself.
type Demo struct {
	// Load is how many requests a second. 0: none.
	Load int `yaml:"load"`
	// Paths are the request targets; {ident}, {hub}, {country} and {word} stand
	// for ones of the embedded data set, some far more popular than others.
	Paths []string `yaml:"paths"`
}

// Default returns the configuration that a file changes.
func Default() *Config {
	return &Config{
		Listen: "127.0.0.1:8080",
		Admin:  Admin{Path: "/_larder/"},
		Log:    Log{Format: "text", Access: "sampled", AccessPerSecond: 100},
		Server: Server{
			ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
			MaxHeaderBytes: 64 << 10,
			BodyTimeout:    time.Minute, SendTimeout: time.Minute, MaxRequestBytes: 64 << 20,
		},
		Shutdown: Shutdown{Timeout: 15 * time.Second},
		Tracing:  Tracing{Sample: 0.1, Service: "larder-gateway"},
		Cache:    Cache{MaxBytes: 256 << 20, MaxBodyBytes: 8 << 20},
		Fleet:    Fleet{Name: "larder-gateway", MaxStaleness: 30 * time.Second},
	}
}

// Plain returns the configuration of a caching reverse proxy for one URL that
// adds nothing else.
func Plain(upstream string) *Config {
	c := Default()
	c.Upstreams = map[string]*Upstream{"upstream": {Targets: []string{upstream}}}
	c.Routes = []*Route{{Name: "upstream", Path: "/", Upstream: "upstream"}}
	return c
}
