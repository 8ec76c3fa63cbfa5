package larder_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	larder "github.com/larder-cache/larder/go"
)

// The history checker: many goroutines write and read the same keys, while the
// collector is forced to run, and the CPU profiler and the execution tracer are on.
// Every value says which key and version it is, and its bytes follow from that, so
// that a torn or a foreign value is found out by looking at it.
//
// What is out of date is found out by the order of events, told by one clock that
// every event advances. A value read is out of date when some other set of the key
// began after the set of this value had returned, and returned before the get
// began. A miss is wrong when the key was set before the get began, and neither deleted
// nor evicted. Both rules hold for any linearizable cache, whatever the timing.
//
// LARDER_HISTORY=60s lets it run for a minute, rather than for a second or two.
func TestHistory(t *testing.T) {
	duration := time.Second
	if s := os.Getenv("LARDER_HISTORY"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			t.Fatal(err)
		}
		duration = d / 2
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(4, runtime.NumCPU())))
	check := func(name string, budget int64, evicts bool) {
		t.Run(name, func(t *testing.T) {
			c := newCache(t, larder.Options{MaxBytes: budget})
			if fault := checkHistory(t, c, duration, evicts); fault != nil {
				t.Error(fault)
			}
			if s := c.Stats(); evicts != (s.Evictions > 0) {
				t.Errorf("%d evictions", s.Evictions)
			}
		})
	}
	check("roomy", 256<<20, false)
	check("evicting", 256<<10, true)
}

// The checker must find what it is there to find.
func TestHistoryFindsFaults(t *testing.T) {
	for _, fault := range []string{"stale", "foreign", "torn", "lost", "undeleted"} {
		t.Run(fault, func(t *testing.T) {
			c := &faultyCache{fault: fault, values: map[string][]byte{}}
			err := checkHistory(t, c, 30*time.Second, false) // ends at the first fault
			if err == nil {
				t.Fatal("not found")
			}
			t.Log(err)
		})
	}
	c := &faultyCache{fault: "none", values: map[string][]byte{}}
	if err := checkHistory(t, c, 200*time.Millisecond, false); err != nil {
		t.Errorf("a fault that isn't there: %v", err)
	}
}

// faultyCache is a correct cache that goes wrong every now and then.
type faultyCache struct {
	fault  string
	mu     sync.Mutex
	calls  int
	values map[string][]byte
}

func (c *faultyCache) wrong(fault string) bool {
	c.calls++
	return c.fault == fault && c.calls%500 == 0
}

func (c *faultyCache) Get(dst, key []byte) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wrong("foreign") {
		for _, value := range c.values {
			return append(dst, value...), true
		}
	}
	value, ok := c.values[string(key)]
	dst = append(dst, value...)
	if c.wrong("torn") && len(dst) > 100 {
		dst[len(dst)-50] ^= 1
	}
	return dst, ok
}

func (c *faultyCache) Set(key, value []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.values[string(key)]; !ok || !c.wrong("stale") {
		c.values[string(key)] = append([]byte(nil), value...)
	}
	if c.wrong("lost") {
		delete(c.values, string(key))
	}
	return nil
}

func (c *faultyCache) Delete(key []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wrong("undeleted") {
		return true
	}
	_, ok := c.values[string(key)]
	delete(c.values, string(key))
	return ok
}

const (
	historyKeys    = 200
	historyEnds    = 1024 // versions whose ends are remembered, for each key
	historyWriters = 4
	historyReaders = 8
)

type checkedCache interface {
	Get(dst, key []byte) ([]byte, bool)
	Set(key, value []byte) error
	Delete(key []byte) bool
}

type history struct {
	cache   checkedCache
	evicts  bool
	fault   atomic.Pointer[error] // the first
	clock   atomic.Uint64
	stop    atomic.Bool
	keys    [historyKeys]keyHistory
	sets    atomic.Uint64
	gets    atomic.Uint64
	hits    atomic.Uint64
	deletes atomic.Uint64
}

type keyHistory struct {
	versions atomic.Uint64
	// The latest begin of all sets that have returned: what returned before it is out of date.
	begun atomic.Uint64
	// When the set of a version returned; see ended.
	ends [historyEnds]atomic.Uint64
	// Of keys that are deleted as well as set, which have one writer: odd numbers of changes
	// are sets, even ones deletes.
	started, finished atomic.Uint64
}

// ended is a set that has returned, or not yet: the version in the upper 24 bits, the end in
// the lower 40. A version shares its place with others that are much older or newer; of
// versions that aren't found at their place nothing is known.
func ended(version, end uint64) uint64 { return version<<40 | end }

const notYet = 1<<40 - 1

// deletable keys have one writer.
func deletable(key int) bool { return key%4 == 0 }

// fail notes a fault, and lets everything end.
func (h *history) fail(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	h.fault.CompareAndSwap(nil, &err)
	h.stop.Store(true)
}

