package config

import "time"

// Upstream is a pool of servers that give the same answers.
type Upstream struct {
	// Targets are base URLs, http or https. "embedded:NAME" starts a replica of
	// the embedded service.
	Targets []string `yaml:"targets"`
	// Balance is how a target is chosen: round_robin, least_requests (of two
	// chosen by chance, the one with fewer in flight) or hash (by the request
	// target, so that each upstream sees the same URLs again).
	Balance string `yaml:"balance"`
	// PreserveHost passes the client's Host on, instead of the target's.
	PreserveHost bool `yaml:"preserve_host"`
	// Required makes /readyz fail while no target is well.
	Required bool `yaml:"required"`
	// MaxConnections bounds the connections to each target; 0: no bound.
	MaxConnections int      `yaml:"max_connections"`
	Timeout        Timeout  `yaml:"timeout"`
	Health         *Health  `yaml:"health"`
	Retry          *Retry   `yaml:"retry"`
	Breaker        *Breaker `yaml:"breaker"`
}

// Timeout bounds the parts of one attempt; 0: no bound. What a file leaves out has its
// default.
type Timeout struct {
	// Connect is for the TCP and the TLS handshake.
	Connect time.Duration `yaml:"connect"`
	// Header is from the request's end to the response's header.
	Header time.Duration `yaml:"header"`
	// Body is for how long a response's body may bring nothing, and for how long a target
	// may take nothing of what it is sent. It does not count for event streams and upgraded
	// connections, which have Stream instead, for what they bring.
	Body   time.Duration `yaml:"body"`
	Stream time.Duration `yaml:"stream"`
	// Queue is the wait for a connection when MaxConnections are in use; then the
	// answer is 503.
	Queue time.Duration `yaml:"queue"`
	// Idle is for how long a connection is kept without a request. Best below what
	// the targets have, so that they don't close one that a request is just taking.
	Idle time.Duration `yaml:"idle"`
	// Age is from when on a connection gets no more requests, so that traffic follows
	// names that move in the DNS.
	Age time.Duration `yaml:"age"`
	// Ping is the silence of an HTTP/2 connection after which it is pinged, and how
	// long the answer may take: half of Header at most.
	Ping time.Duration `yaml:"ping"`
	// Continue is how long a request with Expect: 100-continue waits for the target's
	// word before its content is sent anyway.
	Continue time.Duration `yaml:"continue"`

	stated bool // it is from a file, where 0 means 0
}

// Health asks every target regularly whether it is well. A target that isn't
// gets no requests while another one is.
type Health struct {
	Path     string        `yaml:"path"`
	Interval time.Duration `yaml:"interval"`
	Timeout  time.Duration `yaml:"timeout"`
	// Rise and Fall are how many answers in a row change a target's state.
	Rise int `yaml:"rise"`
	Fall int `yaml:"fall"`
}

// Retry repeats requests that are safe to repeat (GET, HEAD and OPTIONS without
// a body) on another target.
type Retry struct {
	// Attempts counts the first one.
	Attempts int `yaml:"attempts"`
	// Statuses are tried again, besides connections that fail.
	Statuses []int `yaml:"statuses"`
	// Backoff is the pause before the second attempt; it doubles from one to
	// the next, and a random part of up to a half is taken off.
	Backoff time.Duration `yaml:"backoff"`
	// Budget is the share of requests that may be repeated over the last
	// seconds, so that retries never multiply an outage: 0.2 means one in five.
	Budget float64 `yaml:"budget"`
	// MinPerSecond may always be repeated, however few requests there are.
	MinPerSecond float64 `yaml:"min_per_second"`
}

// Breaker stops asking a target that keeps failing, for a while.
//
// It is per target, not per route, and one bad page does not open it: in a row of failures
// every page (method and path) counts once. A page that fails by itself as often in a row is
// closed alone, for all routes that lead to it.
type Breaker struct {
	// Failures in a row open the breaker. A failure is a connection that fails, a
	// timeout, or one of Statuses.
	Failures int `yaml:"failures"`
	// Statuses speak for a target that does not work: by default 502, 503 and 504. A 500
	// is a page's, 501 and 505 are the request's.
	Statuses []int `yaml:"statuses"`
	// Open is for how long nothing is sent to the target then.
	Open time.Duration `yaml:"open"`
	// Probes are let through after that, and all must succeed.
	Probes int `yaml:"probes"`
}

func (u *Upstream) setDefaults() {
	if u.Balance == "" {
		u.Balance = "round_robin"
	}
	if u.Timeout == (Timeout{}) {
		u.Timeout = defaultTimeout
	}
	if h := u.Health; h != nil {
		defaultTo(&h.Path, "/healthz")
		defaultTo(&h.Interval, 5*time.Second)
		defaultTo(&h.Timeout, time.Second)
		defaultTo(&h.Rise, 1)
		defaultTo(&h.Fall, 3)
	}
	if r := u.Retry; r != nil {
		defaultTo(&r.Attempts, 2)
		if r.Statuses == nil {
			r.Statuses = []int{502, 503, 504}
		}
		defaultTo(&r.Backoff, 25*time.Millisecond)
		defaultTo(&r.Budget, 0.2)
		defaultTo(&r.MinPerSecond, 3)
	}
	if b := u.Breaker; b != nil {
		defaultTo(&b.Failures, 5)
		if b.Statuses == nil {
			b.Statuses = []int{502, 503, 504}
		}
		defaultTo(&b.Open, 5*time.Second)
		defaultTo(&b.Probes, 1)
	}
}

func defaultTo[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
