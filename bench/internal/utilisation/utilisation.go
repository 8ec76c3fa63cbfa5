// Package utilisation measures how much of larder's budget live entries fill under loads that leave dead bytes behind, and
// what is copied to keep it so.
package utilisation

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/larder-cache/larder/bench/internal/keys"
	"github.com/larder-cache/larder/bench/internal/peers"
	"github.com/larder-cache/larder/bench/internal/report"
	"github.com/larder-cache/larder/bench/internal/zipf"
)

const keySize = 24 // about the mean length of a key

// load makes one operation and returns the bytes of key and value that it stored.
type load struct {
	name, about string
	step        func(*state) int
}

// state is what the loads work on.
type state struct {
	cache *peers.Larder
	rng   *rand.Rand
	zipf  *zipf.Zipf
	next  uint64 // number of the next new key
	keyN  int    // keys of the overwriting load
	value []byte
	key   [keys.Stride]byte
	sizes func(*rand.Rand) int
}

func (s *state) set(id uint64, ttl time.Duration) int {
	k := s.key[:keys.Write(s.key[:], id)]
	v := s.value[:s.sizes(s.rng)]
	keys.Stamp(v, k)
	if ttl > 0 {
		s.cache.SetTTL(k, v, ttl)
	} else {
		s.cache.Set(k, v)
	}
	return len(k) + len(v)
}

func (s *state) delete(id uint64) { s.cache.Delete(s.key[:keys.Write(s.key[:], id)]) }

var loads = []load{
	{"new keys", "nothing but new keys: what remains is only the slack of segments", func(s *state) int {
		s.next++
		return s.set(s.next, 0)
	}},
	{"overwriting", "popular keys (Zipf, 0.9) are set again and again, a tenth of the sets are new keys", func(s *state) int {
		if s.rng.IntN(10) == 0 {
			s.next++
			return s.set(1<<40+s.next, 0)
		}
		return s.set(uint64(s.zipf.Next()), 0)
	}},
	{"overwriting evenly", "keys that together are twice the budget are set in random order", func(s *state) int {
		return s.set(uint64(s.rng.IntN(s.keyN)), 0)
	}},
	{"deleting", "for every 10 new keys, 8 of the last keys are deleted", func(s *state) int {
		s.next++
		n := s.set(s.next, 0)
		if s.rng.IntN(10) < 8 {
			// The keys of the last fifth of what a full cache would hold.
			s.delete(s.next - uint64(s.rng.IntN(min(int(s.next), s.keyN/10))))
		}
		return n
	}},
	{"short TTL", "half of the sets live 50 ms to 2 s, the others for ever", func(s *state) int {
		s.next++
		if s.rng.IntN(2) == 0 {
			return s.set(s.next, 50*time.Millisecond+time.Duration(s.rng.Int64N(int64(1950*time.Millisecond))))
		}
		return s.set(s.next, 0)
	}},
}

// Measurement is one load's result. Shares are of MaxBytes.
type Measurement struct {
	Load, Values          string
	Mean, Least           float64 // live bytes
	Dead, Index, Free     float64 // means
	OfRoom                float64 // live bytes in the budget less the index, mean
	WithIndex             float64 // live bytes and the index, mean
	WriteAmplification    float64
	SetsPerSecond         float64
	Entries               int64
	BytesPerEntryOverhead float64 // budget over the live entries, less their keys and values
}

// Run is the command.
func Run(args []string) error {
	f := flag.NewFlagSet("utilisation", flag.ContinueOnError)
	mib := f.Int64("mib", 128, "budget in MiB")
	duration := f.Duration("time", 8*time.Second, "time of each load after the cache was filled")
	values := f.String("values", "100,log-uniform", "comma-separated: a size in bytes, or log-uniform (64 B to 16 KiB)")
	policy := f.String("policy", "", "larder's policy")
	only := f.String("loads", "", "comma-separated loads (default: all)")
	json := f.String("json", "", "write the measurements to this file")
	if err := f.Parse(args); err != nil {
		return err
	}
	t := report.Table{
		Title: fmt.Sprintf("Utilisation of a budget of %d MiB, %% of it", *mib),
		Header: []string{"load, values", "live: mean", "least", "and the index", "dead", "index", "free", "write amplification",
			"thousand sets/s", "entries", "budget per entry over key and value"},
	}
	var all []Measurement
	for kind := range strings.SplitSeq(*values, ",") {
		for _, l := range loads {
			if *only != "" && !strings.Contains(","+*only+",", ","+l.name+",") {
				continue
			}
			report.Progress("utilisation: %s, %s", l.name, kind)
			m, err := runLoad(l, kind, *mib<<20, *duration, *policy)
			if err != nil {
				return err
			}
			all = append(all, m)
			t.Add(m.Load+", "+m.Values, share(m.Mean), share(m.Least), share(m.WithIndex), share(m.Dead), share(m.Index), share(m.Free),
				fmt.Sprintf("%.2f", m.WriteAmplification), fmt.Sprintf("%.0f", m.SetsPerSecond/1000), m.Entries,
				fmt.Sprintf("%.1f", m.BytesPerEntryOverhead))
		}
	}
	report.Progress("")
	t.Print(os.Stdout)
	fmt.Println()
	for _, l := range loads {
		fmt.Printf("%s: %s.\n", l.name, l.about)
	}
	return report.WriteJSON(*json, all)
}