// checkHistory returns the first fault it finds, within about duration.
func checkHistory(t *testing.T, cache checkedCache, duration time.Duration, evicts bool) error {
	h := &history{cache: cache, evicts: evicts}
	var others, users sync.WaitGroup
	disturb(&others, &h.stop)
	for w := range historyWriters {
		users.Add(1)
		go func() {
			defer users.Done()
			h.write(w)
		}()
	}
	for r := range historyReaders {
		users.Add(1)
		go func() {
			defer users.Done()
			h.read(r)
		}()
	}
	checked := func() bool { return h.hits.Load() > 0 && h.sets.Load() > 0 && h.deletes.Load() > 0 }
	timer := time.AfterFunc(duration, func() {
		// On a busy machine, or an emulated one, some may not have had a turn.
		for late := time.Now(); !checked() && !h.stop.Load() && time.Since(late) < time.Minute; {
			time.Sleep(10 * time.Millisecond)
		}
		h.stop.Store(true)
	})
	defer timer.Stop()
	users.Wait()
	others.Wait()
	t.Logf("%d sets, %d deletes, %d gets, %d hits", h.sets.Load(), h.deletes.Load(), h.gets.Load(), h.hits.Load())
	if err := h.fault.Load(); err != nil {
		return *err
	}
	if !checked() {
		return fmt.Errorf("nothing was checked")
	}
	return nil
}

func historyKey(b []byte, key int) []byte { return fmt.Appendf(b[:0], "history key %d", key) }

// A value is a header of 4 words (key, version, begin, length) and words that follow from
// them, to its length.
const historyHeader = 32

func historySize(rng *rand.Rand, evicts bool) int {
	if rng.IntN(3) == 0 {
		return historyHeader + 129 + rng.IntN(7) // overwritten in place, as often as not
	}
	most := 13
	if evicts {
		most = 15 // together some 200 KiB
	} else if rng.IntN(50) == 0 {
		most = 17 // some are over what the fast path copies
	}
	return historyHeader + rng.IntN(1<<rng.IntN(most))
}

func fillValue(b []byte, key int, version, begin uint64) {
	binary.LittleEndian.PutUint64(b, uint64(key))
	binary.LittleEndian.PutUint64(b[8:], version)
	binary.LittleEndian.PutUint64(b[16:], begin)
	binary.LittleEndian.PutUint64(b[24:], uint64(len(b)))
	x := uint64(key)<<48 ^ version
	for i := historyHeader; i < len(b); i += 8 {
		x = x*6364136223846793005 + 1442695040888963407
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], x)
		copy(b[i:], word[:])
	}
}

// parseValue returns the version and begin of a value, or what is wrong with it.
func parseValue(b []byte, key int) (version, begin uint64, err error) {
	if len(b) < historyHeader {
		return 0, 0, fmt.Errorf("a value of %d bytes", len(b))
	}
	if k := binary.LittleEndian.Uint64(b); k != uint64(key) {
		return 0, 0, fmt.Errorf("a foreign value, of key %d", k)
	}
	version, begin = binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:])
	if n := binary.LittleEndian.Uint64(b[24:]); n != uint64(len(b)) {
		return 0, 0, fmt.Errorf("version %d has %d bytes, set with %d", version, len(b), n)
	}
	x := uint64(key)<<48 ^ version
	for i := historyHeader; i < len(b); i += 8 {
		x = x*6364136223846793005 + 1442695040888963407
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], x)
		if n := min(8, len(b)-i); string(b[i:i+n]) != string(word[:n]) {
			return 0, 0, fmt.Errorf("version %d is torn at byte %d of %d", version, i, len(b))
		}
	}
	return version, begin, nil
}

func (h *history) write(writer int) {
	rng := rand.New(rand.NewPCG(uint64(writer), 6))
	value := make([]byte, historyHeader+1<<17)
	var name []byte
	for !h.stop.Load() {
		key := rng.IntN(historyKeys)
		if rng.IntN(2) == 0 {
			key %= 8 // some keys are written all the time
		}
		k := &h.keys[key]
		name = historyKey(name, key)
		if deletable(key) {
			if key/4%historyWriters != writer {
				continue
			}
			change := k.started.Add(1)
			if change%2 == 0 {
				h.cache.Delete(name)
				h.deletes.Add(1)
			} else {
				h.set(key, name, value[:historySize(rng, h.evicts)], change)
			}
			k.finished.Store(change)
			continue
		}
		h.set(key, name, value[:historySize(rng, h.evicts)], k.versions.Add(1))
	}
}

func (h *history) set(key int, name, value []byte, version uint64) {
	k := &h.keys[key]
	end := &k.ends[version%historyEnds]
	end.Store(ended(version, notYet))
	begin := h.clock.Add(1)
	fillValue(value, key, version, begin)
	if err := h.cache.Set(name, value); err != nil {
		h.fail("set of key %d, %d bytes: %v", key, len(value), err)
		return
	}
	end.CompareAndSwap(ended(version, notYet), ended(version, h.clock.Add(1)))
	for latest := k.begun.Load(); begin > latest && !k.begun.CompareAndSwap(latest, begin); latest = k.begun.Load() {
	}
	h.sets.Add(1)
}

