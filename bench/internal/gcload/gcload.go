// Package gcload measures what a full cache costs the rest of the program: the time of a garbage collection, its pauses,
// and what a goroutine that allocates and one that waits for a timer notice of it. Each cache is in a process of its own,
// beside one process without any cache.
package gcload

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync"
	"time"

	"github.com/larder-cache/larder/bench/internal/child"
	"github.com/larder-cache/larder/bench/internal/keys"
	"github.com/larder-cache/larder/bench/internal/measure"
	"github.com/larder-cache/larder/bench/internal/peers"
	"github.com/larder-cache/larder/bench/internal/report"
)

const (
	childName = "gc"
	nothing   = "(no cache)"
	keySize   = 16
)

type request struct {
	Cache     string
	Entries   int
	ValueSize int
	Load      time.Duration
}

// Measurement is one cache's cost.
type Measurement struct {
	Cache     string
	Objects   uint64        // on the Go heap
	Collect   time.Duration // a forced collection, wall time, median
	CPU       time.Duration // the same, CPU time
	Pause     time.Duration // the longest stop of the world of those collections
	Allocate  time.Duration // p99.9 of allocating 100 KB while the cache is full
	TickLate  time.Duration // p99 of how late a 1 ms ticker came meanwhile
	GCCPUFrac float64       // the share of the CPU time that the collector took meanwhile
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

func measureCache(r request) (Measurement, error) {
	m := Measurement{Cache: r.Cache}
	var c peers.Cache
	if r.Cache != nothing {
		p, err := peers.Find(r.Cache)
		if err != nil {
			return m, err
		}
		if c, err = p.New(peers.Config{Entries: r.Entries, EntrySize: keySize + r.ValueSize}); err != nil {
			return m, err
		}
		fill(c, r)
	}
	collections(&m)
	load(&m, r.Load)
	runtime.KeepAlive(c)
	return m, nil
}

func fill(c peers.Cache, r request) {
	var key [keys.Stride]byte
	value := make([]byte, r.ValueSize)
	for i := range r.Entries {
		keys.Write(key[:], uint64(i))
		keys.Stamp(value, key[:])
		c.Set(key[:keySize], value)
		if w, ok := c.(peers.Waiter); ok && i%256 == 0 {
			w.Wait()
		}
	}
}

func collections(m *Measurement) {
	const n = 7
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m.Objects = before.HeapObjects
	var wall, cpu []float64
	for range n {
		c := measure.CPU()
		start := time.Now()
		runtime.GC()
		wall = append(wall, float64(time.Since(start)))
		cpu = append(cpu, float64(measure.CPU()-c))
	}
	runtime.ReadMemStats(&after)
	for i := before.NumGC; i < after.NumGC; i++ {
		m.Pause = max(m.Pause, time.Duration(after.PauseNs[i%uint32(len(after.PauseNs))]))
	}
	m.Collect = time.Duration(measure.Median(wall))
	m.CPU = time.Duration(measure.Median(cpu))
	debug.FreeOSMemory()
}

// Written to, so that the allocation is made.
//
//lint:ignore U1000 nobody reads it
var sink []byte

// load allocates 100 KB at a time beside a ticker, for a while.
func load(m *Measurement, d time.Duration) {
	const size, tick = 100_000, time.Millisecond
	var allocated, late measure.Histogram
	gc, cpu := gcCPU(), measure.CPU()
	start := time.Now()
	var wg sync.WaitGroup
	wg.Go(func() {
		last := time.Since(start)
		for last < d {
			sink = make([]byte, size)
			now := time.Since(start)
			allocated.Add(now - last)
			last = now
		}
	})
	wg.Go(func() {
		t := time.NewTicker(tick)
		defer t.Stop()
		next := time.Now().Add(tick)
		for time.Since(start) < d {
			<-t.C
			now := time.Now()
			late.Add(max(now.Sub(next), 0))
			next = now.Add(tick)
		}
	})
	wg.Wait()
	m.Allocate = allocated.Quantile(0.999)
	m.TickLate = late.Quantile(0.99)
	runtime.GC() // brings the collector's account up to date
	m.GCCPUFrac = float64(gcCPU()-gc) / float64(measure.CPU()-cpu)
}

// gcCPU is the CPU time that the collector has taken, as of the last collection.
func gcCPU() time.Duration {
	s := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}, {Name: "/cpu/classes/gc/mark/idle:cpu-seconds"}}
	metrics.Read(s)
	return time.Duration((s[0].Value.Float64() - s[1].Value.Float64()) * 1e9)
}

// Run is the command.
func Run(args []string) error {
	f := flag.NewFlagSet("gc", flag.ContinueOnError)
	caches := f.String("caches", "larder,otter,ristretto,theine,golang-lru,fastcache,freecache,bigcache,map",
		"comma-separated caches")
	entries := f.Int("entries", 5_000_000, "entries")
	valueSize := f.Int("value", 100, "bytes of a value")
	duration := f.Duration("load", 5*time.Second, "time of the allocating load")
	json := f.String("json", "", "write the measurements to this file")
	if err := f.Parse(args); err != nil {
		return err
	}
	t := report.Table{
		Title: fmt.Sprintf("The garbage collector with %d entries of %d + %d bytes in the cache", *entries, keySize,
			*valueSize),
		Header: []string{"cache", "heap objects", "a collection, ms", "its CPU, ms", "longest pause, us",
			"p99.9 of allocating 100 KB, us", "p99 lateness of a 1 ms ticker, ms", "collector's share of the CPU"},
	}
	var all []Measurement
	for _, name := range append([]string{nothing}, strings.Split(*caches, ",")...) {
		report.Progress("gc: %s", name)
		var m Measurement
		if err := child.Once(childName, request{name, *entries, *valueSize, *duration}, &m); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, m)
		t.Add(name, m.Objects, ms(m.Collect), ms(m.CPU), m.Pause.Microseconds(), m.Allocate.Microseconds(),
			ms(m.TickLate), fmt.Sprintf("%.0f %%", 100*m.GCCPUFrac))
	}
	report.Progress("")
	t.Print(os.Stdout)
	return report.WriteJSON(*json, all)
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d)/1e6) }
