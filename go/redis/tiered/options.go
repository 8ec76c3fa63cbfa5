package tiered

import (
	"errors"
	"fmt"
	"time"

	"github.com/larder-cache/larder/go/redis/fleet"
)

// Options say how a Cache is to be. Fleet.Name is required.
type Options struct {
	// Fleet says how the process takes part: above all the Name and MaxStaleness. Apply, Forget
	// and ForgetAgain are the cache's own and must be left empty.
	Fleet fleet.Options

	// DefaultTTL is the time to live of values stored without one. 0: an hour.
	DefaultTTL time.Duration

	// AbsentTTL is that of the news that there is no value. 0: ten seconds.
	AbsentTTL time.Duration

	// MaxTTL bounds all times to live, and is that of values that are not to expire: what is
	// on the server has to go some day. 0: a day.
	MaxTTL time.Duration

	// NearTTL bounds how long a value stays in the process before the server is asked for it
	// again. 0: as long as it lives.
	NearTTL time.Duration

	// TTLJitter shortens each time to live on the server by a random part of it, up to this
	// share. 0: not at all; 1 is the most.
	TTLJitter float64

	// StaleIfError is the last part of a stale value's life in which it is returned only if
	// the loader fails. It should be that of the near cache's options too. 0: there is none.
	StaleIfError time.Duration

	// Lease is for how long the right to load a key is good. Who has it renews it while his
	// loader runs, so this is the time that the fleet waits for one who has died. 0: three
	// seconds. The least is 50 ms.
	Lease time.Duration

	// MaxLoads bounds how many loaders run in this process at once while it can't know whether
	// the others load the same: without the server, and for Recovery after it has returned or
	// lost its data. 0: 32.
	MaxLoads int

	// Recovery is how long after a return loads are bounded. 0: five seconds.
	Recovery time.Duration

	// MaxValue bounds the bytes of a value on the server, after compression. Larger ones are
	// kept in the process only, and each process loads them for itself. 0: 4 MiB.
	MaxValue int

	// Strict lets Set, Delete, InvalidateTag and InvalidateAll return when no process serves
	// what was before, MaxStaleness later at most. It costs them about a millisecond.
	Strict bool

	// Compressor compresses values of CompressFrom bytes and more, 1 KiB if that is 0. All of
	// the fleet must have the same. nil: none.
	Compressor   Compressor
	CompressFrom int

	// Faults is for tests of what finds faults. The zero value has none.
	Faults Faults
}

// Faults switch off what makes the cache right, so that a test can show that its checker sees it.
type Faults struct {
	Fleet   fleet.Faults
	NoFence bool // who has lost his lease stores all the same
	NoTags  bool // tags are not compared on reading from the server
	NoTrust bool // what is in the process is used without asking whether it may
	KeepOwn bool // an own write leaves the old value in the process
}

// ErrInvalidOptions is wrapped by an error that says which option is out of its range.
var ErrInvalidOptions = errors.New("tiered: invalid options")

const (
	minLease        = 50 * time.Millisecond
	compressFrom    = 1 << 10
	defaultMaxValue = 4 << 20
)

func (o *Options) complete() error {
	for _, d := range []struct {
		name  string
		value *time.Duration
		or    time.Duration
	}{
		{"DefaultTTL", &o.DefaultTTL, time.Hour},
		{"AbsentTTL", &o.AbsentTTL, 10 * time.Second},
		{"MaxTTL", &o.MaxTTL, 24 * time.Hour},
		{"NearTTL", &o.NearTTL, 0},
		{"StaleIfError", &o.StaleIfError, 0},
		{"Lease", &o.Lease, 3 * time.Second},
		{"Recovery", &o.Recovery, 5 * time.Second},
	} {
		if *d.value < 0 {
			return invalid("%s is %v, and must not be negative", d.name, *d.value)
		}
		if *d.value == 0 {
			*d.value = d.or
		}
	}
	for _, n := range []struct {
		name  string
		value *int
		or    int
	}{
		{"MaxLoads", &o.MaxLoads, 32},
		{"MaxValue", &o.MaxValue, defaultMaxValue},
		{"CompressFrom", &o.CompressFrom, compressFrom},
	} {
		if *n.value < 0 {
			return invalid("%s is %d, and must not be negative", n.name, *n.value)
		}
		if *n.value == 0 {
			*n.value = n.or
		}
	}
	switch {
	case o.Lease < minLease:
		return invalid("Lease is %v, and must be at least %v", o.Lease, minLease)
	case !(o.TTLJitter >= 0 && o.TTLJitter <= 1):
		return invalid("TTLJitter is %v, and must be from 0 to 1", o.TTLJitter)
	case o.Fleet.Apply != nil || o.Fleet.Forget != nil || o.Fleet.ForgetAgain:
		return invalid("Fleet.Apply, Forget and ForgetAgain are the cache's own")
	}
	return nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalidOptions}, args...)...)
}
