// Hitratio replays traces through larder and other Go caches, by their own interfaces, and compares their hit ratios with
// those of exact LRU and of the offline optimum.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/larder-cache/larder/bench/hitratio/synthetic"
	"github.com/larder-cache/larder/bench/hitratio/trace"
	"github.com/larder-cache/larder/bench/internal/child"
	"github.com/larder-cache/larder/bench/internal/peers"
	"github.com/larder-cache/larder/bench/internal/report"
)

// largeTrace is the number of requests from which a trace is only replayed with -full.
const largeTrace = 2_000_000

type options struct {
	folder      string
	only        []string
	sizes       []int
	full        bool
	phases      bool
	battery     int
	dump        string
	units       bool
	trace       trace.Options
	fixedSizes  bool
	resident    string
	svg         string
	json        string
	contestants []contestant
}

func main() {
	child.Main()
	err := run(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hitratio:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	switch {
	case o.phases:
		return runPhases(o)
	case o.battery > 0:
		return runBattery(o)
	}
	sources, err := findTraces(o)
	if err != nil {
		return err
	}
	var units, byBytes, resident []row
	for _, s := range sources {
		t, err := s.load()
		if err != nil {
			return err
		}
		if o.dump != "" {
			if err := dump(o.dump, t); err != nil {
				return err
			}
			continue
		}
		if len(t.Keys) > largeTrace && !o.full {
			fmt.Printf("%s: %d requests, left out without -full\n", t.Name, len(t.Keys))
			continue
		}
		if t.Sizes != nil && !o.units {
			b, r, err := replayAllBytes(o, s.file, t)
			if err != nil {
				return err
			}
			byBytes, resident = append(byBytes, b...), append(resident, r...)
			continue
		}
		rows, err := replayAllUnits(o, t)
		if err != nil {
			return err
		}
		units = append(units, rows...)
	}
	report.Progress("")
	if o.dump != "" {
		return nil
	}
	printSummary(os.Stdout, o, units)
	return report.WriteJSON(o.json, map[string][]row{"units": units, "bytes": byBytes, "resident": resident})
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("hitratio", flag.ContinueOnError)
	f.StringVar(&o.folder, "traces", "", "folder of traces; without it, small synthetic ones are made on the spot")
	only := f.String("only", "", "comma-separated names of traces")
	sizes := f.String("sizes", "", "comma-separated capacities in entries (in MiB for traces with sizes)")
	policies := f.String("policies", strings.Join(peers.Policies, ","), "comma-separated policies of larder")
	caches := f.String("caches", "", "comma-separated columns to print besides larder's and "+offline+" (default: all)")
	format := f.String("format", "", "the traces' format, whatever their names say: "+strings.Join(trace.Formats, " "))
	columns := f.String("columns", "", "columns of .csv traces, such as time=1,key=2,size=3,header,delimiter=; (default: by the header)")
	f.BoolVar(&o.units, "units", false, "count entries, also where the trace has sizes")
	f.BoolVar(&o.full, "full", false, "replay large traces, too")
	f.BoolVar(&o.phases, "phases", false, "replay sequences of phases and shifting popularity instead")
	f.IntVar(&o.battery, "battery", 0, "replay the adversarial battery instead, for a cache of so many entries (8192 is usual)")
	f.StringVar(&o.dump, "u32", "", "write the traces into this folder as policysim reads them (.u32), and replay nothing")
	f.BoolVar(&o.fixedSizes, "fixed-sizes", false, "traces with sizes: an object keeps the size it had first (else a change is a miss)")
	f.StringVar(&o.resident, "resident", residentMeasures[0],
		"traces with sizes: resident memory is its peak, or what there is after the replay, or that when settled: "+
			strings.Join(residentMeasures, ", "))
	f.StringVar(&o.svg, "svg", "", "draw the miss-ratio curves into this folder")
	f.StringVar(&o.json, "json", "", "write all rows to this file")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if *format != "" {
		o.trace.Format = "." + strings.TrimPrefix(*format, ".")
		if !slices.Contains(trace.Formats, o.trace.Format) {
			return o, fmt.Errorf("-format: %q is none of %s", *format, strings.Join(trace.Formats, " "))
		}
	}
	if *columns != "" {
		var err error
		if o.trace.Columns, err = trace.ParseColumns(*columns); err != nil {
			return o, fmt.Errorf("-columns: %w", err)
		}
	}
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	if *sizes != "" {
		for s := range strings.SplitSeq(*sizes, ",") {
			n, err := strconv.Atoi(s)
			if err != nil || n < 1 {
				return o, fmt.Errorf("-sizes: %q is no capacity", s)
			}
			o.sizes = append(o.sizes, n)
		}
	}
	if !slices.Contains(residentMeasures, o.resident) {
		return o, fmt.Errorf("-resident: %q is none of %s", o.resident, strings.Join(residentMeasures, ", "))
	}
	o.contestants = contestants(strings.Split(*policies, ","))
	if *caches != "" {
		wanted := strings.Split(*caches, ",")
		o.contestants = slices.DeleteFunc(o.contestants, func(c contestant) bool {
			return c.peer != "larder" && c.name != offline && !slices.Contains(wanted, c.name)
		})
	}
	return o, nil
}

// source is a trace that can be loaded.
type source struct {
	file string
	load func() (*trace.Trace, error)
}

// findTraces lists the traces of the folder in the order of their file names, or the synthetic ones.
func findTraces(o options) ([]source, error) {
	var sources []source
	if o.folder == "" {
		for _, t := range synthetic.All() {
			if o.wants(t.Name) {
				sources = append(sources, source{load: func() (*trace.Trace, error) { return t, nil }})
			}
		}
	} else {
		files, err := os.ReadDir(o.folder)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			if trace.Format(f.Name()) == "" && o.trace.Format == "" || !o.wants(trace.Name(f.Name())) {
				continue
			}
			file := filepath.Join(o.folder, f.Name())
			sources = append(sources, source{file, func() (*trace.Trace, error) { return trace.LoadWith(file, o.trace) }})
		}
	}
	if len(sources) == 0 {
		return nil, fmt.Errorf("no traces in %q: their names end in %s, perhaps with .gz, .zst or .xz; or say -format",
			o.folder, strings.Join(trace.Formats, " "))
	}
	return sources, nil
}

