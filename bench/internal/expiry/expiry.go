// Package expiry measures what happens when millions of entries expire: how soon their bytes can be used again, what the
// maintenance costs while nothing else happens, and whether sets and gets notice it.
package expiry

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/larder-cache/larder/bench/internal/keys"
	"github.com/larder-cache/larder/bench/internal/measure"
	"github.com/larder-cache/larder/bench/internal/peers"
	"github.com/larder-cache/larder/bench/internal/report"
)

const (
	keySize  = 16
	shortest = 50 * time.Millisecond
	longest  = 24 * time.Hour
)

// Measurement is the result.
type Measurement struct {
	Entries int
	// MeanLag and WorstLag are how long expired entries still took room.
	MeanLag, WorstLag time.Duration
	// TogetherLag is how long it took until the bytes of entries that expired at one moment were free, but for Left of
	// them, in segments that are still being filled.
	TogetherLag time.Duration
	Left        int64
	// ExpiringCPU is the share of one core that the process used while nothing was done but entries expired, and IdleCPU
	// while next to none did.
	IdleCPU, ExpiringCPU float64
	IdleExpired          int // entries that expired in that idle time all the same
	// The slowest operations while entries expired.
	Get, Set Stalls
	// Control is of an operation without a cache, in turns with the gets and sets: what the machine does by itself.
	Control Stalls
}

// Stalls says how long the slowest of some operations took.
type Stalls struct {
	Count     uint64
	P999, Max time.Duration
	Over      uint64 // operations over 100 us
	Preempted uint64 // long operations not counted: the kernel took the CPU away
}

// Run is the command.
func Run(args []string) error {
	f := flag.NewFlagSet("expiry", flag.ContinueOnError)
	entries := f.Int("entries", 5_000_000, "entries")
	valueSize := f.Int("value", 100, "bytes of a value")
	duration := f.Duration("time", 20*time.Second, "time that the expiry of mixed TTLs is watched")
	idle := f.Duration("idle", 10*time.Second, "time that the idle process is watched")
	policy := f.String("policy", "", "larder's policy")
	json := f.String("json", "", "write the measurements to this file")
	if err := f.Parse(args); err != nil {
		return err
	}
	r := runner{n: *entries, value: make([]byte, *valueSize), policy: *policy}
	m := Measurement{Entries: *entries}
	for _, part := range []struct {
		what string
		do   func() error
	}{
		{"mixed TTLs", func() error { return r.mixed(&m, *duration, *idle) }},
		{"all at once", func() error { return r.together(&m) }},
		{"operations meanwhile", func() error { return r.meanwhile(&m, *duration/2) }},
	} {
		report.Progress("expiry: %s", part.what)
		if err := part.do(); err != nil {
			return err
		}
	}
	report.Progress("")
	t := report.Table{Title: fmt.Sprintf("Expiry of %d entries of %d + %d bytes", m.Entries, keySize, *valueSize),
		Header: []string{"what", "value"}}
	t.Add(fmt.Sprintf("TTLs from %v to %v: expired entries still held, mean", shortest, longest), m.MeanLag)
	t.Add("the same, at worst", m.WorstLag)
	t.Add("all entries expire at one moment: until their bytes are free", m.TogetherLag)
	t.Add("bytes of them left, in segments still being filled", m.Left)
	t.Add("CPU while mixed TTLs expire, of one core", fmt.Sprintf("%.2f %%", 100*m.ExpiringCPU))
	t.Add(fmt.Sprintf("CPU in the %v after that, of one core", *idle), fmt.Sprintf("%.2f %%", 100*m.IdleCPU))
	t.Add("entries that expired in that time", m.IdleExpired)
	t.Print(os.Stdout)
	t = report.Table{Title: "Operations while entries expire, in turns",
		Header: []string{"operation", "count", "p99.9", "max", "over 100us", "lost the CPU, not counted"}}
	for _, row := range []struct {
		what string
		s    Stalls
	}{{"get", m.Get}, {"set", m.Set}, {"control (no cache)", m.Control}} {
		t.Add(row.what, row.s.Count, row.s.P999, row.s.Max, row.s.Over, row.s.Preempted)
	}
	t.Print(os.Stdout)
	return report.WriteJSON(*json, m)
}

type runner struct {
	n      int
	value  []byte
	policy string
	key    [keys.Stride]byte
}

func (r *runner) open() (*peers.Larder, error) {
	p, err := peers.Find("larder")
	if err != nil {
		return nil, err
	}
	// Room to spare: nothing must leave but by its deadline.
	c, err := p.New(peers.Config{Entries: r.n * 5 / 4, EntrySize: keySize + len(r.value), Policy: r.policy})
	if err != nil {
		return nil, err
	}
	return c.(*peers.Larder), nil
}

func (r *runner) set(c *peers.Larder, id uint64, ttl time.Duration) error {
	keys.Write(r.key[:], id)
	keys.Stamp(r.value, r.key[:])
	return c.C.SetTTL(r.key[:keySize], r.value, ttl)
}

