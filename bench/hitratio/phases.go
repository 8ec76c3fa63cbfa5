package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/larder-cache/larder/bench/hitratio/synthetic"
	"github.com/larder-cache/larder/bench/hitratio/trace"
	"github.com/larder-cache/larder/bench/internal/report"
)

// sequence is traces one after the other, to see whether a policy gets stuck with what it learned from the one before.
type sequence struct {
	name  string
	parts []*trace.Trace
	sizes []int
}

// sequences of the public traces that are in the folder, and synthetic ones.
func sequences(folder string) ([]sequence, error) {
	loaded := map[string]*trace.Trace{}
	load := func(names ...string) ([]*trace.Trace, error) {
		var parts []*trace.Trace
		for _, n := range names {
			if loaded[n] == nil {
				t, err := loadNamed(folder, n)
				if err != nil {
					return nil, err
				}
				loaded[n] = t
			}
			parts = append(parts, loaded[n])
		}
		return parts, nil
	}
	var all []sequence
	for _, s := range []struct {
		traces []string
		sizes  []int
	}{
		{[]string{"OLTP", "loop", "gli", "OLTP"}, []int{500, 1000, 5000}},
		{[]string{"loop", "gli", "sprite", "multi1", "cache2k-web07", "cache2k-web12"}, []int{300, 1000, 3000}},
		{[]string{"corda-vaultservice", "loop", "corda-vaultservice"}, []int{512}},
	} {
		parts, err := load(s.traces...)
		if errors.Is(err, fs.ErrNotExist) {
			fmt.Printf("%s: left out, for want of %v\n", strings.Join(s.traces, ", "), err)
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, sequence{strings.Join(s.traces, ", "), parts, s.sizes})
	}
	scan := synthetic.Loop(50_000, 50_000)
	scan.Name = "scan"
	loop := synthetic.Loop(1000, 200_000)
	shifting := synthetic.ShiftingZipf(0.9, 100_000, 100_000, 1_000_000)
	return append(all,
		sequence{"a loop of 1000 after a scan", []*trace.Trace{scan, loop}, []int{300, 512, 900}},
		sequence{shifting.Name, []*trace.Trace{shifting}, []int{100, 500, 2000, 10_000, 20_000, 30_000}},
	), nil
}

func loadNamed(folder, name string) (*trace.Trace, error) {
	files, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if trace.Format(f.Name()) != "" && trace.Name(f.Name()) == name {
			return trace.Load(filepath.Join(folder, f.Name()))
		}
	}
	return nil, fmt.Errorf("trace %s: %w", name, fs.ErrNotExist)
}

// rivals are what larder is held against in sequences.
var rivals = []string{simLRU, simS3FIFO, simTwoLogs, "otter"}

func runPhases(o options) error {
	all, err := sequences(o.folder)
	if err != nil {
		return err
	}
	var rows []row
	for _, s := range all {
		t := trace.Concat(s.name, s.parts...)
		var ends []int
		end := 0
		for _, p := range s.parts {
			end += len(p.Keys)
			ends = append(ends, end)
		}
		var mine []row
		for _, n := range s.sizes {
			for _, c := range o.contestants {
				report.Progress("%s, %d entries: %s", s.name, n, c.name)
				r, err := runUnits(c, t, n, ends)
				if err != nil {
					return err
				}
				mine = append(mine, r)
			}
		}
		report.Progress("")
		printUnits(os.Stdout, o, t, mine)
		if len(s.parts) > 1 {
			printParts(o, s, mine)
		}
		printRivals(o, t, mine)
		rows = append(rows, mine...)
	}
	return report.WriteJSON(o.json, rows)
}

// printParts shows the hit ratio of each part.
func printParts(o options, s sequence, rows []row) {
	for _, n := range s.sizes {
		table := report.Table{Title: fmt.Sprintf("%s at %d entries, hit ratio in each part, %%", s.name, n),
			Header: []string{"cache"}}
		for _, p := range s.parts {
			table.Header = append(table.Header, p.Name)
		}
		for _, c := range o.contestants {
			r, ok := find(rows, s.name, int64(n), c.name)
			if !ok || len(r.Parts) == 0 {
				continue
			}
			cells := []any{c.name}
			for _, h := range r.Parts {
				cells = append(cells, percent(h))
			}
			table.Add(cells...)
		}
		table.Print(os.Stdout)
	}
}

func printRivals(o options, t *trace.Trace, rows []row) {
	table := report.Table{
		Title:  t.Name + ": larder's default beside the best of " + strings.Join(rivals, ", "),
		Header: []string{"entries", "larder, %", "best, %", "which", "larder / best", "larder - LRU, points"},
	}
	for _, n := range sortedCapacities(rows) {
		mine, ok := find(rows, t.Name, n, "larder")
		if !ok {
			continue
		}
		best, which := math.Inf(-1), ""
		for _, name := range rivals {
			if r, ok := find(rows, t.Name, n, name); ok && r.HitRatio > best {
				best, which = r.HitRatio, name
			}
		}
		if which == "" {
			continue
		}
		lru := "-"
		if r, ok := find(rows, t.Name, n, simLRU); ok {
			lru = fmt.Sprintf("%+.2f", 100*(mine.HitRatio-r.HitRatio))
		}
		table.Add(n, percent(mine.HitRatio), percent(best), which, fmt.Sprintf("%.3f", mine.HitRatio/math.Max(best, 1e-9)), lru)
	}
	table.Print(os.Stdout)
}
