package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/larder-cache/larder/go/redis/internal/servertest"
)

const (
	hotKeys  = 1000
	roundFor = 150 * time.Millisecond
)

// hits measures hits of 1,000 keys.
func hits() error {
	server, err := servertest.Launch(servertest.Valkey)
	if err != nil {
		return err
	}
	defer server.Close()
	for _, size := range []int{100, 8 << 10} {
		if err := hitsOf(server, size); err != nil {
			return err
		}
	}
	return nil
}

func hitsOf(server *servertest.Server, size int) error {
	keys := make([]string, hotKeys)
	for i := range keys {
		keys[i] = keyOf(i)
		names[keys[i]] = nameOf(keys[i])
		if _, err := server.TryDo("SET", keys[i], strings.Repeat("v", size)); err != nil {
			return err
		}
	}
	all := contenders(server.Addr)
	for _, c := range all {
		get := c.get()
		for range 2 {
			for _, key := range keys {
				get(key)
			}
		}
	}
	for _, goroutines := range []int{1, 2} {
		fmt.Printf("\nA near hit, values of %d bytes, %d goroutine(s): ns, allocations, of the rival\n",
			size, goroutines)
		times, allocations := make(map[string][]float64), make(map[string]float64)
		for range *rounds {
			for _, c := range all {
				ns, allocs := measure(c, keys, goroutines)
				times[c.name] = append(times[c.name], ns)
				allocations[c.name] = allocs
			}
		}
		for _, c := range all {
			line := fmt.Sprintf("  %-36s %7.0f %5.2f", c.name, median(times[c.name]), allocations[c.name])
			if c.rival != "" {
				line += fmt.Sprintf("   %.2f", median(times[c.name])/median(times[c.rival]))
			}
			fmt.Println(line)
		}
	}
	return nil
}

// measure runs a contender for a while: nanoseconds, of a goroutine, and allocations of a get.
func measure(c contender, keys []string, goroutines int) (ns, allocs float64) {
	var before, after runtime.MemStats
	var group sync.WaitGroup
	var mu sync.Mutex
	gets, spent := 0, time.Duration(0)
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range goroutines {
		get := c.get()
		group.Go(func() {
			n, begin := 0, time.Now()
			for time.Since(begin) < roundFor {
				for _, key := range keys {
					get(key)
				}
				n += len(keys)
			}
			mu.Lock()
			defer mu.Unlock()
			gets += n
			spent += time.Since(begin)
		})
	}
	group.Wait()
	runtime.ReadMemStats(&after)
	ns = float64(spent.Nanoseconds()) / float64(gets)
	return ns, float64(after.Mallocs-before.Mallocs) / float64(gets)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
