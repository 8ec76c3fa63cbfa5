// Package speed measures the time of an operation, larder beside its peers.
//
// Each cache lives in a process of its own. For every case the processes take turns, round after round, each round
// starting with another cache; the median of the rounds counts. Wall and CPU time are measured; CPU time includes
// the garbage collector and the caches' own goroutines and threads.
package speed

import (
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/larder-cache/larder/bench/internal/child"
	"github.com/larder-cache/larder/bench/internal/measure"
	"github.com/larder-cache/larder/bench/internal/peers"
	"github.com/larder-cache/larder/bench/internal/report"
)

// Measurement is a case of one cache with all its rounds.
type Measurement struct {
	Cache      string
	Entries    int
	ValueSize  int
	Case       string
	Goroutines int
	// Nanoseconds an operation: wall is elapsed time over the operations of all goroutines together, CPU the time
	// of all cores.
	Wall, CPU             float64
	WallRounds, CPURounds []float64
	Ops                   int
	Misses, Wrong         int
	Refused               int
	// LostShare is the share of new keys that could not be read back after Set returned.
	LostShare float64
}

type options struct {
	caches     []string
	groups     []Group
	goroutines []int
	rounds     int
	duration   time.Duration
	hotKeys    bool
	policy     string
	cases      []string
	json       string
}

// residentCases run on a cache with room for every key.
var residentCases = []string{getHit, getMany, getMiss, mixed, setOverwrite}

// Run is the command. It returns an error, too, if a value was wrong.
func Run(args []string) error {
	f := flag.NewFlagSet("speed", flag.ContinueOnError)
	full := f.Bool("full", false, "all caches, sizes and rounds (about half an hour) instead of a quick run")
	caches := f.String("caches", "", "comma-separated caches: "+strings.Join(peers.Names(), ", "))
	groups := f.String("groups", "", "comma-separated entries x value bytes, as 10000x64,2000000x100")
	goroutines := f.String("goroutines", "", "comma-separated numbers of goroutines (and GOMAXPROCS); default 1,2, quick: 1,2")
	rounds := f.Int("rounds", 0, "interleaved rounds (default 7, quick: 3)")
	duration := f.Duration("round", 0, "time of a round (default 400ms, quick: 150ms)")
	cases := f.String("cases", "", "comma-separated cases (default: all)")
	hot := f.Bool("hot-keys", false, "lay keys out in order of use, so that reading a key costs no cache miss")
	policy := f.String("policy", "", "larder's policy")
	json := f.String("json", "", "write all measurements to this file")
	if err := f.Parse(args); err != nil {
		return err
	}
	o := options{
		caches: []string{"larder", "otter", "fastcache", "freecache", "map"},
		groups: []Group{{10_000, 64}, {10_000, 1024}, {1_000_000, 100}},
		rounds: 3, duration: 150 * time.Millisecond, goroutines: []int{1, 2},
		hotKeys: *hot, policy: *policy, json: *json,
	}
	if *full {
		o.caches = slices.DeleteFunc(peers.Names(), func(n string) bool { return n == "golang-lru-2q" })
		o.groups = []Group{{10_000, 64}, {10_000, 1024}, {10_000, 8192}, {2_000_000, 100}}
		o.rounds, o.duration = 7, 400*time.Millisecond
	}
	if *caches != "" {
		o.caches = strings.Split(*caches, ",")
	}
	if *rounds > 0 {
		o.rounds = *rounds
	}
	if *duration > 0 {
		o.duration = *duration
	}
	if *cases != "" {
		o.cases = strings.Split(*cases, ",")
	}
	if *goroutines != "" {
		o.goroutines = nil
		for s := range strings.SplitSeq(*goroutines, ",") {
			n, err := strconv.Atoi(s)
			if err != nil {
				return err
			}
			o.goroutines = append(o.goroutines, n)
		}
	}
	if *groups != "" {
		o.groups = nil
		for s := range strings.SplitSeq(*groups, ",") {
			var g Group
			if _, err := fmt.Sscanf(s, "%dx%d", &g.Entries, &g.ValueSize); err != nil {
				return fmt.Errorf("group %q: %w", s, err)
			}
			if g.ValueSize < 8 {
				return fmt.Errorf("group %q: a value must be 8 bytes or more, to carry its key's tag", s)
			}
			o.groups = append(o.groups, g)
		}
	}
	all, err := measureAll(o)
	if err != nil {
		return err
	}
	printTables(os.Stdout, o, all)
	if err := report.WriteJSON(o.json, all); err != nil {
		return err
	}
	return checkValues(all)
}

func checkValues(all []Measurement) error {
	for _, m := range all {
		if m.Wrong > 0 {
			return fmt.Errorf("%s returned %d wrong values in %s of %d x %d bytes", m.Cache, m.Wrong, m.Case,
				m.Entries, m.ValueSize)
		}
	}
	return nil
}

func (o options) wants(name string) bool { return len(o.cases) == 0 || slices.Contains(o.cases, name) }

func measureAll(o options) ([]Measurement, error) {
	var all []Measurement
	for _, g := range o.groups {
		for _, evicting := range []bool{false, true} {
			var cases []string
			for _, c := range residentCases {
				if !evicting && o.wants(c) {
					cases = append(cases, c)
				}
			}
			if evicting && o.wants(setEvicting) {
				cases = []string{setEvicting}
			}
			if len(cases) == 0 {
				continue
			}
			m, err := measureGroup(o, g, evicting, cases)
			if err != nil {
				return nil, err
			}
			all = append(all, m...)
		}
	}
	return all, nil
}

