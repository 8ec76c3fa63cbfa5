package measure

import (
	"runtime"
	"time"
)

// suspicious is the time from which an operation is checked for having lost the CPU.
const suspicious = 20 * time.Microsecond

// Timer counts how long single operations take. Where the kernel took the CPU away from the thread in the middle of one,
// it is counted apart: its time says nothing about what was measured. A Timer belongs to one goroutine, and locks it to
// its thread until Close.
type Timer struct {
	Histogram Histogram
	// Preempted is the number of long operations during which the thread lost the CPU, and PreemptedMax the longest.
	Preempted    uint64
	PreemptedMax time.Duration

	origin   time.Time
	from     time.Duration
	switches int64
}

// NewTimer makes a timer whose first operation begins now.
func NewTimer() *Timer {
	runtime.LockOSThread() // so that the thread's counter of preemptions is this goroutine's
	t := &Timer{origin: time.Now(), switches: Preemptions()}
	t.Start()
	return t
}

// Close unlocks the goroutine from its thread.
func (t *Timer) Close() { runtime.UnlockOSThread() }

// Start begins an operation.
func (t *Timer) Start() { t.from = time.Since(t.origin) }

// Stop ends the operation, and begins the next where operations follow one another without a Start between them.
func (t *Timer) Stop() {
	now := time.Since(t.origin)
	d := now - t.from
	t.from = now
	if d < suspicious {
		t.Histogram.Add(d)
		return
	}
	if n := Preemptions(); n != t.switches {
		// Perhaps between two operations, and not in this one: either way its time is doubtful.
		t.switches = n
		t.Preempted++
		t.PreemptedMax = max(t.PreemptedMax, d)
	} else {
		t.Histogram.Add(d)
	}
	t.Start() // reading the counter took a while
}

// Elapsed is the time since the timer was made.
func (t *Timer) Elapsed() time.Duration { return time.Since(t.origin) }