func share(x float64) string { return fmt.Sprintf("%.1f", 100*x) }

// sizesOf returns a distribution of value sizes, its mean, and the largest.
func sizesOf(kind string) (draw func(*rand.Rand) int, mean, largest int, err error) {
	if kind == "log-uniform" {
		const low, high = 64, 16 << 10
		draw = func(r *rand.Rand) int {
			return int(low * math.Exp(r.Float64()*math.Log(high/low)))
		}
		return draw, int((high - low) / math.Log(high/low)), high, nil
	}
	n := 0
	if _, err := fmt.Sscan(kind, &n); err != nil || n < 8 {
		return nil, 0, 0, fmt.Errorf("values %q: want a size of 8 or more, or log-uniform", kind)
	}
	return func(*rand.Rand) int { return n }, n, n, nil
}

func runLoad(l load, kind string, budget int64, d time.Duration, policy string) (Measurement, error) {
	m := Measurement{Load: l.name, Values: kind, Least: 1}
	draw, mean, largest, err := sizesOf(kind)
	if err != nil {
		return m, err
	}
	p, err := peers.Find("larder")
	if err != nil {
		return m, err
	}
	c, err := p.New(peers.Config{Bytes: budget, Policy: policy, TTL: true})
	if err != nil {
		return m, err
	}
	defer c.Close()
	cache, ok := c.(*peers.Larder)
	if !ok {
		return m, fmt.Errorf("%T is not larder", c)
	}
	rng := rand.New(rand.NewPCG(8, 9))
	keyN := int(2 * budget / int64(mean+keySize))
	s := &state{cache: cache, rng: rng, zipf: zipf.New(rng, 0.9, keyN), keyN: keyN, value: make([]byte, largest), sizes: draw}

	// Until three budgets have been stored the cache fills up and finds its steady state.
	for stored := int64(0); stored < 3*budget; {
		stored += int64(l.step(s))
	}
	before := cache.C.Stats()
	samples, stored, sets := 0, 0.0, 0
	var entryBytes float64
	start := time.Now()
	for last := start; time.Since(start) < d; {
		for range 1000 {
			stored += float64(l.step(s))
			sets++
		}
		if time.Since(last) < 20*time.Millisecond {
			continue
		}
		last = time.Now()
		st := cache.C.Stats()
		live := float64(st.LiveBytes) / float64(st.MaxBytes)
		m.Mean += live
		m.Least = math.Min(m.Least, live)
		m.OfRoom += float64(st.LiveBytes) / float64(st.MaxBytes-st.IndexBytes)
		m.Dead += float64(st.DeadBytes) / float64(st.MaxBytes)
		m.Index += float64(st.IndexBytes) / float64(st.MaxBytes)
		m.Free += float64(st.FreeBytes) / float64(st.MaxBytes)
		samples++
	}
	m.SetsPerSecond = float64(sets) / time.Since(start).Seconds()
	after := cache.C.Stats()
	for _, x := range []*float64{&m.Mean, &m.OfRoom, &m.Dead, &m.Index, &m.Free} {
		*x /= float64(max(samples, 1))
	}
	m.WithIndex = m.Mean + m.Index
	m.WriteAmplification = 1 + float64(after.CopiedBytes-before.CopiedBytes)/stored
	m.Entries = after.Entries
	for k, v := range cache.C.All() {
		entryBytes += float64(len(k) + len(v))
	}
	m.BytesPerEntryOverhead = (float64(after.MaxBytes) - entryBytes) / math.Max(float64(after.Entries), 1)
	return m, nil
}
