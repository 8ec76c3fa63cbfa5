// Package linearizability holds a test of package larder, in a module of its own since it
// needs a checker that the package should not depend on.
//
// Goroutines load, get, set, add, delete and mark as stale a few keys, and note when each
// call began and ended and what it returned. The checker then looks for an order of the calls,
// one that agrees with those times, in which a simple model gives the same results. For a
// cache whose loads let older values through there is none; naive_test.go has two of those, to see that the checker finds them.
package linearizability