func (o options) wants(name string) bool { return len(o.only) == 0 || slices.Contains(o.only, name) }

func replayAllUnits(o options, t *trace.Trace) ([]row, error) {
	sizes, standard := sizesFor(t.Name, t.Distinct)
	if o.sizes != nil {
		sizes, standard = o.sizes, false
	}
	var rows []row
	for _, n := range sizes {
		for _, c := range o.contestants {
			report.Progress("%s, %d entries: %s", t.Name, n, c.name)
			r, err := runUnits(c, t, n, nil)
			if err != nil {
				return nil, err
			}
			r.Standard = standard
			rows = append(rows, r)
		}
	}
	report.Progress("")
	printUnits(os.Stdout, o, t, rows)
	return rows, draw(o, t.Name, "entries", rows)
}

func replayAllBytes(o options, file string, t *trace.Trace) (nominal, resident []row, err error) {
	if o.fixedSizes {
		fixSizes(t)
	}
	budgets := byteBudgets
	if o.sizes != nil {
		budgets = o.sizes
	}
	for _, mib := range budgets {
		for _, c := range o.contestants {
			report.Progress("%s, %d MiB: %s", t.Name, mib, c.name)
			budget := int64(mib) << 20
			r, err := runBytes(o, c, file, t, budget)
			if err != nil {
				return nil, nil, err
			}
			nominal = append(nominal, r)
			if c.peer == "" {
				continue
			}
			if r, err = runResident(o, c, file, t, budget); err != nil {
				return nil, nil, err
			}
			resident = append(resident, r)
		}
	}
	report.Progress("")
	printBytes(os.Stdout, o, t, nominal, resident)
	return nominal, resident, draw(o, t.Name, "MiB", nominal)
}
