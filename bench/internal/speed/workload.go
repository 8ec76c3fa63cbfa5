package speed

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/larder-cache/larder/bench/internal/keys"
	"github.com/larder-cache/larder/bench/internal/measure"
	"github.com/larder-cache/larder/bench/internal/peers"
	"github.com/larder-cache/larder/bench/internal/zipf"
)

// Group is one size of set and value.
type Group struct {
	Entries   int
	ValueSize int
}

func (g Group) String() string { return fmt.Sprintf("%d entries of %d bytes", g.Entries, g.ValueSize) }

// setup is what a child is told first.
type setup struct {
	Cache    string
	Group    Group
	Evicting bool
	// HotKeys lays the keys out in the order of use, so that reading one costs no cache miss.
	HotKeys bool
	Policy  string
}

// run is one measurement.
type run struct {
	Case       string
	Goroutines int
	Duration   time.Duration
}

// Result is what one run, or several added up, did.
type Result struct {
	Ops     int
	Wall    time.Duration
	CPU     time.Duration
	Misses  int // gets that should have hit, or hit that should have missed
	Wrong   int // values cut, torn or foreign
	Refused int // sets the cache did not take
	// LostShare is the share of sets that can't be read back at once (measured by the evicting case only).
	LostShare float64
}

func (r *Result) add(o Result) {
	r.Ops += o.Ops
	r.Misses += o.Misses
	r.Wrong += o.Wrong
	r.Refused += o.Refused
}

// workload is a cache, its keys, and the orders in which they are used.
type workload struct {
	cache    peers.Cache
	group    Group
	keys     *keys.Set
	uniform  []uint32 // indices of keys; a power of two of them
	zipfian  []uint32 // the same with popular keys; the top bit tells a set
	hot      *keys.Set
	workers  [maxGoroutines]worker
	unfilled bool // sets were made since every key was known to be present
}

const (
	maxGoroutines = 64
	setBit        = 1 << 31
	zipfExponent  = 0.99
)

// worker is what one goroutine needs, kept from run to run.
type worker struct {
	position int
	next     uint64 // number of the next new key
	value    []byte
	buf      []byte
	key      [keys.Stride]byte
	many     peers.Batch
	manyKeys [manySize][]byte
	_        [64]byte // workers share no cache line
}

func newWorkload(s setup) (*workload, error) {
	p, err := peers.Find(s.Cache)
	if err != nil {
		return nil, err
	}
	cfg := peers.Config{
		Entries:   s.Group.Entries,
		EntrySize: int(keys.MeanLen+0.5) + s.Group.ValueSize,
		Policy:    s.Policy,
	}
	if !s.Evicting {
		cfg.Entries *= 2
	}
	c, err := p.New(cfg)
	if err != nil {
		return nil, err
	}
	w := &workload{cache: c, group: s.Group, unfilled: true}
	for i := range w.workers {
		w.workers[i] = worker{
			position: i * 7919 * batch,
			next:     uint64(i+1) << 40,
			value:    make([]byte, s.Group.ValueSize),
			buf:      make([]byte, 0, s.Group.ValueSize+64),
		}
		if m, ok := c.(peers.ManyGetter); ok {
			w.workers[i].many = m.NewBatch()
		}
		for j := range w.workers[i].value {
			w.workers[i].value[j] = byte(j)
		}
	}
	if s.Evicting {
		w.fillEvicting()
		return w, nil
	}
	w.makeOrders(s.HotKeys)
	return w, nil
}

func (w *workload) makeOrders(hot bool) {
	n := w.group.Entries
	w.keys = keys.NewSet(0, n)
	length := 1 << 16
	for length < 2*n && length < 1<<23 {
		length *= 2
	}
	rng := rand.New(rand.NewPCG(11, 12))
	w.uniform = make([]uint32, length)
	for i := range w.uniform {
		w.uniform[i] = uint32(rng.IntN(n))
	}
	z := zipf.New(rng, zipfExponent, n)
	shuffled := rng.Perm(n) // popular keys lie anywhere
	w.zipfian = make([]uint32, length)
	for i := range w.zipfian {
		w.zipfian[i] = uint32(shuffled[z.Next()])
		if rng.IntN(10) == 0 {
			w.zipfian[i] |= setBit
		}
	}
	if hot {
		w.hot = w.keys.Pick(w.uniform)
	}
}

