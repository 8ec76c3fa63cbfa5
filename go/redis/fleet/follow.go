package fleet

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// errGap means that an order has a number and is not in the ring yet.
var errGap = errors.New("fleet: an order is not there yet")

// pages is how many orders are fetched by one command.
const pages = 256

// grace is how long a missing order is waited for. Who gives one writes it within half of it,
// or gives it again (see Order): so nobody passes over an order that then appears.
func (m *Member) grace() time.Duration { return max(m.options.MaxStaleness/4, 20*time.Millisecond) }

// follow asks the server again and again, until the member is closed.
func (m *Member) follow() {
	defer m.done.Done()
	defer m.leave()
	failures := 0
	for m.ctx.Err() == nil {
		again, err := m.sync()
		pause := m.options.PollInterval
		switch {
		case errors.Is(err, errGap):
			pause = 2 * time.Millisecond
		case err != nil && m.ctx.Err() == nil:
			m.lag(err)
			failures++
			// At times of their own, or a server that returns would meet all at once.
			pause = min(m.options.PollInterval<<min(failures, 4), time.Second)
			pause = pause/2 + rand.N(pause/2+1)
		case again:
			pause = 0
			failures = 0
		default:
			failures = 0
		}
		m.pause(pause)
	}
}

// pause waits for a push, at most so long, and forgets everything when the time for that comes.
func (m *Member) pause(d time.Duration) {
	wait := time.NewTimer(d)
	defer wait.Stop()
	wake := m.wake
	if m.Lagging() {
		wake = nil // pushes come by another connection, and may outpace the pauses of a probe
	}
	for {
		deadline := time.NewTimer(m.untilDeadline())
		select {
		case <-m.ctx.Done():
		case <-wait.C:
		case <-wake:
		case <-deadline.C:
			m.Trusted()
			m.forgetAgain()
			continue
		}
		deadline.Stop()
		return
	}
}

// Lagging reports whether the last attempt to ask the server failed.
func (m *Member) Lagging() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lagging
}

