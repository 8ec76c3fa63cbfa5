package main

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

func client(conns int) *http.Client {
	return &http.Client{
		Transport: &http.Transport{MaxIdleConns: conns, MaxIdleConnsPerHost: conns, MaxConnsPerHost: conns, DisableCompression: true},
		Timeout:   30 * time.Second,
	}
}

// get asks once and reads all of the answer.
func get(c *http.Client, url string) (*http.Response, error) {
	resp, err := c.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, resp.Status)
	}
	return resp, nil
}

// count asks the origin how many requests it has had.
func count(origin string) (int64, error) {
	resp, err := http.Get(origin + "/count")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(string(text), 10, 64)
}

// crowd fails unless the origin has seen one request.
func crowd(args []string) error {
	flags := flag.NewFlagSet("crowd", flag.ContinueOnError)
	n := flags.Int("n", 1000, "`clients`")
	from := flags.String("origin", "http://127.0.0.1:9100", "`URL` of the origin")
	target := flags.String("target", "http://127.0.0.1:8080", "`URL` of the cache")
	if err := flags.Parse(args); err != nil {
		return err
	}
	before, err := count(*from)
	if err != nil {
		return err
	}
	url := fmt.Sprintf("%s/1024/cold-%d?delay=300", *target, time.Now().UnixNano())
	c := client(*n)
	var failed atomic.Int64
	var all sync.WaitGroup
	gate := make(chan struct{})
	for range *n {
		all.Go(func() {
			<-gate
			if _, err := get(c, url); err != nil {
				failed.Add(1)
			}
		})
	}
	start := time.Now()
	close(gate)
	all.Wait()
	after, err := count(*from)
	if err != nil {
		return err
	}
	fmt.Printf("%d clients, one cold key, 300 ms at the origin: %d requests upstream, %d errors, all answered after %v\n",
		*n, after-before, failed.Load(), time.Since(start).Round(time.Millisecond))
	if after-before != 1 || failed.Load() != 0 {
		return fmt.Errorf("%d requests reached the origin, %d failed", after-before, failed.Load())
	}
	return nil
}
