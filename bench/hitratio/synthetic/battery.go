package synthetic

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/larder-cache/larder/bench/hitratio/trace"
	"github.com/larder-cache/larder/bench/internal/zipf"
)

// BatteryCapacity is the capacity, in entries, that most of the battery is measured at.
const BatteryCapacity = 8192

// Case is a trace of the battery, made for a capacity.
type Case struct {
	Trace    *trace.Trace
	Capacity int
}

// Battery is a set of traces that adaptive policies find hard, each made for a cache of c entries: a mixture in which the
// right share of a probation queue lies in the middle, workloads that alternate faster than a policy adapts, pairs (a key
// that is asked for once more after a distance, and never again) that want a long queue beside sets that want none. The
// families follow the descriptions in the tests that Caffeine's adaptive window was built against; the generators,
// and the lengths and seeds, are this package's own. All are deterministic.
func Battery(c int) []Case {
	cases := []*trace.Trace{
		mixture(c, 0.1), mixture(c, 0.25), mixture(c, 0.5),
		phases(c, "phases", 0.9, 0.5),
		phases(c, "widepin", 0.85, 0.6),
		lowMixture(c),
		twoSets(c),
		band(c),
		moat(c, 0.37), moat(c, 0.95),
		slowSwap(c, 0), slowSwap(c, 20),
		trickle(c),
		whisper(c),
		sawTooth(c),
		twoTenants(c),
		loopCliff(c),
	}
	out := make([]Case, len(cases))
	for i, t := range cases {
		out[i] = Case{t, c}
	}
	return out
}

// stream collects the requests of a trace. Keys of different kinds never meet: each kind takes numbers of its own.
type stream struct {
	*rand.Rand
	keys []uint64
	next uint64 // a key that nothing has asked for yet
}

func newStream(name string) *stream {
	seed := uint64(14695981039346656037)
	for _, b := range []byte(name) {
		seed = (seed ^ uint64(b)) * 1099511628211
	}
	return &stream{Rand: rand.New(rand.NewPCG(seed, 2025)), next: 1 << 40}
}

func (s *stream) ask(key uint64) { s.keys = append(s.keys, key) }

// once asks for a key that is never asked for again.
func (s *stream) once() uint64 {
	s.next++
	s.ask(s.next)
	return s.next
}

// uniform asks for one of n keys, which begin at base.
func (s *stream) uniform(base uint64, n float64) { s.ask(base + uint64(s.IntN(int(n)))) }

// pairs asks for keys once more after a distance in requests, and never again.
type pairs struct {
	*stream
	pending []pending // in the order of their moments
}

type pending struct {
	key uint64
	at  int
}

// ask asks for the key whose time has come, or for a new one, which is due again after the distance. It reports whether it
// was a second time.
func (p *pairs) ask(distance float64) bool {
	now := len(p.keys)
	if len(p.pending) > 0 && p.pending[0].at <= now {
		p.stream.ask(p.pending[0].key)
		p.pending = p.pending[1:]
		return true
	}
	p.pending = append(p.pending, pending{p.once(), now + int(distance)})
	return false
}

// mixture is half a zipf of 0.6 c keys, half pairs at d c.
func mixture(c int, d float64) *trace.Trace {
	name := fmt.Sprintf("mixture %.2f", d)
	s := newStream(name)
	popular := zipf.New(s.Rand, 0.9, int(0.6*float64(c)))
	p := &pairs{stream: s}
	for len(s.keys) < 100*c {
		if s.IntN(2) == 0 {
			s.ask(uint64(popular.Next()))
		} else {
			p.ask(d * float64(c))
		}
	}
	return number(name, s.keys)
}

// phases is a loop over a set that nearly fills the cache, and batches of pairs, in turns of 30 c requests.
func phases(c int, name string, loop, distance float64) *trace.Trace {
	s := newStream(name)
	keys := int(loop * float64(c))
	for turn := 0; len(s.keys) < 240*c; turn++ {
		end := len(s.keys) + 30*c
		if turn%2 == 0 {
			for i := 0; len(s.keys) < end; i++ {
				s.ask(uint64(i % keys))
			}
			continue
		}
		batch := make([]uint64, int(distance*float64(c)))
		for len(s.keys) < end {
			for i := range batch {
				batch[i] = s.once()
			}
			for _, k := range batch {
				s.ask(k)
			}
		}
	}
	return number(name, s.keys)
}

// lowMixture has 6 % of pairs, whose distances are 0.25 to 0.31 c, among keys of which the cache holds a fortieth.
func lowMixture(c int) *trace.Trace {
	s := newStream("low mixture")
	p := &pairs{stream: s}
	for len(s.keys) < 120*c {
		if s.Float64() < 0.12 {
			p.ask((0.25 + 0.06*s.Float64()) * float64(c))
		} else {
			s.uniform(0, float64(40*c))
		}
	}
	return number("low mixture", s.keys)
}

