package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// cpu compares what a request costs in processor time of the server's process, as
// Linux counts it for each thread. The targets take turns every few dozen milliseconds, so
// that whatever else the machine does happens to all of them alike: where requests a second vary by a
// fifth from round to round, this tells differences of two hundredths.
func cpu(args []string) error {
	flags := flag.NewFlagSet("cpu", flag.ContinueOnError)
	conns := flags.Int("c", 32, "`connections` to each target")
	chunk := flags.Int("n", 2000, "`requests` in a turn")
	rounds := flags.Int("rounds", 120, "`number` of turns")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var targets []*cpuTarget
	for _, arg := range flags.Args() {
		t, err := newCPUTarget(arg, *conns)
		if err != nil {
			return err
		}
		targets = append(targets, t)
	}
	if len(targets) == 0 {
		return errors.New("no PID=URL")
	}
	for round := range *rounds + 1 {
		for i := range targets {
			if err := targets[(i+round)%len(targets)].turn(*chunk / *conns, round > 0); err != nil {
				return err
			}
		}
	}
	fmt.Printf("%d turns of %d requests, %d connections; medians, the factors those of the turns' own\n", *rounds, *chunk, *conns)
	first := targets[0]
	for _, t := range targets {
		fmt.Printf("%-36s %7.0f ns of the server's processor time a request x%.3f, %7.0f/s x%.3f\n", t.url,
			middleOf(t.cost), middleOf(quotients(t.cost, first.cost)), middleOf(t.rate), middleOf(quotients(t.rate, first.rate)))
	}
	return nil
}

func quotients(a, b []float64) []float64 {
	q := make([]float64, len(a))
	for i := range a {
		q[i] = a[i] / b[i]
	}
	return q
}

func middleOf(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}

// cpuTarget is a URL, the process that answers it, and what was measured.
type cpuTarget struct {
	pid, url   string
	conns      []*rawConn
	cost, rate []float64 // ns and requests a second, of each turn
}

func newCPUTarget(arg string, conns int) (*cpuTarget, error) {
	pid, rawURL, ok := strings.Cut(arg, "=")
	if !ok {
		return nil, fmt.Errorf("%q is not PID=URL", arg)
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	t := &cpuTarget{pid: pid, url: rawURL}
	for range conns {
		c, err := net.Dial("tcp", u.Host)
		if err != nil {
			return nil, err
		}
		t.conns = append(t.conns, &rawConn{
			c: c, r: bufio.NewReaderSize(c, 64<<10),
			request: []byte("GET " + u.RequestURI() + " HTTP/1.1\r\nHost: " + u.Host + "\r\n\r\n"),
		})
	}
	return t, nil
}

// turn sends each requests over every connection.
func (t *cpuTarget) turn(each int, count bool) error {
	// A thread's time is counted when it goes to sleep.
	time.Sleep(500 * time.Microsecond)
	used, start := processorTime(t.pid), time.Now()
	errs := make([]error, len(t.conns))
	var all sync.WaitGroup
	for i, c := range t.conns {
		all.Go(func() {
			for n := 0; n < each && errs[i] == nil; n++ {
				errs[i] = c.get()
			}
		})
	}
	all.Wait()
	span := time.Since(start)
	time.Sleep(500 * time.Microsecond)
	used = processorTime(t.pid) - used
	if count {
		requests := float64(each * len(t.conns))
		t.cost = append(t.cost, float64(used)/requests)
		t.rate = append(t.rate, requests/span.Seconds())
	}
	return errors.Join(errs...)
}

// processorTime sums up the nanoseconds that a process's threads have run.
func processorTime(pid string) (sum int64) {
	threads, _ := filepath.Glob("/proc/" + pid + "/task/*/schedstat")
	for _, name := range threads {
		text, _ := os.ReadFile(name) // a thread may have ended
		ran, _, _ := strings.Cut(string(text), " ")
		n, _ := strconv.ParseInt(ran, 10, 64)
		sum += n
	}
	return sum
}

// rawConn speaks just enough HTTP to ask for the same thing again.
type rawConn struct {
	c       net.Conn
	r       *bufio.Reader
	request []byte
}

func (c *rawConn) get() error {
	if _, err := c.c.Write(c.request); err != nil {
		return err
	}
	length := -1
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		const name = "Content-Length:"
		if len(line) > len(name) && bytes.EqualFold(line[:len(name)], []byte(name)) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(name):]))); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return errors.New("a response without Content-Length")
	}
	_, err := io.CopyN(io.Discard, c.r, int64(length))
	return err
}