// measureGroup starts a process for each cache and lets them take turns.
func measureGroup(o options, g Group, evicting bool, cases []string) ([]Measurement, error) {
	var names []string
	var children []*child.Process
	defer func() {
		for _, c := range children {
			_ = c.Stop() // its results are in already
		}
	}()
	for _, name := range o.caches {
		p, err := peers.Find(name)
		if err != nil {
			return nil, err
		}
		if evicting && p.Bound == peers.Unbounded {
			continue
		}
		report.Progress("%v: filling %s", g, name)
		c, err := child.Start(childName)
		if err != nil {
			return nil, err
		}
		children = append(children, c)
		names = append(names, name)
		var lost int
		s := setup{Cache: name, Group: g, Evicting: evicting, HotKeys: o.hotKeys, Policy: o.policy}
		if err := c.Call(s, &lost); err != nil {
			return nil, fmt.Errorf("%s, %v: %w", name, g, err)
		}
	}
	var all []Measurement
	for _, caseName := range cases {
		for _, goroutines := range o.goroutines {
			report.Progress("%v: %s, %d goroutines", g, caseName, goroutines)
			ms := make([]Measurement, len(names))
			for i, name := range names {
				ms[i] = Measurement{Cache: name, Entries: g.Entries, ValueSize: g.ValueSize, Case: caseName,
					Goroutines: goroutines}
			}
			for round := range o.rounds {
				for i := range children {
					i = (i + round) % len(children)
					var r Result
					if err := children[i].Call(run{caseName, goroutines, o.duration}, &r); err != nil {
						return nil, fmt.Errorf("%s, %s, %v: %w", names[i], caseName, g, err)
					}
					ms[i].record(r)
				}
			}
			for i := range ms {
				ms[i].Wall = measure.Median(slices.Clone(ms[i].WallRounds))
				ms[i].CPU = measure.Median(slices.Clone(ms[i].CPURounds))
			}
			all = append(all, ms...)
		}
	}
	report.Progress("")
	return all, nil
}

func (m *Measurement) record(r Result) {
	if r.Ops == 0 {
		return // it can't do this case
	}
	ops := float64(r.Ops)
	m.WallRounds = append(m.WallRounds, float64(r.Wall)/ops)
	m.CPURounds = append(m.CPURounds, float64(r.CPU)/ops)
	m.Ops += r.Ops
	m.Misses += r.Misses
	m.Wrong += r.Wrong
	m.Refused += r.Refused
	m.LostShare = math.Max(m.LostShare, r.LostShare)
}

// lostTooMany is the share of lost sets from which a cache counts as dropping sets.
const lostTooMany = 0.01

// competes tells whether a measurement counts for the best peer of its case.
func (m Measurement) competes() bool {
	p, err := peers.Find(m.Cache)
	return err == nil && m.Cache != "larder" && p.Bound != peers.Unbounded && m.LostShare < lostTooMany
}

func printTables(w io.Writer, o options, all []Measurement) {
	for _, g := range o.groups {
		t := report.Table{
			Title: fmt.Sprintf("%v: ns per operation, wall (CPU); medians of %d rounds", g, o.rounds),
			Header: append([]string{"case, goroutines"}, append(slices.Clone(o.caches), "best peer", "larder / best",
				"CPU / best CPU")...),
		}
		for _, c := range append(slices.Clone(residentCases), setEvicting) {
			for _, n := range o.goroutines {
				addRow(&t, o, all, g, c, n)
			}
		}
		t.Print(w)
	}
	fmt.Fprint(w, `
Ratios below 1: larder is faster than the fastest peer that keeps what it is given (the map is no peer: it never evicts).
"!n %" marks a cache that lost n % of new keys right after they were set; "?n" one that missed n per thousand gets that
should have hit. get-many is compared with the fastest peer's get-hit, key by key.
`)
}

// rivalCase is the case of the peers that a case of larder's is compared with.
func rivalCase(name string) string {
	if name == getMany {
		return getHit
	}
	return name
}

func addRow(t *report.Table, o options, all []Measurement, g Group, caseName string, goroutines int) {
	row := []any{fmt.Sprintf("%s, %d", caseName, goroutines)}
	var mine Measurement
	best, bestCPU := Measurement{Wall: math.Inf(1)}, math.Inf(1)
	found := false
	for _, name := range o.caches {
		cell := "-"
		for _, m := range all {
			if m.Cache != name || m.Goroutines != goroutines || m.Entries != g.Entries || m.ValueSize != g.ValueSize ||
				m.Ops == 0 {
				continue
			}
			if m.Case == rivalCase(caseName) && m.competes() {
				if m.Wall < best.Wall {
					best = m
				}
				bestCPU = math.Min(bestCPU, m.CPU)
			}
			if m.Case != caseName {
				continue
			}
			found = true
			cell = m.cell()
			if name == "larder" {
				mine = m
			}
		}
		row = append(row, cell)
	}
	if !found {
		return
	}
	if best.Cache == "" || mine.Cache == "" {
		row = append(row, "-", "-", "-")
	} else {
		row = append(row, best.Cache, fmt.Sprintf("%.2f", mine.Wall/best.Wall), fmt.Sprintf("%.2f", mine.CPU/bestCPU))
	}
	t.Add(row...)
}

func (m Measurement) cell() string {
	text := fmt.Sprintf("%.0f (%.0f)", m.Wall, m.CPU)
	if m.LostShare >= lostTooMany {
		text += fmt.Sprintf(" !%.0f %%", 100*m.LostShare)
	}
	if share := float64(m.Misses) / float64(m.Ops); share >= 0.001 {
		text += fmt.Sprintf(" ?%.0f", 1000*share)
	}
	return text
}
