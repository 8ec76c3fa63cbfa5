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
// grows by the budget, which is what the cache costs the machine.

const bytesChild = "hitratio-bytes"

type bytesRequest struct {
	File   string
	Peer   string
	Policy string
	Bytes  int64
}

type bytesReply struct {
	Hits     int
	HitBytes int64
	Requests int
	AllBytes int64
	Resident int64 // the most that the resident memory grew
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
	t, err := trace.Load(q.File)
	if err != nil {
		return reply, err
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
	cache, err := p.New(peers.Config{Bytes: q.Bytes, EntrySize: mean + keySize, Policy: q.Policy, Synchronous: true,
		LargeValues: true})
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
	after, err := measure.ResidentMemory()
	if err != nil {
		return reply, err
	}
	reply.Requests = len(t.Keys)
	reply.Wrong = rep.wrong
	reply.Resident = after.Peak - before.Now
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

// runBytes replays a trace with a limit of bytes.
func runBytes(c contestant, file string, t *trace.Trace, bytes int64) (row, error) {
	r := row{Trace: t.Name, Capacity: bytes, Cache: c.name, HitRatio: -1}
	if c.peer == "" {
		return simulateBytes(r, t), nil
	}
	p, err := peers.Find(c.peer)
	if err != nil || !p.Weighs {
		return r, err
	}
	var reply bytesReply
	if err := child.Once(bytesChild, bytesRequest{file, c.peer, c.policy, bytes}, &reply); err != nil {
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

// residentTolerance is how far from the budget the resident memory may grow.
const residentTolerance = 0.05

// runResident looks for the limit with which the resident memory grows by the budget, and returns what the cache does
// then.
func runResident(c contestant, file string, t *trace.Trace, budget int64) (row, error) {
	none := row{Trace: t.Name, Capacity: budget, Cache: c.name, HitRatio: -1}
	best := none
	limit := budget
	for range 5 {
		r, err := runBytes(c, file, t, limit)
		if err != nil || r.HitRatio < 0 {
			return none, err
		}
		ratio := float64(r.Resident) / float64(budget)
		if ratio <= 1+residentTolerance && r.HitRatio > best.HitRatio {
			r.Capacity = budget
			best = r
		}
		if math.Abs(ratio-1) <= residentTolerance {
			break
		}
		limit = max(int64(float64(limit)/ratio), 1<<20)
	}
	return best, nil
}