// twoSets is a uniform choice of 0.9 c keys, and of 0.9 c others, in turns of 4 c.
func twoSets(c int) *trace.Trace {
	s := newStream("two sets")
	for len(s.keys) < 120*c {
		set := uint64(len(s.keys) / (4 * c) % 2)
		s.uniform(set<<20, 0.9*float64(c))
	}
	return number("two sets", s.keys)
}

// band is a hot set of 0.44 c keys, pairs just inside the cache's reach, and keys that come once.
func band(c int) *trace.Trace {
	s := newStream("band")
	p := &pairs{stream: s}
	for len(s.keys) < 120*c {
		switch x := s.Float64(); {
		case x < 0.76:
			s.uniform(0, 0.44*float64(c))
		case x < 0.88:
			p.ask(0.8 * float64(c))
		default:
			s.once()
		}
	}
	return number("band", s.keys)
}

// moat is a hot set of h c keys and pairs far apart, with a trickle of near pairs and keys that come once between: the near
// pairs alone say that a short queue is enough.
func moat(c int, h float64) *trace.Trace {
	name := fmt.Sprintf("moat %.2f", h)
	s := newStream(name)
	far, near := &pairs{stream: s}, &pairs{stream: s}
	for len(s.keys) < 120*c {
		switch x := s.Float64(); {
		case x < 0.5:
			s.uniform(0, h*float64(c))
		case x < 0.8:
			far.ask(0.49 * float64(c))
		case x < 0.83:
			near.ask(0.02 * float64(c))
		default:
			s.once()
		}
	}
	return number(name, s.keys)
}

// slowSwap is pairs far apart, then a hot set that needs nearly all of the cache, then pairs again; from one to the next
// within so many caches of requests.
func slowSwap(c int, over int) *trace.Trace {
	name := fmt.Sprintf("slow swap %d", over)
	s := newStream(name)
	p := &pairs{stream: s}
	const length = 40
	for len(s.keys) < 3*length*c {
		at := float64(len(s.keys)) / float64(c) // in caches
		hot := ramp(at, length, over) - ramp(at, 2*length, over)
		if s.Float64() < hot {
			s.uniform(0, 0.9*float64(c))
		} else {
			p.ask(0.7 * float64(c))
		}
	}
	return number(name, s.keys)
}

// ramp goes from 0 to 1 around a moment, over so many units.
func ramp(at float64, moment, over int) float64 {
	if over == 0 {
		if at < float64(moment) {
			return 0
		}
		return 1
	}
	return min(1, max(0, (at-float64(moment))/float64(over)+0.5))
}

// trickle is a loop that fits, and a thin stream of pairs that would like a fifth of the cache.
func trickle(c int) *trace.Trace {
	s := newStream("trickle")
	p := &pairs{stream: s}
	i := 0
	for len(s.keys) < 120*c {
		if s.Float64() < 0.08 {
			p.ask(2 * float64(c))
		} else {
			s.ask(uint64(i % int(0.95*float64(c))))
			i++
		}
	}
	return number("trickle", s.keys)
}

// whisper is a hot set with few pairs, whose part of the requests swings between 2 and 18 % over 16 c.
func whisper(c int) *trace.Trace {
	s := newStream("whisper")
	p := &pairs{stream: s}
	for len(s.keys) < 160*c {
		share := 0.1 + 0.08*math.Sin(2*math.Pi*float64(len(s.keys))/float64(16*c))
		if s.Float64() < share {
			p.ask(0.6 * float64(c))
		} else {
			s.uniform(0, 0.9*float64(c))
		}
	}
	return number("whisper", s.keys)
}

// sawTooth is a hot set of half the cache that drifts to other keys within 8 c, and then starts where it began.
func sawTooth(c int) *trace.Trace {
	s := newStream("saw-tooth")
	for len(s.keys) < 120*c {
		drift := float64(len(s.keys)%(8*c)) / float64(8*c) * 2 * float64(c)
		s.uniform(uint64(drift), 0.5*float64(c))
	}
	return number("saw-tooth", s.keys)
}

// twoTenants is one that asks by popularity and one that loops over what doesn't fit beside it, of which the second comes
// and goes.
func twoTenants(c int) *trace.Trace {
	s := newStream("two tenants")
	popular := zipf.New(s.Rand, 0.8, 4*c)
	i := 0
	for len(s.keys) < 160*c {
		busy := len(s.keys)/(20*c)%2 == 1
		if busy && s.IntN(2) == 0 {
			s.ask(1<<20 + uint64(i%(6*c/10)))
			i++
		} else {
			s.ask(uint64(popular.Next()))
		}
	}
	return number("two tenants", s.keys)
}

// loopCliff is a loop that grows from just under the cache to just over it, and shrinks again.
func loopCliff(c int) *trace.Trace {
	s := newStream("loop cliff")
	for round := 0; len(s.keys) < 160*c; round++ {
		n := int((1 + 0.1*math.Sin(2*math.Pi*float64(round)/20)) * float64(c))
		for i := range n {
			s.ask(uint64(i))
		}
	}
	return number("loop cliff", s.keys)
}
