// Gatewayload is what `make bench-gateway` and `make soak-gateway` are made of: an
// origin, a server that answers the same bytes with and without httpcache, and clients
// that wrk is not: with an open loop, with a thousand requests for one cold key, with
// thousands of connections at once. scripts/gateway.sh puts them together.
//
// Everything is on loopback, and the clients share the machine's processors with what
// they measure. So only what is measured in turns, in one run, can be compared.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
)

var commands = []struct {
	name, about string
	run         func(args []string) error
}{
	{"origin", "an upstream: /SIZE/NAME answers SIZE bytes of JSON, fresh for ?ttl= seconds, after ?delay= ms", origin},
	{"serve", "a net/http server: /static/SIZE from memory, the rest from httpcache in front of the origin", serve},
	{"open", "an open loop at one rate against several URLs in turns: percentiles", open},
	{"cpu", "several PID=URL in turns of some milliseconds: processor time of the server for a request", cpu},
	{"crowd", "many clients ask for one cold URL at once: requests that reach the origin", crowd},
	{"hold", "many connections, each asking now and then, for a minute: errors, and memory of the server", hold},
	{"zipf", "closed loop over many URLs, some asked for more often: throughput, percentiles, hit ratio", zipf},
	{"fill", "asks once for each of many URLs, so that a cache is full of them", fill},
}

func main() {
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
				fmt.Fprintf(os.Stderr, "gatewayload %s: %v\n", c.name, err)
				os.Exit(1)
			}
			return
		}
	}
	fmt.Fprintln(os.Stderr, "usage: gatewayload COMMAND [-h] [flags]")
	for _, c := range commands {
		fmt.Fprintf(os.Stderr, "  %-8s %s\n", c.name, c.about)
	}
	os.Exit(2)
}
