package config

import "time"

// Route says what happens to the requests that match it. It names either an
// upstream or an aggregate.
type Route struct {
	// Name is the route's label in logs, metrics and the dashboard. Empty: its
	// path.
	Name string `yaml:"name"`
	// Host limits the route to one host; empty: any.
	Host string `yaml:"host"`
	// Path is a pattern of net/http.ServeMux without method: /a matches itself,
	// /a/ everything below, {name} one segment, {name...} the rest. The most
	// specific pattern wins.
	Path string `yaml:"path"`
	// Methods limits the route; nil: any. GET includes HEAD.
	Methods []string `yaml:"methods"`
	// StripPrefix is taken off the path before it goes upstream.
	StripPrefix string `yaml:"strip_prefix"`

	Upstream  string     `yaml:"upstream"`
	Aggregate *Aggregate `yaml:"aggregate"`

	// Cache false leaves the cache out.
	Cache *bool `yaml:"cache"`
	// TTL is how long responses are fresh that say nothing about it; with
	// override, whatever they say, unless they are private or no-store.
	TTL         time.Duration `yaml:"ttl"`
	TTLOverride bool          `yaml:"ttl_override"`
	// IgnoreQuery are parameters that make no difference to this route's answers, besides
	// the cache's.
	IgnoreQuery []string `yaml:"ignore_query"`
	// Timeout bounds the whole request; 0: no bound. Event streams and upgraded connections
	// are bounded until they begin, and go on; other answers that take longer are cut, with a
	// line in the log.
	Timeout time.Duration `yaml:"timeout"`
	// Fields lets clients select parts of JSON answers by ?fields=a,b.c.
	Fields bool `yaml:"fields"`
	// Compress lists encodings by preference: zstd, br, gzip.
	Compress []string `yaml:"compress"`
	CORS     *CORS    `yaml:"cors"`
	// RateLimit is for all clients together, ClientRateLimit for each one.
	RateLimit       *RateLimit       `yaml:"rate_limit"`
	ClientRateLimit *ClientRateLimit `yaml:"client_rate_limit"`
}

// Cached tells whether the route's responses go through the cache.
func (r *Route) Cached() bool { return r.Cache == nil || *r.Cache }

// Aggregate makes one JSON object of several answers, fetched in parallel.
type Aggregate struct {
	Parts []*Part `yaml:"parts"`
}

// Part is one of the answers.
type Part struct {
	// Name is its key in the merged object. "." merges its own keys instead.
	Name     string `yaml:"name"`
	Upstream string `yaml:"upstream"`
	// Path is what is asked for, perhaps with a query. {x} stands for the wildcard
	// of that name in the route's path.
	Path string `yaml:"path"`
	// Query passes the client's query on as well.
	Query bool `yaml:"query"`
	// Optional parts that fail are null, and the field Larder-Missing-Parts names them;
	// others fail the whole, with 504 if they were too late.
	Optional bool          `yaml:"optional"`
	Timeout  time.Duration `yaml:"timeout"`
}

// CORS is what other origins' pages may do.
type CORS struct {
	Origins     []string      `yaml:"origins"`
	Methods     []string      `yaml:"methods"`
	Headers     []string      `yaml:"headers"`
	Expose      []string      `yaml:"expose"`
	Credentials bool          `yaml:"credentials"`
	MaxAge      time.Duration `yaml:"max_age"`
}

// RateLimit is a token bucket. Requests beyond it are answered 429.
type RateLimit struct {
	PerSecond float64 `yaml:"per_second"`
	Burst     int     `yaml:"burst"`
}

// ClientRateLimit is a sliding window for each client.
type ClientRateLimit struct {
	Requests int           `yaml:"requests"`
	Per      time.Duration `yaml:"per"`
	// Key is ip, or the name of a header field that identifies the client.
	Key string `yaml:"key"`
}

func (r *Route) setDefaults() {
	defaultTo(&r.Name, r.Host+r.Path)
	if c := r.CORS; c != nil && c.Methods == nil {
		c.Methods = []string{"GET", "HEAD", "POST"}
	}
	if l := r.RateLimit; l != nil {
		defaultTo(&l.Burst, max(1, int(l.PerSecond)))
	}
	if l := r.ClientRateLimit; l != nil {
		defaultTo(&l.Per, time.Second)
		defaultTo(&l.Key, "ip")
	}
	if a := r.Aggregate; a != nil {
		for _, p := range a.Parts {
			if p != nil {
				defaultTo(&p.Timeout, 5*time.Second)
			}
		}
	}
}