// fill stores every key that is missing, until all are there, and returns the number of sets that were lost.
func (w *workload) fill() (lost int) {
	if !w.unfilled || w.keys == nil {
		return 0
	}
	me := &w.workers[0]
	for pass := 0; ; pass++ {
		missing := 0
		for i := range w.keys.Len() {
			k := w.keys.Key(i)
			if _, ok := w.cache.Get(me.buf[:0], k); ok {
				continue
			}
			missing++
			keys.Stamp(me.value, k)
			w.cache.Set(k, me.value)
			if missing%1024 == 0 {
				w.wait()
			}
		}
		w.wait()
		if missing == 0 || pass == 8 {
			w.unfilled = false
			return lost
		}
		if pass > 0 {
			lost += missing
		}
	}
}

func (w *workload) fillEvicting() {
	me := &w.workers[0]
	for i := range w.group.Entries * 3 / 2 {
		w.setNew(me)
		if i%1024 == 0 {
			w.wait()
		}
	}
	w.wait()
}

func (w *workload) wait() {
	if c, ok := w.cache.(peers.Waiter); ok {
		c.Wait()
	}
}

// setNew sets a key that was never used before.
func (w *workload) setNew(me *worker) bool {
	k := me.key[:keys.Write(me.key[:], me.next)]
	me.next++
	keys.Stamp(me.value, k)
	return w.cache.Set(k, me.value)
}

// lostShare sets new keys and reads each back at once: what a cache does not hold then, it has dropped. (Evicting it a
// moment later, for it is not popular yet, is a policy, and another matter.)
func (w *workload) lostShare() float64 {
	const probes = 4096
	me := &w.workers[0]
	lost := 0
	for range probes {
		id := me.next
		w.setNew(me)
		if c, ok := w.cache.(peers.AsyncSetter); ok && c.SetsLater() {
			w.wait()
		}
		k := me.key[:keys.Write(me.key[:], id)]
		if _, ok := w.cache.Get(me.buf[:0], k); !ok {
			lost++
		}
	}
	return float64(lost) / probes
}

// measure runs one case.
func (w *workload) measure(r run) (Result, error) {
	do := loops[r.Case]
	if do == nil || r.Goroutines < 1 || r.Goroutines > maxGoroutines {
		return Result{}, fmt.Errorf("no case %q with %d goroutines", r.Case, r.Goroutines)
	}
	if _, ok := w.cache.(peers.ManyGetter); r.Case == getMany && !ok {
		return Result{}, nil
	}
	runtime.GOMAXPROCS(r.Goroutines)
	w.fill()
	w.spin(do, r.Goroutines, r.Duration/8) // warms up; not counted
	cpu := measure.CPU()
	sum := w.spin(do, r.Goroutines, r.Duration)
	sum.CPU = measure.CPU() - cpu
	switch r.Case {
	case mixed, setOverwrite:
		w.unfilled = true // caches that append overwritten values may have pushed others out
	case setEvicting:
		w.wait()
		sum.LostShare = w.lostShare()
		if refused := float64(sum.Refused) / float64(sum.Ops); refused > sum.LostShare {
			sum.LostShare = refused
		}
	}
	return sum, nil
}

func (w *workload) spin(do loop, goroutines int, d time.Duration) Result {
	results := make([]Result, goroutines)
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	ready.Add(goroutines)
	for g := range goroutines {
		done.Go(func() {
			ready.Done()
			<-start
			var r Result
			begin := time.Now()
			for time.Since(begin) < d {
				do(w, &w.workers[g], &r)
			}
			results[g] = r
		})
	}
	ready.Wait()
	begin := time.Now()
	close(start)
	done.Wait()
	sum := Result{Wall: time.Since(begin)}
	for _, r := range results {
		sum.add(r)
	}
	return sum
}
