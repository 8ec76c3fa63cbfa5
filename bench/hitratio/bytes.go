package main

import (
	"fmt"
	"math"
	"runtime"

	"github.com/larder-cache/larder/bench/hitratio/reference"
	"github.com/larder-cache/larder/bench/hitratio/trace"
	"github.com/larder-cache/larder/bench/internal/child"
	"github.com/larder-cache/larder/bench/internal/measure"
	"github.com/larder-cache/larder/bench/internal/peers"
)

// Traces with sizes are replayed by bytes, each cache in a process of its own so that its resident memory can be seen.
// Two results: with the budget given to the cache as its limit; and with the limit chosen such that the resident memory
// grows by the budget, which is what the cache costs the machine. Resident memory is the most that there was while the trace
// was replayed, or what there is after it, or what is left of that when the garbage has been collected and given back
// (which is kinder than any service is to caches on the Go heap).

const bytesChild = "hitratio-bytes"

type bytesRequest struct {
	File   string
	Trace  trace.Options
	Peer   string
	Policy string
	Bytes  int64
	// FixedSizes: an object keeps the size that it had first. Else a value of another size is out of date, and a miss.
	FixedSizes bool
	// Measure is when the resident memory is read: one of residentMeasures.
	Measure string
}

// residentMeasures are when resident memory can be read: see the head of the file.
var residentMeasures = []string{"peak", "after", "settled"}

type bytesReply struct {
	Hits     int
	HitBytes int64
	Requests int
	AllBytes int64
	Resident int64 // by how much the resident memory grew
	Wrong    int
}

func init() {
	child.Register(bytesChild, func(conn *child.Conn) error {
		var q bytesRequest
		if err := conn.Receive(&q); err != nil {
			return err
		}
		reply, err := replayBytes(q)
		if err != nil {
			return err
		}
		return conn.Reply(reply)
	})
}

func replayBytes(q bytesRequest) (bytesReply, error) {
	var reply bytesReply
	runtime.GOMAXPROCS(1)
	t, err := trace.LoadWith(q.File, q.Trace)
	if err != nil {
		return reply, err
	}
	if q.FixedSizes {
		fixSizes(t)
	}
	p, err := peers.Find(q.Peer)
	if err != nil {
		return reply, err
	}
	largest, mean := sizeRange(t)
	rep, err := newReplayer(largest)
	if err != nil {
		return reply, err
	}
	defer rep.free()
	clear(rep.buf[:cap(rep.buf)]) // the pages must be there before the memory is counted
	before, err := measure.SettledMemory()
	if err != nil {
		return reply, err
	}
	// Where the kernel doesn't allow it, the peak includes reading the trace, which is small beside the budgets.
	_ = measure.ResetPeak()
	cfg := peers.Config{Bytes: q.Bytes, EntrySize: mean + keySize, Policy: q.Policy, Synchronous: true, LargeValues: true}
	if !p.Weighs {
		// All it knows is a number of entries.
		cfg.Entries, cfg.Bytes = max(int(q.Bytes)/cfg.EntrySize, 2), 0
	}
	cache, err := p.New(cfg)
	if err != nil {
		return reply, err
	}
	rep.use(cache)
	for i, k := range t.Keys {
		size := int(t.Sizes[i])
		reply.AllBytes += int64(size)
		if rep.access(k, size) {
			reply.Hits++
			reply.HitBytes += int64(size)
		}
	}
	read := measure.ResidentMemory
	if q.Measure == "settled" {
		read = measure.SettledMemory
	}
	after, err := read()
	if err != nil {
		return reply, err
	}
	reply.Requests = len(t.Keys)
	reply.Wrong = rep.wrong
	reply.Resident = after.Now - before.Now
	if q.Measure == "peak" {
		reply.Resident = after.Peak - before.Now
	}
	runtime.KeepAlive(cache)
	return reply, nil
}

