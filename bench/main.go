// Bench measures larder beside other Go caches. Run it without arguments for its commands.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/larder-cache/larder/bench/internal/allocs"
	"github.com/larder-cache/larder/bench/internal/child"
	"github.com/larder-cache/larder/bench/internal/expiry"
	"github.com/larder-cache/larder/bench/internal/gcload"
	"github.com/larder-cache/larder/bench/internal/history"
	"github.com/larder-cache/larder/bench/internal/latency"
	"github.com/larder-cache/larder/bench/internal/memory"
	"github.com/larder-cache/larder/bench/internal/speed"
	"github.com/larder-cache/larder/bench/internal/utilisation"
)

var commands = []struct {
	name, about string
	run         func(args []string) error
}{
	{"speed", "time of get and set beside the peers", speed.Run},
	{"history", "what changed between two result files of speed, beside the peers", history.Run},
	{"memory", "resident bytes of an entry over its key and value", memory.Run},
	{"latency", "distribution of the time of single sets", latency.Run},
	{"gc", "what a full cache costs through the garbage collector", gcload.Run},
	{"allocs", "allocations of a get and a set", allocs.Run},
	{"utilisation", "how much of larder's budget live entries fill", utilisation.Run},
	{"expiry", "how soon larder's expired bytes are free, and at what cost", expiry.Run},
}

func main() {
	child.Main()
	if len(os.Args) > 1 {
		for _, c := range commands {
			if c.name != os.Args[1] {
				continue
			}
			err := c.run(os.Args[2:])
			if errors.Is(err, flag.ErrHelp) {
				os.Exit(2)
			}
			if err != nil {
				fmt.Fprintf(os.Stderr, "bench %s: %v\n", c.name, err)
				os.Exit(1)
			}
			return
		}
	}
	fmt.Fprintln(os.Stderr, "usage: bench COMMAND [-h] [flags]")
	for _, c := range commands {
		fmt.Fprintf(os.Stderr, "  %-12s %s\n", c.name, c.about)
	}
	os.Exit(2)
}