// untilDeadline is the time until everything has to be forgotten.
func (m *Member) untilDeadline() time.Duration {
	if until := m.until.Load(); until != never {
		return max(time.Duration(until-m.now()), time.Millisecond)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return max(m.options.MaxStaleness-time.Duration(m.now()-m.forgotten), time.Millisecond)
}

// forgetAgain is Options.ForgetAgain.
func (m *Member) forgetAgain() {
	m.mu.Lock()
	defer m.mu.Unlock()
	due := m.now()-m.forgotten >= int64(m.options.MaxStaleness)
	if !m.isolated.Load() || !due {
		return
	}
	if m.options.ForgetAgain {
		m.options.Forget()
	}
	m.forgotten = m.now()
}

// sync asks the server once, and carries out what it learns. It reports whether it
// should be called again at once, to tell others how far it has come.
func (m *Member) sync() (again bool, err error) {
	m.counters.polls.Add(1)
	asked := m.now()
	p := &m.position
	// What was seen is told in the same exchange, and before the question: so whoever finds
	// that this member has told nothing knows that it can't go on without hearing of his order.
	replies, err := m.guard.probe(m.ctx,
		Command{"SET", m.keys.ack + m.id, strconv.FormatUint(p.number, 10), "PX", m.lifetime()},
		Command{"MGET", m.keys.epoch, m.keys.counter, m.keys.members, m.keys.place(p.number)})
	if err != nil {
		return false, err
	}
	if err := failure(replies); err != nil {
		return false, err
	}
	seen := replies[1].List
	if len(seen) != 4 {
		return false, errUnexpected
	}
	if seen[0].Kind != Text {
		return true, m.found()
	}
	if !strings.Contains(","+seen[2].Text+",", ","+m.id+",") {
		return true, m.enlist()
	}
	head, err := number(seen[1])
	if err != nil {
		return false, err
	}
	epoch, last := seen[0].Text, seen[3]
	if reborn, err := m.consider(epoch, head, last); reborn || err != nil {
		return true, err
	}
	moved, err := m.catchUp(head)
	if err != nil {
		return false, err
	}
	m.counters.position.Store(p.number)
	m.confirm(asked)
	if m.owed.some() {
		m.settle()
	}
	return moved, nil
}

// lifetime is for how long the server remembers what a member has told: longer than it may go
// on without asking. In milliseconds.
func (m *Member) lifetime() string {
	return strconv.FormatInt(2*m.options.MaxStaleness.Milliseconds(), 10)
}

// number is what a counter says; 0 if it isn't there.
func number(r Reply) (uint64, error) {
	if r.Kind == Nil {
		return 0, nil
	}
	n, err := strconv.ParseUint(r.Text, 10, 64)
	if r.Kind != Text || err != nil {
		return 0, errUnexpected
	}
	return n, nil
}

// found makes an epoch where there is none. Whoever is first wins.
func (m *Member) found() error {
	_, err := m.guard.probe(m.ctx, Command{"SET", m.keys.epoch, word(), "NX"})
	return err
}

// consider compares what the server says with what was known, and reports whether it
// has to be asked again because the epoch has been changed.
func (m *Member) consider(epoch string, head uint64, last Reply) (reborn bool, err error) {
	p := &m.position
	if m.isVoid(epoch) {
		return true, m.renew(m.ctx, epoch)
	}
	known := m.epoch.Load()
	if m.faults.NoEpoch && known != nil {
		return false, nil
	}
	if known == nil || *known != epoch {
		m.adopt(epoch, head, known != nil)
		return false, nil
	}
	e, ok := decode(last)
	another := ok && e.number == p.number && p.id != "" && e.id != p.id
	if head < p.number || another {
		// The server has lost what it had acknowledged. What it holds may be as old as that.
		m.counters.rewinds.Add(1)
		return true, m.renew(m.ctx, epoch)
	}
	return false, nil
}

// adopt begins in another epoch.
func (m *Member) adopt(epoch string, head uint64, forget bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch.Store(&epoch)
	m.position.number, m.position.id, m.position.gap = head, "", 0
	if forget {
		m.counters.epochs.Add(1)
		m.forget("the server's epoch is another")
	}
}

// renew changes the epoch, unless another has.
func (m *Member) renew(ctx context.Context, old string) error {
	same := func(r Reply) bool { return r.Kind == Text && r.Text == old }
	_, err := m.guard.when(ctx, m.keys.epoch, same, Command{"SET", m.keys.epoch, word()})
	return err
}

// catchUp carries out the orders up to head, and reports whether there were any.
func (m *Member) catchUp(head uint64) (moved bool, err error) {
	p := &m.position
	if head-p.number > RingSize-pages && head > p.number {
		m.skip(head, "more orders than the server keeps have passed")
		return true, nil
	}
	for p.number < head {
		n := min(head-p.number, pages)
		get := Command{"MGET"}
		for i := range n {
			get = append(get, m.keys.place(p.number+1+i))
		}
		replies, err := m.guard.probe(m.ctx, get)
		if err == nil {
			err = failure(replies)
		}
		if err != nil {
			return moved, err
		}
		for _, r := range replies[0].List {
			if err := m.carryOut(r, head); err != nil {
				return moved, err
			}
			moved = true
		}
	}
	return moved, nil
}

// carryOut carries out the next order.
func (m *Member) carryOut(r Reply, head uint64) error {
	p := &m.position
	e, ok := decode(r)
	switch {
	case ok && e.number == p.number+1:
		p.number, p.id, p.gap = e.number, e.id, 0
		m.counters.applied.Add(1)
		if e.giver != m.id && e.order != "" && !m.faults.NoApply {
			m.options.Apply([]byte(e.order))
		}
		return nil
	case ok && e.number > p.number+1:
		m.skip(head, "the server's ring of orders has gone round")
		return nil
	case p.gap == 0:
		p.gap = m.now()
		return errGap
	case m.now()-p.gap < int64(m.grace()):
		return errGap
	}
	m.skip(head, "an order was begun and never given")
	return nil
}

// skip passes over what can't be known.
func (m *Member) skip(head uint64, why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.position.number, m.position.id, m.position.gap = head, "", 0
	m.counters.gaps.Add(1)
	m.forget(why)
}

// listen waits for pushes, and wakes the follower.
func (m *Member) listen(server Server) {
	defer m.done.Done()
	for m.ctx.Err() == nil {
		err := server.Watch(m.ctx, m.keys.counter, func() {
			m.counters.pushes.Add(1)
			select {
			case m.wake <- struct{}{}:
			default:
			}
		})
		if m.ctx.Err() == nil && err != nil {
			m.counters.lostPushes.Add(1)
		}
		select {
		case <-m.ctx.Done():
		case <-time.After(m.options.PollInterval/2 + rand.N(m.options.PollInterval)):
		}
	}
}
