// Package latency measures how long single sets take: the distribution, not the mean.
//
// One goroutine sets at full speed, each cache in a process of its own with GOMAXPROCS as the machine has cores, and
// every set's time is counted. Three phases: the cache grows from empty to its capacity; keys it holds are overwritten in
// random order; new keys evict old ones. Where the kernel took the CPU away from the thread in the middle of a set, the
// set is counted apart, for its time says nothing about the cache. The row "(nothing)" measures an empty operation: what
// it shows is the machine's own noise.
package latency

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/larder-cache/larder/bench/internal/child"
	"github.com/larder-cache/larder/bench/internal/keys"
	"github.com/larder-cache/larder/bench/internal/measure"
	"github.com/larder-cache/larder/bench/internal/peers"
	"github.com/larder-cache/larder/bench/internal/report"
)

const (
	childName = "latency"
	// nothing is the name of the row without a cache.
	nothing = "(nothing)"
	// stall is the time that a set must not take because of the cache's housekeeping.
	stall = 100 * time.Microsecond
)

type request struct {
	Cache     string
	Entries   int
	ValueSize int
	Policy    string
}

// Phase is the distribution of one phase, times in nanoseconds.
type Phase struct {
	Name                  string
	Sets                  uint64
	P50, P99, P999, P9999 time.Duration
	Max                   time.Duration
	Over                  uint64 // sets longer than the stall limit
	Preempted             uint64 // long sets during which the thread lost the CPU, not counted above
	PreemptedMax          time.Duration
	Mean                  time.Duration // elapsed time by sets, preemptions included
}

// Measurement is all phases of a cache.
type Measurement struct {
	Cache  string
	Phases []Phase
}

func init() {
	child.Register(childName, func(conn *child.Conn) error {
		var r request
		if err := conn.Receive(&r); err != nil {
			return err
		}
		m, err := measureCache(r)
		if err != nil {
			return err
		}
		return conn.Reply(m)
	})
}

func phase(name string, t *measure.Timer) Phase {
	defer t.Close()
	h := &t.Histogram
	sets := h.Total() + t.Preempted
	return Phase{
		Name: name, Sets: sets,
		P50: h.Quantile(0.5), P99: h.Quantile(0.99), P999: h.Quantile(0.999), P9999: h.Quantile(0.9999),
		Max: h.Max(), Over: h.Over(stall),
		Preempted: t.Preempted, PreemptedMax: t.PreemptedMax,
		Mean: t.Elapsed() / time.Duration(max(sets, 1)),
	}
}

type idle struct{}

func (idle) Get(dst, key []byte) ([]byte, bool) { return dst, false }
func (idle) Set(key, value []byte) bool         { return true }
func (idle) Close()                             {}

func measureCache(r request) (Measurement, error) {
	m := Measurement{Cache: r.Cache}
	var c peers.Cache = idle{}
	if r.Cache != nothing {
		p, err := peers.Find(r.Cache)
		if err != nil {
			return m, err
		}
		if c, err = p.New(peers.Config{Entries: r.Entries, EntrySize: int(keys.MeanLen+0.5) + r.ValueSize,
			Policy: r.Policy}); err != nil {
			return m, err
		}
	}
	var key [keys.Stride]byte
	value := make([]byte, r.ValueSize)
	set := func(id uint64) {
		k := key[:keys.Write(key[:], id)]
		keys.Stamp(value, k)
		c.Set(k, value)
	}
	n := uint64(r.Entries)
	runtime.GC()

	t := measure.NewTimer()
	for id := range n {
		set(id)
		t.Stop()
	}
	m.Phases = append(m.Phases, phase("growing", t))

	rng := rand.New(rand.NewPCG(5, 6))
	runtime.GC()
	t = measure.NewTimer()
	for range min(n, 3_000_000) {
		// The newest half: what a cache of this capacity can be expected to hold still.
		set(n/2 + rng.Uint64N(n/2))
		t.Stop()
	}
	m.Phases = append(m.Phases, phase("overwriting", t))

	for id := n; id < n+n/4; id++ {
		set(id) // brings a cache that isn't quite full yet to its limit
	}
	runtime.GC()
	t = measure.NewTimer()
	for id := range min(n, 3_000_000) {
		set(2*n + id)
		t.Stop()
	}
	m.Phases = append(m.Phases, phase("evicting", t))
	runtime.KeepAlive(c)
	return m, nil
}

// Run is the command.
func Run(args []string) error {
	f := flag.NewFlagSet("latency", flag.ContinueOnError)
	caches := f.String("caches", "", "comma-separated caches (default: all but golang-lru-2q)")
	entries := f.Int("entries", 2_000_000, "capacity in entries; up to 10 million are sensible")
	valueSize := f.Int("value", 100, "bytes of a value")
	policy := f.String("policy", "", "larder's policy")
	json := f.String("json", "", "write the distributions to this file")
	if err := f.Parse(args); err != nil {
		return err
	}
	names := []string{}
	for _, n := range peers.Names() {
		if n != "golang-lru-2q" {
			names = append(names, n)
		}
	}
	if *caches != "" {
		names = strings.Split(*caches, ",")
	}
	names = append([]string{nothing}, names...)
	var all []Measurement
	for _, name := range names {
		report.Progress("latency: %s", name)
		var m Measurement
		if err := child.Once(childName, request{name, *entries, *valueSize, *policy}, &m); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, m)
	}
	report.Progress("")
	for i, phase := range all[0].Phases {
		t := report.Table{
			Title: fmt.Sprintf("Time of one set, %s (%d entries of %d bytes), us", phase.Name, *entries, *valueSize),
			Header: []string{"cache", "mean", "p50", "p99", "p99.9", "p99.99", "max",
				fmt.Sprintf("sets over %v", stall), "lost the CPU", "worst of those"},
		}
		for _, m := range all {
			p := m.Phases[i]
			t.Add(m.Cache, micros(p.Mean), micros(p.P50), micros(p.P99), micros(p.P999),
				micros(p.P9999), micros(p.Max), p.Over, p.Preempted, micros(p.PreemptedMax))
		}
		t.Print(os.Stdout)
	}
	return report.WriteJSON(*json, all)
}

func micros(d time.Duration) string {
	us := float64(d) / 1e3
	switch {
	case us < 10:
		return fmt.Sprintf("%.2f", us)
	case us < 100:
		return fmt.Sprintf("%.1f", us)
	}
	return fmt.Sprintf("%.0f", us)
}
