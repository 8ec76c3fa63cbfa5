package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// hold opens connections and keeps them all; each asks once in a while. It fails on any
// error, and if the server's memory has grown by more than -grow once all were open.
func hold(args []string) error {
	flags := flag.NewFlagSet("hold", flag.ContinueOnError)
	n := flags.Int("n", 5000, "`connections`")
	span := flags.Duration("for", time.Minute, "`time` to hold them")
	every := flags.Duration("every", time.Second, "`time` between two requests of a connection")
	pid := flags.Int("pid", 0, "process `id` of the server")
	grow := flags.Float64("grow", 1.1, "`factor` by which its memory may grow from the first fifth to the end")
	target := flags.String("url", "http://127.0.0.1:8080/1024/held", "`URL`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	u, err := url.Parse(*target)
	if err != nil {
		return err
	}
	var requests, failed atomic.Int64
	var firstError atomic.Pointer[error]
	fail := func(err error) {
		failed.Add(1)
		firstError.CompareAndSwap(nil, &err)
	}
	before := resident(*pid)
	stop := make(chan struct{})
	var all sync.WaitGroup
	var opened sync.WaitGroup
	for i := range *n {
		opened.Add(1)
		all.Go(func() {
			time.Sleep(time.Duration(i) * *every / time.Duration(*n)) // not all at once, now and later
			conn, err := net.Dial("tcp", u.Host)
			opened.Done()
			if err != nil {
				fail(err)
				return
			}
			defer conn.Close()
			r := bufio.NewReaderSize(conn, 512)
			for {
				_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
				if err := ask(conn, r, u); err != nil {
					fail(err)
					return
				}
				requests.Add(1)
				select {
				case <-stop:
					return
				case <-time.After(*every):
				}
			}
		})
	}
	opened.Wait()
	fmt.Printf("%8s  resident %5.1f MiB\n", "before", before)
	var early, late float64
	for i := range 5 {
		time.Sleep(*span / 5)
		late = resident(*pid)
		if i == 0 {
			early = late
		}
		fmt.Printf("%8v  resident %5.1f MiB, %d requests, %d errors\n", *span/5*time.Duration(i+1), late, requests.Load(), failed.Load())
	}
	close(stop)
	all.Wait()
	fmt.Printf("%d connections held for %v: %d requests, %d errors, resident %.1f MiB to %.1f MiB\n",
		*n, *span, requests.Load(), failed.Load(), early, late)
	if e := firstError.Load(); e != nil {
		return *e
	}
	if *pid != 0 && late > early**grow {
		return errors.New("the server's memory has grown")
	}
	return nil
}

func ask(conn net.Conn, r *bufio.Reader, u *url.URL) error {
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", u.RequestURI(), u.Host); err != nil {
		return err
	}
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// resident returns a process's resident memory in MiB, 0 for none.
func resident(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		var kib float64
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kib); err == nil {
			return kib / 1024
		}
	}
	return 0
}
