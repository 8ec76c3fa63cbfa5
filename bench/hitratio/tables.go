package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/larder-cache/larder/bench/hitratio/chart"
	"github.com/larder-cache/larder/bench/hitratio/trace"
	"github.com/larder-cache/larder/bench/internal/report"
)

func find(rows []row, traceName string, capacity int64, cache string) (row, bool) {
	for _, r := range rows {
		if r.Trace == traceName && r.Capacity == capacity && r.Cache == cache {
			return r, true
		}
	}
	return row{}, false
}

func percent(ratio float64) string {
	if ratio < 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", 100*ratio)
}

// byCapacity makes a table with a line for each capacity and a column for each cache.
func byCapacity(o options, title, first string, unit int64, t *trace.Trace, rows []row, cell func(row) string) report.Table {
	table := report.Table{Title: title, Header: []string{first}}
	for _, c := range o.contestants {
		if slices.ContainsFunc(rows, func(r row) bool { return r.Cache == c.name && r.HitRatio >= 0 }) {
			table.Header = append(table.Header, c.name)
		}
	}
	for _, n := range sortedCapacities(rows) {
		cells := []any{n / unit}
		for _, name := range table.Header[1:] {
			text := "-"
			if r, ok := find(rows, t.Name, n, name); ok && r.HitRatio >= 0 {
				text = cell(r)
			}
			cells = append(cells, text)
		}
		table.Add(cells...)
	}
	return table
}

func printUnits(w io.Writer, o options, t *trace.Trace, rows []row) {
	table := byCapacity(o, fmt.Sprintf("%s: %d requests, %d distinct keys. Hit ratio, %%", t.Name, len(t.Keys), t.Distinct),
		"entries", 1, t, rows, func(r row) string { return percent(r.HitRatio) })
	table.Print(w)
}

func printBytes(w io.Writer, o options, t *trace.Trace, nominal, resident []row) {
	cell := func(r row) string {
		if r.Cache == offline {
			return "< " + percent(r.HitRatio)
		}
		if r.Resident == 0 {
			return fmt.Sprintf("%s / %s", percent(r.HitRatio), percent(r.ByteHitRatio))
		}
		return fmt.Sprintf("%s / %s (%d)", percent(r.HitRatio), percent(r.ByteHitRatio), r.Resident>>20)
	}
	title := fmt.Sprintf("%s: %d requests, %d distinct keys. Hit ratio, %% / byte hit ratio, %% (resident MiB)", t.Name,
		len(t.Keys), t.Distinct)
	table := byCapacity(o, title+"; the limit given to the cache is", "MiB", 1<<20, t, nominal, cell)
	table.Print(w)
	table = byCapacity(o, title+"; the limit chosen so that the resident memory grows by", "MiB", 1<<20, t, resident, cell)
	table.Print(w)
}

// printSummary compares the caches over all rows, and over the standard rows if there are others.
func printSummary(w io.Writer, o options, rows []row) {
	if len(rows) == 0 {
		return
	}
	standard := slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return !r.Standard })
	if len(standard) > 0 {
		summary(w, o, "Summary of the standard rows", standard)
	}
	if len(standard) < len(rows) {
		summary(w, o, "Summary of all rows", rows)
	}
}

func summary(w io.Writer, o options, title string, rows []row) {
	type place struct {
		trace    string
		capacity int64
	}
	best := map[place]float64{}
	optimum := map[place]float64{}
	for _, r := range rows {
		p := place{r.Trace, r.Capacity}
		if r.Cache == offline {
			optimum[p] = r.HitRatio
		} else {
			best[p] = math.Max(best[p], r.HitRatio)
		}
	}
	table := report.Table{
		Title: fmt.Sprintf("%s: %d rows (trace x capacity)", title, len(optimum)),
		Header: []string{"cache", "rows", "mean hit ratio, %", "mean share of " + offline, "worst row against the best, points",
			"which row", "copies an insert"},
	}
	for _, c := range o.contestants {
		var n, hits, share, copies float64
		worst, worstAt := math.Inf(1), place{}
		for _, r := range rows {
			if r.Cache != c.name || r.HitRatio < 0 {
				continue
			}
			p := place{r.Trace, r.Capacity}
			n++
			hits += r.HitRatio
			share += r.HitRatio / math.Max(optimum[p], 1e-9)
			copies += r.CopiesPerInsert
			if d := r.HitRatio - best[p]; d < worst {
				worst, worstAt = d, p
			}
		}
		if n == 0 {
			continue
		}
		copied := "-"
		if copies > 0 {
			copied = fmt.Sprintf("%.2f", copies/n)
		}
		where, against := fmt.Sprintf("%s at %d", worstAt.trace, worstAt.capacity), fmt.Sprintf("%+.1f", 100*worst)
		if c.name == offline {
			where, against = "-", "-"
		}
		table.Add(c.name, n, fmt.Sprintf("%.2f", 100*hits/n), fmt.Sprintf("%.3f", share/n), against, where, copied)
	}
	table.Print(w)
	fmt.Fprintln(w, `
"Best" is the best of all columns but the optimum. A cache with fewer rows can't be made with the capacities of the
others: its means are over other rows.`)
}

// draw writes the miss-ratio curves of a trace.
func draw(o options, name, unit string, rows []row) error {
	capacities := sortedCapacities(rows)
	if o.svg == "" || len(capacities) < 2 {
		return nil
	}
	c := chart.Chart{Title: name + ": miss ratio by capacity", XLabel: "capacity, " + unit, YLabel: "miss ratio, %"}
	for _, n := range capacities {
		if unit == "MiB" {
			n >>= 20
		}
		c.X = append(c.X, float64(n))
		c.XText = append(c.XText, fmt.Sprint(n))
	}
	for _, col := range o.contestants {
		s := chart.Series{Name: col.name, Strong: col.name == "larder", Dashed: col.peer == ""}
		any := false
		for _, n := range capacities {
			y := math.NaN()
			if r, ok := find(rows, name, n, col.name); ok && r.HitRatio >= 0 {
				y, any = 100*(1-r.HitRatio), true
			}
			s.Y = append(s.Y, y)
		}
		if any {
			c.Series = append(c.Series, s)
		}
	}
	if err := os.MkdirAll(o.svg, 0o755); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(o.svg, name+".svg"))
	if err != nil {
		return err
	}
	if err := c.Write(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
