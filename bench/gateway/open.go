package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// open asks at a fixed rate, whatever the answers take, so that a server that falls
// behind shows it. With -rate 0 the rate is -of times what the first URL answers in a
// closed loop of the same clients.
func open(args []string) error {
	flags := flag.NewFlagSet("open", flag.ContinueOnError)
	rate := flags.Int("rate", 0, "requests a `second`; 0: -of times the saturation of the first URL")
	of := flags.Float64("of", 0.7, "`fraction` of the saturation")
	span := flags.Duration("for", 5*time.Second, "`time` of each round")
	rounds := flags.Int("rounds", 5, "`number` of rounds, in turns")
	conns := flags.Int("c", 64, "`connections`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	urls := flags.Args()
	if len(urls) == 0 {
		return errors.New("no URL")
	}
	if *rate == 0 {
		m := attack(*conns, *conns, urls[0], vegeta.ConstantPacer{}, *span)
		*rate = int(*of * float64(len(m.latencies)) / span.Seconds())
		fmt.Printf("saturation of %s in a closed loop: %.0f/s\n", urls[0], float64(len(m.latencies))/span.Seconds())
	}
	fmt.Printf("open loop, %d/s, %d rounds of %v in turns, medians of the rounds:\n", *rate, *rounds, *span)
	results := make([][]measured, len(urls))
	for range *rounds {
		for i, u := range urls {
			results[i] = append(results[i], attack(*conns, *conns*16, u, vegeta.Rate{Freq: *rate, Per: time.Second}, *span))
		}
	}
	fmt.Printf("%-36s %8s %9s %9s %9s %9s %7s %7s\n", "", "answers", "p50", "p99", "p99.9", "max", "p99.9 x", "errors")
	first := time.Duration(0)
	for i, u := range urls {
		at := func(q float64) time.Duration {
			var all []time.Duration
			for _, m := range results[i] {
				all = append(all, m.quantile(q))
			}
			return middle(all)
		}
		failed, answers := 0, 0
		for _, m := range results[i] {
			answers += len(m.latencies)
			failed += m.failed
		}
		tail := at(0.999)
		if i == 0 {
			first = tail
		}
		fmt.Printf("%-36s %8d %9v %9v %9v %9v %7.2f %7d\n", u, answers, micro(at(0.5)), micro(at(0.99)), micro(tail), micro(at(1)),
			float64(tail)/float64(first), failed)
	}
	return nil
}

func micro(d time.Duration) time.Duration { return d.Round(time.Microsecond) }

// measured is one round.
type measured struct {
	latencies []time.Duration // in order
	failed    int
}

func (m *measured) quantile(q float64) time.Duration { return quantile(m.latencies, q) }

// quantile of values in order; 1 is the highest.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func middle(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// attack has an attacker of its own each time: one that has ended stays stopped.
// It keeps as many idle connections as it may have workers, or those beyond would
// connect anew for each request, and that would be what is measured.
func attack(conns, workers int, url string, pace vegeta.Pacer, span time.Duration) measured {
	a := vegeta.NewAttacker(vegeta.Connections(workers), vegeta.KeepAlive(true), vegeta.HTTP2(false),
		vegeta.Timeout(10*time.Second), vegeta.Workers(uint64(conns)), vegeta.MaxWorkers(uint64(workers)))
	var m measured
	targets := vegeta.NewStaticTargeter(vegeta.Target{Method: "GET", URL: url})
	for r := range a.Attack(targets, pace, span, url) {
		m.latencies = append(m.latencies, r.Latency)
		if r.Code != 200 {
			m.failed++
		}
	}
	slices.Sort(m.latencies)
	return m
}
