package main

import "sort"

// standardSizes are the capacities, in entries, at which the public traces are measured; the tables of hit ratios in
// the documentation have these rows. Trace names are those of the files that scripts/fetch-traces.sh makes.
var standardSizes = map[string][]int{
	"OLTP":              {250, 500, 750, 1000, 1250, 1500, 1750, 2000, 5000, 10000, 15000},
	"loop":              {250, 500, 750, 1000},
	"gli":               {250, 500, 750, 1000, 1250, 1500, 1750, 2000},
	"sprite":            {100, 400, 1000},
	"scarab-recs":       {25000, 50000, 75000, 100000},
	"cache2k-orm-busy":  {1250, 2500, 5000, 10000},
	"cache2k-web12":     {75, 300, 1200, 3000},
	"P3":                {25000, 50000, 75000, 100000, 200000, 400000},
	"cloudphysics-w106": {2500, 25000, 50000, 100000},
}

// sizesFor returns the standard capacities of a trace, or else some shares of its distinct keys.
func sizesFor(name string, distinct int) (sizes []int, standard bool) {
	if s, ok := standardSizes[name]; ok {
		return s, true
	}
	for _, share := range []float64{0.01, 0.03, 0.1, 0.3} {
		if n := round2(share * float64(distinct)); n >= 50 {
			sizes = append(sizes, n)
		}
	}
	if len(sizes) == 0 {
		sizes = []int{max(distinct/2, 1)}
	}
	return sizes, false
}

// round2 rounds to two significant digits.
func round2(x float64) int {
	unit := 1.0
	for x/unit >= 100 {
		unit *= 10
	}
	return int(x/unit+0.5) * int(unit)
}

// byteBudgets are the capacities at which traces with sizes are measured, in MiB: multiples of fastcache's least
// capacity of 32 MiB among them.
var byteBudgets = []int{16, 32, 64, 128}

// sortedCapacities returns the capacities of rows in ascending order.
func sortedCapacities(rows []row) []int64 {
	seen := map[int64]bool{}
	var out []int64
	for _, r := range rows {
		if !seen[r.Capacity] {
			seen[r.Capacity] = true
			out = append(out, r.Capacity)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i] < out[j] })
	return out
}