func sizeRange(t *trace.Trace) (largest, mean int) {
	sum := 0
	for _, s := range t.Sizes {
		largest = max(largest, int(s))
		sum += int(s)
	}
	return largest, sum / len(t.Sizes)
}

// fixSizes gives each request the size of the first one for its object.
func fixSizes(t *trace.Trace) {
	first := make([]uint32, t.Distinct)
	known := make([]bool, t.Distinct)
	for i, k := range t.Keys {
		if !known[k] {
			first[k], known[k] = t.Sizes[i], true
		}
		t.Sizes[i] = first[k]
	}
}

// runBytes replays a trace with a limit of bytes.
func runBytes(o options, c contestant, file string, t *trace.Trace, bytes int64) (row, error) {
	r := row{Trace: t.Name, Capacity: bytes, Cache: c.name, HitRatio: -1}
	if c.peer == "" {
		return simulateBytes(r, t), nil
	}
	var reply bytesReply
	request := bytesRequest{file, o.trace, c.peer, c.policy, bytes, o.fixedSizes, o.resident}
	if err := child.Once(bytesChild, request, &reply); err != nil {
		return r, fmt.Errorf("%s with %d bytes: %w", c.name, bytes, err)
	}
	if reply.Wrong > 0 {
		return r, fmt.Errorf("%s returned %d wrong values on %s", c.name, reply.Wrong, t.Name)
	}
	r.HitRatio = float64(reply.Hits) / float64(reply.Requests)
	r.ByteHitRatio = float64(reply.HitBytes) / float64(reply.AllBytes)
	r.Resident = reply.Resident
	return r, nil
}

// simulateBytes: exact LRU that counts keys and values only, and the bound in the place of the optimum.
func simulateBytes(r row, t *trace.Trace) row {
	switch r.Cache {
	case offline:
		r.HitRatio = float64(reference.Bound(t.Keys, t.Sizes, t.Distinct, r.Capacity)) / float64(len(t.Keys))
	case simLRU:
		sim := reference.NewLRU(r.Capacity, t.Distinct)
		hits, hitBytes, all := 0, 0.0, 0.0
		for i, k := range t.Keys {
			size := t.Sizes[i]
			all += float64(size)
			if sim.Access(k, size+keySize) {
				hits++
				hitBytes += float64(size)
			}
		}
		r.HitRatio = float64(hits) / float64(len(t.Keys))
		r.ByteHitRatio = hitBytes / all
	}
	return r
}

// residentTolerance is how far over the budget the resident memory may grow: 1 %. It should not stay further than this
// below it, either, and the search goes on until it doesn't or has made searchSteps replays.
const (
	residentTolerance = 0.01
	searchSteps       = 12
)

// runResident looks for the limit with which the resident memory grows by the budget, and returns the best hit ratio of
// all limits tried with which it didn't grow by more. (Resident memory does not quite grow with the limit, and isn't the
// same each time: so this favours caches that need many tries.)
func runResident(o options, c contestant, file string, t *trace.Trace, budget int64) (row, error) {
	best := row{Trace: t.Name, Capacity: budget, Cache: c.name, HitRatio: -1}
	limit, low, high := float64(budget), 0.0, math.Inf(1) // low is under the budget, high over it
	for range searchSteps {
		r, err := runBytes(o, c, file, t, int64(limit))
		if err != nil {
			return best, err
		}
		ratio := float64(r.Resident) / float64(budget)
		if ratio <= 1+residentTolerance && r.HitRatio > best.HitRatio {
			r.Capacity = budget
			best = r
		}
		if math.Abs(ratio-1) <= residentTolerance || high-low < float64(budget)/500 {
			break
		}
		if ratio < 1 {
			low = max(low, limit)
		} else {
			high = min(high, limit)
		}
		limit /= ratio
		if limit <= low || limit >= high {
			limit = (low + min(high, 2*low+float64(budget))) / 2
		}
	}
	return best, nil
}
