package fleet

import "sync/atomic"

// Stats says what a member did since it joined, and how it stands.
type Stats struct {
	State     State
	Available bool   // the server answers: the breaker is closed
	Behind    int64  // nanoseconds since the server was asked last with success; -1: isolated
	Position  uint64 // orders that the fleet has given, as far as is known here

	Given     uint64 // orders of this member
	Applied   uint64 // orders carried out, its own included
	Owed      uint64 // orders that could not be given at once
	WaitedOut uint64 // orders that were seen by all only because MaxStaleness had passed

	Polls       uint64 // times that the server was asked
	FailedPolls uint64
	Pushes      uint64 // pushes that came
	LostPushes  uint64 // times that the connection for pushes was lost

	Forgotten  uint64 // times that everything was forgotten, whatever for
	Isolations uint64 // of these: the server had not been heard of for MaxStaleness
	Epochs     uint64 // of these: the epoch was another
	Gaps       uint64 // of these: orders could not be known any more
	Rewinds    uint64 // times that the server was found to have lost what it had acknowledged

	Exchanges       uint64 // with the server
	FailedExchanges uint64 // that failed or took longer than Options.Timeout
	BreakerOpened   uint64
}

type counters struct {
	given, applied, owed, waitedOut, polls, failedPolls, pushes, lostPushes, forgotten,
	isolations, epochs, gaps, rewinds atomic.Uint64

	position atomic.Uint64
}

// Stats returns the counters.
func (m *Member) Stats() Stats {
	c := &m.counters
	s := Stats{
		State: m.State(), Available: m.Available(), Behind: -1, Position: c.position.Load(),
		Given: c.given.Load(), Applied: c.applied.Load(), Owed: c.owed.Load(),
		WaitedOut: c.waitedOut.Load(), Polls: c.polls.Load(), FailedPolls: c.failedPolls.Load(),
		Pushes: c.pushes.Load(), LostPushes: c.lostPushes.Load(), Forgotten: c.forgotten.Load(),
		Isolations: c.isolations.Load(), Epochs: c.epochs.Load(), Gaps: c.gaps.Load(),
		Rewinds: c.rewinds.Load(), Exchanges: m.guard.exchanges.Load(),
		FailedExchanges: m.guard.failed.Load(), BreakerOpened: m.guard.opened.Load(),
	}
	if until := m.until.Load(); until != never {
		s.Behind = m.now() - (until - int64(m.options.MaxStaleness))
	}
	return s
}