func (h *history) read(reader int) {
	rng := rand.New(rand.NewPCG(uint64(reader), 7))
	var done sync.WaitGroup
	defer done.Wait()
	buf := make([]byte, 0, 1<<18)
	var b larder.Batch
	for !h.stop.Load() {
		key := rng.IntN(historyKeys)
		if rng.IntN(2) == 0 {
			key %= 8
		}
		if rng.IntN(64) == 0 {
			// A fresh goroutine's stack is small, and grows on the way in.
			done.Add(1)
			go func(depth int) {
				defer done.Done()
				deep(depth, func() { h.get(key, nil) })
			}(rng.IntN(50))
			continue
		}
		if c, ok := h.cache.(*larder.Cache); ok {
			switch rng.IntN(32) {
			case 0:
				h.getMany(c, &b, key, rng.IntN(40))
			case 1:
				h.getView(c, key)
			}
		}
		h.get(key, buf)
	}
}

// deep calls f from some way down the stack.
//
//go:noinline
func deep(depth int, f func()) {
	var pad [64]byte
	if depth > 0 {
		deep(depth-1, f)
	} else {
		f()
	}
	runtime.KeepAlive(&pad)
}

// moment is what is known of a key before a get, and after it.
type moment struct{ begun, finished, started uint64 }

func (h *history) before(key int) moment {
	k := &h.keys[key]
	return moment{finished: k.finished.Load(), begun: k.begun.Load()}
}

func (h *history) after(key int, m *moment) { m.started = h.keys[key].started.Load() }

// get reads a key and checks what it gets.
func (h *history) get(key int, buf []byte) {
	m := h.before(key)
	var name [32]byte // on the stack, with the rest
	got, ok := h.cache.Get(buf, historyKey(name[:], key))
	h.after(key, &m)
	h.check(key, m, got, ok)
}

// getView is get without a copy.
func (h *history) getView(c *larder.Cache, key int) {
	m := h.before(key)
	v, ok := c.View(historyKey(nil, key))
	defer v.Release()
	h.after(key, &m)
	runtime.Gosched() // overwritten, meanwhile, as likely as not
	h.check(key, m, v.Bytes(), ok)
}

// getMany is get of many keys.
func (h *history) getMany(c *larder.Cache, b *larder.Batch, first, n int) {
	moments := make([]moment, n)
	b.Reset()
	for i := range n {
		key := (first + i) % historyKeys
		moments[i] = h.before(key)
		b.Add(historyKey(nil, key))
	}
	c.GetMany(b)
	for i := range n {
		key := (first + i) % historyKeys
		h.after(key, &moments[i])
		value, ok := b.Value(i)
		h.check(key, moments[i], value, ok)
	}
}

func (h *history) check(key int, m moment, got []byte, ok bool) {
	h.gets.Add(1)
	if !ok {
		switch {
		case h.evicts || m.begun == 0:
		case !deletable(key):
			h.fail("key %d: missing, though it was set at %d and never deleted", key, m.begun)
		case m.finished == m.started && m.finished%2 == 1:
			h.fail("key %d: missing, though its last change, %d, was a set", key, m.finished)
		}
		return
	}
	h.hits.Add(1)
	version, begin, err := parseValue(got, key)
	if err != nil {
		h.fail("key %d: %v", key, err)
		return
	}
	if deletable(key) {
		if version < m.finished || version > m.started {
			h.fail("key %d: version %d read, while %d to %d were current", key, version, m.finished, m.started)
		}
		return
	}
	e := h.keys[key].ends[version%historyEnds].Load()
	if end := e & notYet; e>>40 == version && end < m.begun {
		h.fail("key %d: version %d read, set from %d to %d; it was out of date: another set began at %d and had returned",
			key, version, begin, end, m.begun)
	}
}

// disturb makes the runtime do what could hurt, until stop.
func disturb(others *sync.WaitGroup, stop *atomic.Bool) {
	others.Add(2)
	go func() {
		defer others.Done()
		for !stop.Load() {
			runtime.GC()
			time.Sleep(time.Millisecond)
		}
	}()
	go func() {
		defer others.Done()
		// Both are refused when the test itself is being profiled or traced; then they are on anyway.
		profiling := pprof.StartCPUProfile(io.Discard) == nil
		tracing := trace.Start(io.Discard) == nil
		for !stop.Load() {
			time.Sleep(10 * time.Millisecond)
			if tracing { // a trace has a beginning and an end, too
				trace.Stop()
				tracing = trace.Start(io.Discard) == nil
			}
		}
		if tracing {
			trace.Stop()
		}
		if profiling {
			pprof.StopCPUProfile()
		}
	}()
}
