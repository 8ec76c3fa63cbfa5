// Command bench compares larder as the client-side cache of go-redis and rueidis with what these
// libraries have themselves, in one run, side by side.
//
//	bench [-only hits,memory,invalidations] [-rounds N]
//
// It starts a server of its own, as the tests do. `make bench-fleet` runs it.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
)

var (
	rounds = flag.Int("rounds", 7, "rounds of each measurement; the median is told")
	plant  = flag.Bool("plant", false, "lose an invalidation now and then, to see it noticed")
)

// part is a measurement by the name that -only has.
type part struct {
	name string
	run  func() error
}

func main() {
	only := flag.String("only", "", "comma-separated: hits, memory, invalidations; all if empty")
	child := flag.String("child", "", "used by the measurement of memory for itself")
	flag.Parse()
	if *child != "" {
		exit(measureChild(*child))
	}
	fmt.Printf("%s, %d CPUs\n", runtime.Version(), runtime.NumCPU())
	parts := []part{{"hits", hits}, {"memory", memory}, {"invalidations", invalidations}}
	for _, p := range parts {
		if *only == "" || strings.Contains(","+*only+",", ","+p.name+",") {
			if err := p.run(); err != nil {
				exit(err)
			}
		}
	}
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
