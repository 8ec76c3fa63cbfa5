package fleet

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// State is what a process knows of its fleet.
type State uint8

const (
	// Isolated: the server has not been heard of for MaxStaleness, or never. What the
	// process held it has forgotten, and what it stores now it has to bound by itself.
	Isolated State = iota
	// Lagging: the last attempt to ask the server has failed. What the process holds is good
	// until MaxStaleness has passed since the last that succeeded.
	Lagging
	// Following: the process hears of every order.
	Following
)

func (s State) String() string {
	switch s {
	case Isolated:
		return "isolated"
	case Lagging:
		return "lagging"
	case Following:
		return "following"
	}
	return "unknown"
}

// never is a moment that doesn't come.
const never = math.MaxInt64

// Member is a process's part in a fleet. All methods may be called by any number of
// goroutines at once.
type Member struct {
	options Options
	keys    keys
	guard   breaker
	id      string
	base    time.Time // moments are nanoseconds since
	faults  Faults

	// until is the moment to which what is held may be trusted; never while isolated, when
	// nothing is held but what bounds itself.
	until    atomic.Int64
	isolated atomic.Bool
	epoch    atomic.Pointer[string] // as last seen; nil before the server has been asked

	mu        sync.Mutex // of changes of state, and what follows
	lagging   bool
	returned  int64    // the moment at which isolation ended last, or everything was forgotten
	forgotten int64    // the moment at which it was forgotten last
	voided    []string // epochs in which InvalidateAll was called here

	// position is what was carried out; of the follower's goroutine.
	position struct {
		number uint64
		id     string // of the order, "" if it has gone
		gap    int64  // since when the next order is missing; 0: it isn't
	}

	owed     owed
	counters counters

	wake   chan struct{}
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// Faults switch off what makes the protocol right, so that a test can show that its checker
// sees it. The zero value switches off nothing. It is not for use.
type Faults struct {
	NoDeadline bool // what is held is trusted for ever
	NoEpoch    bool // another epoch is not noticed
	NoApply    bool // orders are not carried out
}

// Join makes this process a member. It doesn't wait for the server: until it has been asked the
// member is Isolated. Close ends the membership. Errors wrap ErrInvalidOptions.
func Join(server Server, o Options) (*Member, error) { return JoinWith(server, o, Faults{}) }

// JoinWith is Join with faults, for tests.
func JoinWith(server Server, o Options, faults Faults) (*Member, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	m := &Member{
		options: o,
		keys:    keysOf(o.Name),
		id:      word(),
		base:    time.Now().Add(-time.Hour), // so that no moment is 0
		faults:  faults,
		wake:    make(chan struct{}, 1),
	}
	m.guard = breaker{server: server, timeout: o.Timeout, changed: m.breakerChanged}
	m.isolated.Store(true)
	m.until.Store(never)
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.done.Add(1)
	go m.follow()
	if !o.NoPush {
		m.done.Add(1)
		go m.listen(server)
	}
	return m, nil
}

// Close ends the membership, and returns when nothing of it runs any more. What the process
// holds it has to forget by itself. The server is not closed.
func (m *Member) Close() error {
	m.cancel()
	m.done.Wait()
	return nil
}

func (m *Member) now() int64 { return int64(time.Since(m.base)) }

// ID is a word that no other member has.
func (m *Member) ID() string { return m.id }

// Trusted is to be asked on each use of what is held, before it is looked up. If the time to
// trust it is over, everything is forgotten before it returns, and it reports false. It costs a
// look at the clock.
//
// Before, since what is found then was good at a moment of the call; afterwards another
// goroutine may have forgotten everything, and nobody could tell what was looked up earlier.
func (m *Member) Trusted() bool {
	until := m.until.Load()
	if until == never || m.now() < until || m.faults.NoDeadline {
		return true
	}
	m.isolate()
	return false
}

// Bound is for how long what the process obtains from now on may be kept, and false, while it
// is isolated; and true if it needs no bound, because orders are heard of. Ask it before it is
// obtained, and count from then.
func (m *Member) Bound() (time.Duration, bool) {
	if m.isolated.Load() && !m.faults.NoDeadline {
		return m.options.MaxStaleness, false
	}
	return 0, true
}

// State says what the member knows of the fleet.
func (m *Member) State() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.isolated.Load():
		return Isolated
	case m.lagging:
		return Lagging
	}
	return Following
}

// Available reports whether the server answers, as far as is known.
func (m *Member) Available() bool { return !m.guard.open.Load() }

// Settled reports whether the member follows, and has done so for a while without forgetting
// everything: before that, what it needs is probably needed by all at once.
func (m *Member) Settled(d time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.isolated.Load() && m.now()-m.returned > int64(d)
}

// isolate forgets everything, if the time is over.
func (m *Member) isolate() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if until := m.until.Load(); until == never || m.now() < until {
		return // another did it, or the server has been heard of
	}
	// In this order: a load that begins after Forget is bounded, one that began before stores
	// nothing.
	m.isolated.Store(true)
	m.forget("isolated")
	m.until.Store(never)
	m.counters.isolations.Add(1)
	m.log(slog.LevelError, "fleet: isolated, everything forgotten", "for", m.options.MaxStaleness)
}

// forget calls Options.Forget. The lock is held.
func (m *Member) forget(why string) {
	m.options.Forget()
	m.forgotten = m.now()
	m.returned = m.forgotten
	m.counters.forgotten.Add(1)
	m.log(slog.LevelWarn, "fleet: everything forgotten", "because", why)
}

// confirm is for when the server has been asked at the moment asked, and all orders up to then
// are carried out.
func (m *Member) confirm(asked int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.isolated.Load() {
		m.returned = m.now()
		m.log(slog.LevelInfo, "fleet: following", "orders", m.position.number)
	} else if m.lagging {
		m.log(slog.LevelInfo, "fleet: following again", "orders", m.position.number)
	}
	m.lagging = false
	m.until.Store(asked + int64(m.options.MaxStaleness))
	m.isolated.Store(false)
}

// lag is for when it could not be asked.
func (m *Member) lag(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counters.failedPolls.Add(1)
	if !m.lagging {
		m.lagging = true
		m.log(slog.LevelWarn, "fleet: the server can't be asked", "error", err)
	}
}

func (m *Member) breakerChanged(open bool, err error) {
	if open {
		m.log(slog.LevelError, "fleet: the server is given up for now", "error", err)
	} else {
		m.log(slog.LevelInfo, "fleet: the server answers again")
	}
}

func (m *Member) log(level slog.Level, message string, args ...any) {
	args = append(args, "fleet", m.options.Name, "member", m.id)
	m.options.Logger.Log(m.ctx, level, message, args...)
}
