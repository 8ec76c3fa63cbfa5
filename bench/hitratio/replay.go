package main

import (
	"encoding/binary"
	"fmt"
	"syscall"

	"github.com/larder-cache/larder/bench/hitratio/reference"
	"github.com/larder-cache/larder/bench/hitratio/trace"
	"github.com/larder-cache/larder/bench/internal/keys"
	"github.com/larder-cache/larder/bench/internal/peers"
)

// row is the result of one cache on one trace at one capacity.
type row struct {
	Trace    string
	Standard bool // one of standardSizes
	Capacity int64
	Cache    string
	// HitRatio is negative if the cache can't be made with this capacity.
	HitRatio float64
	// CopiesPerInsert is what larder copied for each set, in entries, for its own policies.
	CopiesPerInsert float64 `json:",omitempty"`
	// ByteHitRatio and Resident are of traces with sizes only.
	ByteHitRatio float64 `json:",omitempty"`
	Resident     int64   `json:",omitempty"`
	// Parts is the hit ratio in each of the trace's parts, for sequences of phases.
	Parts []float64 `json:",omitempty"`
}

// offline is the column of the optimum. It is no cache that could compete.
const offline = "MIN"

// contestant is a column of the tables.
type contestant struct {
	name   string
	peer   string // of package peers, or "" for a simulation
	policy string
}

func contestants(policies []string) []contestant {
	var cs []contestant
	for _, p := range policies {
		name := "larder"
		if p != policies[0] || p != "default" {
			name = "larder " + p
		}
		cs = append(cs, contestant{name, "larder", p})
	}
	for _, p := range []string{"otter", "theine", "ristretto", "golang-lru", "golang-lru-2q", "fastcache", "freecache",
		"bigcache"} {
		cs = append(cs, contestant{name: p, peer: p})
	}
	return append(cs, contestant{name: simLRU}, contestant{name: simS3FIFO}, contestant{name: simTwoLogs},
		contestant{name: offline})
}

// The simulations.
const (
	simLRU     = "exact LRU"
	simS3FIFO  = "S3-FIFO (simulated)"
	simTwoLogs = "two logs (simulated)"
)

// runUnits replays a trace at a capacity in entries, sizes ignored. ends are the positions at which the trace's parts
// end, or nil.
func runUnits(c contestant, t *trace.Trace, capacity int, ends []int) (row, error) {
	r := row{Trace: t.Name, Capacity: int64(capacity), Cache: c.name, HitRatio: -1}
	switch c.name {
	case offline:
		r.HitRatio = float64(reference.MIN(t.Keys, t.Distinct, capacity)) / float64(len(t.Keys))
		return r, nil
	case simLRU:
		sim := reference.NewLRU(int64(capacity), t.Distinct)
		r.count(t, ends, func(k uint32) bool { return sim.Access(k, 1) })
		return r, nil
	case simS3FIFO:
		r.count(t, ends, reference.NewS3FIFO(capacity, t.Distinct).Access)
		return r, nil
	case simTwoLogs:
		sim := reference.NewTwoLogs(capacity, t.Distinct)
		r.count(t, ends, sim.Access)
		r.CopiesPerInsert = sim.CopiesPerInsert()
		return r, nil
	}
	cfg, valueSize, ok := unitConfig(c.peer, capacity)
	if !ok {
		return r, nil
	}
	cfg.Policy = c.policy
	p, err := peers.Find(c.peer)
	if err != nil {
		return r, err
	}
	cache, err := p.New(cfg)
	if err != nil {
		return r, fmt.Errorf("%s with %d entries: %w", c.name, capacity, err)
	}
	defer cache.Close()
	rep, err := newReplayer(valueSize)
	if err != nil {
		return r, err
	}
	defer rep.free()
	rep.use(cache)
	r.count(t, ends, func(k uint32) bool { return rep.access(k, valueSize) })
	if rep.wrong > 0 {
		return r, fmt.Errorf("%s returned %d wrong values on %s", c.name, rep.wrong, t.Name)
	}
	if l, ok := cache.(*peers.Larder); ok {
		r.CopiesPerInsert = copiesPerInsert(l)
	}
	return r, nil
}

// count sends every key through access.
func (r *row) count(t *trace.Trace, ends []int, access func(uint32) bool) {
	hits, partHits, from := 0, 0, 0
	for i, k := range t.Keys {
		if access(k) {
			hits++
			partHits++
		}
		if len(ends) > len(r.Parts) && i+1 == ends[len(r.Parts)] {
			r.Parts = append(r.Parts, float64(partHits)/float64(i+1-from))
			partHits, from = 0, i+1
		}
	}
	r.HitRatio = float64(hits) / float64(len(t.Keys))
}

// replayer asks a cache for keys, and sets those that are missing, as a service would.
type replayer struct {
	cache  peers.Cache
	waiter peers.Waiter
	room   []byte
	buf    []byte
	value  []byte
	key    [keySize]byte
	wrong  int
}

// newReplayer has buffers for values up to the given size. They aren't on the Go heap, where they would let the collector
// leave as much garbage again.
func newReplayer(largest int) (*replayer, error) {
	room, err := syscall.Mmap(-1, 0, 2*largest+64, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return nil, err
	}
	r := &replayer{room: room, buf: room[largest:largest], value: room[:largest]}
	for i := range r.value {
		r.value[i] = byte(i)
	}
	return r, nil
}

func (r *replayer) free() { _ = syscall.Munmap(r.room) } // can't fail for what Mmap returned

// use makes c the cache that is asked.
func (r *replayer) use(c peers.Cache) {
	r.cache = c
	r.waiter, _ = c.(peers.Waiter)
}

// keyOf returns the bytes of a key, until the next call.
func (r *replayer) keyOf(key uint32) []byte {
	binary.LittleEndian.PutUint64(r.key[:], keys.Mix(uint64(key)))
	return r.key[:]
}

// access requests a key whose value has this size.
func (r *replayer) access(key uint32, size int) bool {
	v, ok := r.cache.Get(r.buf[:0], r.keyOf(key))
	if ok && len(v) == size {
		if n := min(keySize, size); string(v[:n]) != string(r.key[:n]) {
			r.wrong++
		}
		return true
	}
	// A value of another size is out of date: the object has changed.
	copy(r.value[:size], r.key[:])
	r.cache.Set(r.key[:], r.value[:size])
	if r.waiter != nil {
		// Lets caches that work on sets later catch up, as they would between the requests of a service.
		r.waiter.Wait()
	}
	return false
}
