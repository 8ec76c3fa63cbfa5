// Package allocs counts the allocations on the Go heap that a get and a set make.
package allocs

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/larder-cache/larder/bench/internal/keys"
	"github.com/larder-cache/larder/bench/internal/peers"
	"github.com/larder-cache/larder/bench/internal/report"
)

// Measurement is the allocations of one cache, per operation, and the heap objects per entry.
type Measurement struct {
	Cache               string
	Hit, Miss           float64
	Overwrite, Evicting float64
	ObjectsPerEntry     float64
}

// Measure counts for one cache.
func Measure(p peers.Peer) (Measurement, error) {
	const n, size = 20_000, 100
	m := Measurement{Cache: p.Name}
	set := keys.NewSet(0, n)
	value := make([]byte, size)
	buf := make([]byte, 0, 2*size)
	before := heapObjects()
	c, err := p.New(peers.Config{Entries: 2 * n, EntrySize: int(keys.MeanLen+0.5) + size})
	if err != nil {
		return m, err
	}
	defer c.Close()
	wait := func() {
		if w, ok := c.(peers.Waiter); ok {
			w.Wait()
		}
	}
	empty := heapObjects()
	for i := range n {
		keys.Stamp(value, set.Key(i))
		c.Set(set.Key(i), value)
		if i%1024 == 0 {
			wait()
		}
	}
	wait()
	m.ObjectsPerEntry = float64(heapObjects()-max(empty, before)) / n

	i := 0
	next := func() int { i = (i + 1) % n; return i }
	const runs = 5000
	m.Hit = testing.AllocsPerRun(runs, func() { c.Get(buf, set.Key(next())) })
	m.Miss = testing.AllocsPerRun(runs, func() { c.Get(buf, set.Absent(next())) })
	m.Overwrite = testing.AllocsPerRun(runs, func() {
		k := set.Key(next())
		keys.Stamp(value, k)
		c.Set(k, value)
	})
	if p.Bound == peers.Unbounded {
		return m, nil
	}
	small, err := p.New(peers.Config{Entries: 10_000, EntrySize: int(keys.MeanLen+0.5) + size})
	if err != nil {
		return m, err
	}
	defer small.Close()
	var key [keys.Stride]byte
	id := uint64(1) << 40
	add := func() {
		k := key[:keys.Write(key[:], id)]
		id++
		keys.Stamp(value, k)
		small.Set(k, value)
	}
	for range 400_000 { // fastcache's least capacity is 32 MiB
		add()
	}
	m.Evicting = testing.AllocsPerRun(runs, add)
	return m, nil
}

func heapObjects() int64 {
	runtime.GC()
	runtime.GC() // a second one sweeps what the first one found
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapObjects)
}

// Run is the command. It fails if larder allocates, or keeps objects per entry.
func Run(args []string) error {
	f := flag.NewFlagSet("allocs", flag.ContinueOnError)
	caches := f.String("caches", strings.Join(peers.Names(), ","), "comma-separated caches")
	json := f.String("json", "", "write the measurements to this file")
	if err := f.Parse(args); err != nil {
		return err
	}
	t := report.Table{
		Title:  "Allocations on the Go heap",
		Header: []string{"cache", "get hit", "get miss", "set overwriting", "set evicting", "objects per entry"},
	}
	var all []Measurement
	var failed error
	for name := range strings.SplitSeq(*caches, ",") {
		p, err := peers.Find(name)
		if err != nil {
			return err
		}
		m, err := Measure(p)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, m)
		t.Add(name, m.Hit, m.Miss, m.Overwrite, m.Evicting, fmt.Sprintf("%.2f", m.ObjectsPerEntry))
		if name == "larder" && (m.Hit+m.Miss+m.Overwrite+m.Evicting > 0 || m.ObjectsPerEntry >= 0.01) {
			failed = fmt.Errorf("larder allocates on the Go heap: %+v", m)
		}
	}
	t.Print(os.Stdout)
	if err := report.WriteJSON(*json, all); err != nil {
		return err
	}
	return failed
}
