package main

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// zipf asks for URLs of which a few are popular, in a closed loop. Sizes are between 256
// bytes and 64 KiB, the same for a URL always. Hits are what the origin did not see.
func zipf(args []string) error {
	flags := flag.NewFlagSet("zipf", flag.ContinueOnError)
	keys := flags.Int("keys", 20000, "`number` of URLs")
	skew := flags.Float64("skew", 1.0, "`exponent`")
	warm := flags.Int("warm", 30000, "`requests` before measuring")
	requests := flags.Int("requests", 60000, "`requests` measured")
	conns := flags.Int("c", 32, "`connections`")
	from := flags.String("origin", "http://127.0.0.1:9100", "`URL` of the origin")
	pid := flags.Int("pid", 0, "process `id` of the cache, for its memory")
	target := flags.String("target", "http://127.0.0.1:8080", "`URL` of the cache")
	name := flags.String("name", "", "`name` in the line printed")
	if err := flags.Parse(args); err != nil {
		return err
	}
	urls := zipfURLs(*target, *keys)
	cumulative := weights(*keys, *skew)
	c := client(*conns)
	if _, failed := drive(c, urls, cumulative, *conns, *warm, 1); failed > 0 {
		return fmt.Errorf("%d errors", failed)
	}
	before, err := count(*from)
	if err != nil {
		return err
	}
	start := time.Now()
	latencies, failed := drive(c, urls, cumulative, *conns, *requests, 2)
	took := time.Since(start)
	after, err := count(*from)
	if err != nil {
		return err
	}
	fmt.Printf("| %s | %.0f | %v | %v | %.1f %% | %.0f MiB | %d |\n", *name, float64(len(latencies))/took.Seconds(),
		micro(quantile(latencies, 0.5)), micro(quantile(latencies, 0.99)),
		100*(1-float64(after-before)/float64(len(latencies))), resident(*pid), failed)
	return nil
}

func zipfURLs(target string, n int) []string {
	urls := make([]string, n)
	random := rand.New(rand.NewPCG(1, 2))
	sizes := []int{256, 1 << 10, 1 << 10, 4 << 10, 4 << 10, 16 << 10, 64 << 10}
	for i := range urls {
		urls[i] = fmt.Sprintf("%s/%d/item-%d", target, sizes[random.IntN(len(sizes))], i)
	}
	return urls
}

// weights returns running sums of 1/i^skew.
func weights(n int, skew float64) []float64 {
	sums := make([]float64, n)
	sum := 0.0
	for i := range sums {
		sum += math.Pow(float64(i+1), -skew)
		sums[i] = sum
	}
	return sums
}

func drive(c *http.Client, urls []string, cumulative []float64, conns, requests int, seed uint64) (latencies []time.Duration, failed int64) {
	var left, failures atomic.Int64
	left.Store(int64(requests))
	parts := make([][]time.Duration, conns)
	var all sync.WaitGroup
	for i := range conns {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		all.Go(func() {
			for left.Add(-1) >= 0 {
				at, _ := slices.BinarySearch(cumulative, random.Float64()*cumulative[len(cumulative)-1])
				start := time.Now()
				if _, err := get(c, urls[at]); err != nil {
					failures.Add(1)
					continue
				}
				parts[i] = append(parts[i], time.Since(start))
			}
		})
	}
	all.Wait()
	latencies = slices.Concat(parts...)
	slices.Sort(latencies)
	return latencies, failures.Load()
}

// fill asks for each of many URLs once.
func fill(args []string) error {
	flags := flag.NewFlagSet("fill", flag.ContinueOnError)
	n := flags.Int("n", 1_000_000, "`number` of URLs")
	ttl := flags.Int("ttl", 60, "freshness in `seconds`")
	size := flags.Int("size", 256, "`bytes` of a body")
	conns := flags.Int("c", 32, "`connections`")
	target := flags.String("target", "http://127.0.0.1:9101", "`URL` of the cache")
	again := flags.Duration("again", 0, "go on for this `time`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	c := client(*conns)
	var next, failed atomic.Int64
	start := time.Now()
	var all sync.WaitGroup
	for range *conns {
		all.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(*n) && time.Since(start) >= *again {
					return
				}
				if _, err := get(c, fmt.Sprintf("%s/%d/fill-%d?ttl=%d", *target, *size, i, *ttl)); err != nil {
					failed.Add(1)
				}
			}
		})
	}
	all.Wait()
	fmt.Printf("%d URLs in %v, %d errors\n", next.Load()-int64(*conns), time.Since(start).Round(time.Millisecond), failed.Load())
	return nil
}
