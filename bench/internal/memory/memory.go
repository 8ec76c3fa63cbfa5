// Package memory measures the resident memory that an entry costs over its key and value.
//
// Each cache is filled in a process of its own. It is given half as many keys again as it has room for, so that it is
// as full, and its free lists, buffers and half-filled segments as they are, in service. Then the keys are counted that
// it still has, the garbage is collected, and the resident memory is compared with that before the cache was made.
package memory

import (
	"flag"
	"fmt"
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

const childName = "memory"

// keySize is the length of every key here, in bytes.
const keySize = 16

type request struct {
	Cache     string
	Entries   int
	ValueSize int
	Policy    string
}

// Measurement is what one cache used.
type Measurement struct {
	Cache     string
	Entries   int   // held when full
	Payload   int64 // their keys and values, bytes
	Resident  int64 // growth of the resident memory, after collecting garbage
	Peak      int64 // the most it had grown
	Collected time.Duration
}

// Overhead is the resident bytes an entry has over its key and value.
func (m Measurement) Overhead() float64 { return float64(m.Resident-m.Payload) / float64(m.Entries) }

func init() {
	child.Register(childName, func(conn *child.Conn) error {
		var r request
		if err := conn.Receive(&r); err != nil {
			return err
		}
		m, err := fillAndMeasure(r)
		if err != nil {
			return err
		}
		return conn.Reply(m)
	})
}

func fillAndMeasure(r request) (Measurement, error) {
	m := Measurement{Cache: r.Cache}
	p, err := peers.Find(r.Cache)
	if err != nil {
		return m, err
	}
	var key [keys.Stride]byte
	value := make([]byte, r.ValueSize)
	buf := make([]byte, 0, r.ValueSize+64)
	before, err := measure.SettledMemory()
	if err != nil {
		return m, err
	}
	c, err := p.New(peers.Config{Entries: r.Entries, EntrySize: keySize + r.ValueSize, Policy: r.Policy})
	if err != nil {
		return m, err
	}
	wait := func() {
		if w, ok := c.(peers.Waiter); ok {
			w.Wait()
		}
	}
	n := r.Entries * 3 / 2
	if p.Bound == peers.Unbounded {
		n = r.Entries
	}
	for i := range n {
		keys.Write(key[:], uint64(i))
		keys.Stamp(value, key[:])
		c.Set(key[:keySize], value)
		if i%256 == 0 {
			wait()
		}
	}
	wait()
	for i := range n {
		keys.Write(key[:], uint64(i))
		v, ok := c.Get(buf, key[:keySize])
		if !ok {
			continue
		}
		if !keys.Check(v, key[:keySize], r.ValueSize) {
			return m, fmt.Errorf("%s returned a wrong value", r.Cache)
		}
		m.Entries++
	}
	full, err := measure.ResidentMemory()
	if err != nil {
		return m, err
	}
	start := time.Now()
	runtime.GC()
	m.Collected = time.Since(start)
	settled, err := measure.SettledMemory()
	if err != nil {
		return m, err
	}
	m.Payload = int64(m.Entries) * int64(keySize+r.ValueSize)
	m.Resident = settled.Now - before.Now
	m.Peak = full.Peak - before.Now
	runtime.KeepAlive(c)
	return m, nil
}

// Run is the command.
func Run(args []string) error {
	f := flag.NewFlagSet("memory", flag.ContinueOnError)
	full := f.Bool("full", false, "all caches and 2 million entries instead of some caches and 1 million")
	caches := f.String("caches", "", "comma-separated caches: "+strings.Join(peers.Names(), ", "))
	entries := f.Int("entries", 0, "capacity in entries")
	valueSize := f.Int("value", 100, "bytes of a value")
	policy := f.String("policy", "", "larder's policy")
	json := f.String("json", "", "write the measurements to this file")
	if err := f.Parse(args); err != nil {
		return err
	}
	names := []string{"larder", "otter", "fastcache", "freecache", "map"}
	n := 1_000_000
	if *full {
		names, n = peers.Names(), 2_000_000
	}
	if *caches != "" {
		names = strings.Split(*caches, ",")
	}
	if *entries > 0 {
		n = *entries
	}
	t := report.Table{
		Title: fmt.Sprintf("Resident memory, room for %d entries of %d + %d bytes, filled", n, keySize, *valueSize),
		Header: []string{"cache", "entries held", "resident MiB", "bytes/entry over key and value",
			"peak / payload", "a collection"},
	}
	var all []Measurement
	for _, name := range names {
		report.Progress("memory: %s", name)
		var m Measurement
		if err := child.Once(childName, request{name, n, *valueSize, *policy}, &m); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, m)
		t.Add(name, m.Entries, m.Resident>>20, fmt.Sprintf("%.1f", m.Overhead()),
			fmt.Sprintf("%.2f", float64(m.Peak)/float64(m.Payload)), m.Collected.Round(10*time.Microsecond))
	}
	report.Progress("")
	t.Print(os.Stdout)
	return report.WriteJSON(*json, all)
}