// mixed stores entries with TTLs spread evenly on a logarithmic scale, and watches how the number of entries held
// follows the number that haven't expired.
func (r *runner) mixed(m *Measurement, d, idle time.Duration) error {
	c, err := r.open()
	if err != nil {
		return err
	}
	defer c.Close()
	rng := rand.New(rand.NewPCG(3, 5))
	scale := math.Log(float64(longest) / float64(shortest))
	start := time.Now()
	deadlines := make([]time.Duration, r.n) // since start
	for i := range deadlines {
		ttl := time.Duration(float64(shortest) * math.Exp(rng.Float64()*scale)).Round(time.Millisecond)
		if err := r.set(c, uint64(i), ttl); err != nil {
			return err
		}
		deadlines[i] = time.Since(start) + ttl
	}
	slices.Sort(deadlines)
	if e := c.C.Stats().Evictions; e != 0 {
		return fmt.Errorf("%d entries were evicted: the cache was meant to have room for all", e)
	}
	filled := time.Since(start)
	cpu := measure.CPU()
	var lags []float64
	for time.Since(start) < filled+d {
		time.Sleep(5 * time.Millisecond)
		held := int(c.C.Stats().Entries)
		now := time.Since(start)
		// The last to expire are held last, so with this many held the next to go has this deadline.
		var lag time.Duration
		if held > 0 && held <= r.n {
			lag = max(now-deadlines[r.n-held], 0)
		}
		lags = append(lags, float64(lag))
		m.WorstLag = max(m.WorstLag, lag)
	}
	m.ExpiringCPU = float64(measure.CPU()-cpu) / float64(time.Since(start)-filled)
	for _, l := range lags {
		m.MeanLag += time.Duration(l / float64(len(lags)))
	}

	// What is left then has minutes to live: few entries expire any more.
	held := c.C.Stats().Entries
	cpu, start = measure.CPU(), time.Now()
	time.Sleep(idle)
	m.IdleCPU = float64(measure.CPU()-cpu) / float64(time.Since(start))
	m.IdleExpired = int(held - c.C.Stats().Entries)
	return nil
}

// together lets all entries expire at about one moment.
func (r *runner) together(m *Measurement) error {
	c, err := r.open()
	if err != nil {
		return err
	}
	defer c.Close()
	start := time.Now()
	deadline := 2*time.Second + time.Duration(r.n)*2*time.Microsecond
	for i := range r.n {
		ttl := (deadline - time.Since(start)).Truncate(time.Millisecond)
		if ttl <= 0 {
			return fmt.Errorf("filling took longer than %v", deadline)
		}
		if err := r.set(c, uint64(i), ttl); err != nil {
			return err
		}
	}
	const limit = 30 * time.Second
	for {
		s := c.C.Stats()
		if s.Entries == 0 && s.LiveBytes == 0 && s.DeadBytes <= s.MaxBytes/50 {
			m.TogetherLag = max(time.Since(start)-deadline, 0)
			m.Left = s.DeadBytes
			return nil
		}
		if time.Since(start) > deadline+limit {
			return fmt.Errorf("%v after their deadline %d entries, %d live and %d dead bytes are left", limit, s.Entries,
				s.LiveBytes, s.DeadBytes)
		}
		time.Sleep(time.Millisecond)
	}
}

// meanwhile measures gets and sets while entries expire.
func (r *runner) meanwhile(m *Measurement, d time.Duration) error {
	c, err := r.open()
	if err != nil {
		return err
	}
	defer c.Close()
	rng := rand.New(rand.NewPCG(3, 7))
	ttl := func() time.Duration { return shortest + time.Duration(rng.Int64N(int64(d))) }
	for i := range r.n {
		if err := r.set(c, uint64(i), ttl()); err != nil {
			return err
		}
	}
	nothing := newControl(r.n*(keySize+len(r.value)), len(r.value))
	gets, sets, controls := measure.NewTimer(), measure.NewTimer(), measure.NewTimer()
	defer gets.Close()
	defer sets.Close()
	defer controls.Close()
	buf := make([]byte, 0, len(r.value)+64)
	for start := time.Now(); time.Since(start) < d; {
		for range 100 {
			id := rng.Uint64N(uint64(r.n))
			keys.Write(r.key[:], id)
			gets.Start()
			v, ok := c.Get(buf, r.key[:keySize])
			gets.Stop()
			if ok && !keys.Check(v, r.key[:], len(r.value)) {
				return fmt.Errorf("a wrong value was returned")
			}
			t := ttl()
			sets.Start()
			err := r.set(c, id, t)
			sets.Stop()
			if err != nil {
				return err
			}
			controls.Start()
			nothing.do(id)
			controls.Stop()
		}
	}
	m.Get, m.Set, m.Control = stalls(gets), stalls(sets), stalls(controls)
	return nil
}

func stalls(t *measure.Timer) Stalls {
	h := &t.Histogram
	return Stalls{h.Total(), h.Quantile(0.999), h.Max(), h.Over(100 * time.Microsecond), t.Preempted}
}

// control is what a get of a cache is without the cache: a word of memory at random, which says where a value lies, and
// a copy of that. It meets what the machine does to any program: interrupts, memory that the host hasn't at hand.
type control struct {
	memory []byte
	value  []byte
}

func newControl(bytes, value int) *control {
	c := &control{make([]byte, bytes), make([]byte, value)}
	for i := range c.memory {
		c.memory[i] = byte(i) // its pages are there before anything is measured
	}
	return c
}

func (c *control) do(id uint64) {
	const scatter = 0x9e3779b97f4a7c15
	last := uint64(len(c.memory) - len(c.value))
	word := c.memory[id*scatter%last]
	at := (id + uint64(word)) * scatter >> 7 % last
	copy(c.value, c.memory[at:])
}
