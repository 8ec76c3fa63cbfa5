package fleet

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Options say how a process takes part in a fleet. Name is required.
type Options struct {
	// Name begins all keys of the fleet on the server: fleets of different names don't know of
	// each other. It is not empty, has at most 64 bytes, and no braces.
	Name string

	// MaxStaleness is how long a process may trust what it holds without having asked
	// the server, and so the longest time that an order may take to be effective
	// everywhere, whatever happens. It must be the same in the whole fleet. 0: 30 seconds. The
	// least is 100 ms.
	MaxStaleness time.Duration

	// PollInterval is how often the server is asked when it pushes nothing: the
	// time that an order takes if pushes are lost. 0: a tenth of MaxStaleness, at most a second.
	PollInterval time.Duration

	// Timeout bounds each exchange with the server: a slower one has failed. 0: 250 ms.
	Timeout time.Duration

	// Apply carries out an order that another process has given. It is called in the order of
	// the log, by one goroutine, and when it returns the order is effective here. It must not
	// wait for the server.
	Apply func(order []byte)

	// Forget forgets everything that this process holds. It may be called by any goroutine, and
	// must not wait for the server.
	Forget func()

	// ForgetAgain lets Forget be called again, every MaxStaleness, while this process is
	// isolated: for a holder that can't bound the life of what it stores meanwhile.
	ForgetAgain bool

	// NoPush lets the process ask every PollInterval only, without a connection for pushes.
	NoPush bool

	// Logger gets a line for each change of state. nil: slog.Default().
	Logger *slog.Logger
}

// ErrInvalidOptions is wrapped by an error that says which option is out of its range.
var ErrInvalidOptions = errors.New("fleet: invalid options")

const (
	defaultMaxStaleness = 30 * time.Second
	minStaleness        = 100 * time.Millisecond
	maxPoll             = time.Second
	defaultTimeout      = 250 * time.Millisecond
	maxName             = 64
)

// complete fills in what was left open, and finds what can't be.
func (o *Options) complete() error {
	invalid := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrInvalidOptions}, args...)...)
	}
	if o.MaxStaleness == 0 {
		o.MaxStaleness = defaultMaxStaleness
	}
	if o.PollInterval == 0 {
		o.PollInterval = min(o.MaxStaleness/10, maxPoll)
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Apply == nil {
		o.Apply = func([]byte) {}
	}
	if o.Forget == nil {
		o.Forget = func() {}
	}
	switch {
	case o.Name == "" || len(o.Name) > maxName || strings.ContainsAny(o.Name, "{}"):
		return invalid("Name is %q, and must have 1 to %d bytes, and no braces", o.Name, maxName)
	case o.MaxStaleness < minStaleness:
		return invalid("MaxStaleness is %v, and must be at least %v", o.MaxStaleness, minStaleness)
	case o.PollInterval < 0 || o.PollInterval > o.MaxStaleness/2:
		return invalid("PollInterval is %v, and must be positive and at most half of MaxStaleness, %v",
			o.PollInterval, o.MaxStaleness)
	case o.Timeout < 0:
		return invalid("Timeout is %v, and must not be negative", o.Timeout)
	}
	return nil
}
