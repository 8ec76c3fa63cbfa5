package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/larder-cache/larder/bench/hitratio/synthetic"
	"github.com/larder-cache/larder/bench/hitratio/trace"
	"github.com/larder-cache/larder/bench/internal/report"
)

// runBattery replays the traces of synthetic.Battery, and holds larder's default against exact LRU and the best of
// its rivals in each.
func runBattery(o options) error {
	var rows []row
	for _, c := range synthetic.Battery(o.battery) {
		if !o.wants(c.Trace.Name) {
			continue
		}
		if o.dump != "" {
			if err := dump(o.dump, c.Trace); err != nil {
				return err
			}
			continue
		}
		for _, contestant := range o.contestants {
			report.Progress("%s: %s", c.Trace.Name, contestant.name)
			r, err := runUnits(contestant, c.Trace, c.Capacity, nil)
			if err != nil {
				return err
			}
			rows = append(rows, r)
		}
	}
	report.Progress("")
	if o.dump != "" {
		return nil
	}
	printBattery(o, rows)
	return report.WriteJSON(o.json, rows)
}

// printBattery has a line a trace, in the order in which they were replayed.
func printBattery(o options, rows []row) {
	table := report.Table{
		Title:  fmt.Sprintf("the battery at %d entries, hit ratio, %%", o.battery),
		Header: []string{"trace"},
	}
	for _, c := range o.contestants {
		table.Header = append(table.Header, c.name)
	}
	table.Header = append(table.Header, "larder - LRU", "larder - best")
	for start := 0; start < len(rows); start += len(o.contestants) {
		of := rows[start : start+len(o.contestants)]
		cells := []any{of[0].Trace}
		var mine, lru, best float64
		for _, r := range of {
			cells = append(cells, percent(r.HitRatio))
			switch {
			case r.Cache == "larder":
				mine = r.HitRatio
			case r.Cache == offline:
			default:
				best = max(best, r.HitRatio)
			}
			if r.Cache == simLRU {
				lru = r.HitRatio
			}
		}
		points := func(other float64) string { return fmt.Sprintf("%+.1f", 100*(mine-other)) }
		table.Add(append(cells, points(lru), points(best))...)
	}
	table.Print(os.Stdout)
}

// dump writes a trace as policysim reads it: keys of four bytes, little-endian.
func dump(folder string, t *trace.Trace) error {
	bytes := make([]byte, 0, 4*len(t.Keys))
	for _, k := range t.Keys {
		bytes = binary.LittleEndian.AppendUint32(bytes, k)
	}
	file := strings.ReplaceAll(t.Name, " ", "-") + ".u32"
	return os.WriteFile(filepath.Join(folder, file), bytes, 0o644)
}
