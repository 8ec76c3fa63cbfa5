// Package history compares two result files of the speed benchmark, which may come from different machines.
//
// Nanoseconds of two machines, or of one at two hours, can't be compared; ratios to the peers that ran in turns with larder
// can. For each case the compared number is larder's CPU time over the geometric mean of the CPU times of the peers that
// both files have.
package history

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"sort"

	"github.com/larder-cache/larder/bench/internal/report"
	"github.com/larder-cache/larder/bench/internal/speed"
)

// subject is the cache whose history it is.
const subject = "larder"

// key is what is measured: the same in both files.
type key struct {
	Case                           string
	Entries, ValueSize, Goroutines int
}

// Change is how a case's ratio to the peers changed.
type Change struct {
	key
	Old, New float64
}

// Worse is by how much more time it takes than before, relative to the peers: 0.1 is 10 %.
func (c Change) Worse() float64 { return c.New/c.Old - 1 }

// Run compares the files that the arguments name, prints what changed by more than a bound, and fails if something got worse
// by more.
func Run(args []string) error {
	f := flag.NewFlagSet("history", flag.ContinueOnError)
	percent := f.Float64("percent", 10, "changes of less are noise")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() != 2 {
		return errors.New("two files are wanted, the older one first: as `make bench JSON=file` writes them")
	}
	older, err := read(f.Arg(0))
	if err != nil {
		return err
	}
	newer, err := read(f.Arg(1))
	if err != nil {
		return err
	}
	changes := Compare(older, newer)
	if len(changes) == 0 {
		return fmt.Errorf("%s and %s have no case in common in which %s and a peer ran", f.Arg(0), f.Arg(1), subject)
	}
	table := report.Table{
		Title:  fmt.Sprintf("CPU time of %s over its peers', changes of more than %g %% (of %d cases)", subject, *percent, len(changes)),
		Header: []string{"case", "entries", "value", "goroutines", "old", "new", "change"},
	}
	worse := 0
	for _, c := range changes {
		if math.Abs(c.Worse()) <= *percent/100 {
			continue
		}
		if c.Worse() > 0 {
			worse++
		}
		table.Add(c.Case, c.Entries, c.ValueSize, c.Goroutines, fmt.Sprintf("%.3f", c.Old), fmt.Sprintf("%.3f", c.New),
			fmt.Sprintf("%+.0f %%", 100*c.Worse()))
	}
	table.Print(os.Stdout)
	if worse > 0 {
		return fmt.Errorf("%d of %d cases got worse by more than %g %%", worse, len(changes), *percent)
	}
	return nil
}

func read(name string) ([]speed.Measurement, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var all []speed.Measurement
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return all, nil
}

// Compare returns the cases that both have, the worst change first.
func Compare(older, newer []speed.Measurement) []Change {
	before, after := byCase(older), byCase(newer)
	var changes []Change
	for k, b := range before {
		a, ok := after[k]
		if !ok {
			continue
		}
		peers := common(b, a)
		if len(peers) == 0 || b[subject] == 0 || a[subject] == 0 {
			continue
		}
		changes = append(changes, Change{k, b[subject] / mean(b, peers), a[subject] / mean(a, peers)})
	}
	sort.Slice(changes, func(i, j int) bool {
		if changes[i].Worse() != changes[j].Worse() {
			return changes[i].Worse() > changes[j].Worse()
		}
		return fmt.Sprint(changes[i].key) < fmt.Sprint(changes[j].key)
	})
	return changes
}

// common lists the peers that both have.
func common(b, a map[string]float64) []string {
	var peers []string
	for cache := range b {
		if _, both := a[cache]; both && cache != subject {
			peers = append(peers, cache)
		}
	}
	return peers
}

// mean is the geometric mean of the peers' times.
func mean(times map[string]float64, peers []string) float64 {
	var logs float64
	for _, peer := range peers {
		logs += math.Log(times[peer])
	}
	return math.Exp(logs / float64(len(peers)))
}

func byCase(all []speed.Measurement) map[key]map[string]float64 {
	cases := map[key]map[string]float64{}
	for _, m := range all {
		if m.CPU <= 0 {
			continue
		}
		k := key{m.Case, m.Entries, m.ValueSize, m.Goroutines}
		if cases[k] == nil {
			cases[k] = map[string]float64{}
		}
		cases[k][m.Cache] = m.CPU
	}
	return cases
}
