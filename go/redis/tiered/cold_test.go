package tiered_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	larder "github.com/larder-cache/larder/go"
	"github.com/larder-cache/larder/go/redis/fleet"
	"github.com/larder-cache/larder/go/redis/internal/servertest"
)

// cold is what a process does that is one of several with many callers of one key: it waits for
// the word on its standard input, and says what they got and when.
func (p *plan) cold() {
	origin := redis.NewClient(&redis.Options{Addr: p.Origin})
	c := p.open()
	for c.Member().State() != fleet.Following {
		time.Sleep(time.Millisecond)
	}
	fmt.Println("ready")
	var word string
	fmt.Scanln(&word)
	loader := func(ctx context.Context, key []byte) (larder.Loaded, error) {
		n, err := origin.Incr(ctx, "loads").Result()
		if p.Hang {
			select {} // until the process is killed
		}
		time.Sleep(50 * time.Millisecond)
		return larder.Loaded{Value: strconv.AppendInt(nil, n, 10)}, err
	}
	var all sync.WaitGroup
	for range p.Callers {
		all.Go(func() {
			value, err := c.Load(context.Background(), nil, []byte("cold"), loader)
			if err != nil {
				panic(err)
			}
			if string(value) != "1" && string(value) != "2" {
				panic("got " + string(value))
			}
		})
	}
	all.Wait()
	fmt.Println("done", time.Now().UnixNano())
}

// child is a process of the test's own program.
type child struct {
	*exec.Cmd
	in  *os.File
	out *bytes.Buffer
	mu  *sync.Mutex
}

func (c *child) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Write(b)
}

func (c *child) said() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.String()
}

func launch(t *testing.T, p plan) *child {
	t.Helper()
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{Cmd: exec.Command(os.Args[0]), in: out, out: &bytes.Buffer{}, mu: &sync.Mutex{}}
	c.Env = append(os.Environ(), planVariable+"="+string(text))
	c.Stdin, c.Stdout, c.Stderr = in, c, os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
		in.Close()
		out.Close()
	})
	servertest.Eventually(t, "a process is ready", func() bool { return strings.Contains(c.said(), "ready") })
	return c
}

func coldPlan(t *testing.T) (plan, *servertest.Server) {
	server, origin := servertest.Any(t), servertest.Any(t)
	return plan{
		Subject: "tiered/go-redis", Server: server.Addr, Origin: origin.Addr,
		MaxStaleness: 10 * time.Second,
	}, origin
}

func TestThousandCallersInThreeProcesses(t *testing.T) {
	p, origin := coldPlan(t)
	p.Callers = 334
	var children []*child
	for range 3 {
		children = append(children, launch(t, p))
	}
	for _, c := range children {
		fmt.Fprintln(c.in, "go")
	}
	for _, c := range children {
		servertest.Eventually(t, "all have their value", func() bool { return strings.Contains(c.said(), "done") })
	}
	if n := origin.Do(t, "GET", "loads"); n != "1" {
		t.Errorf("the loader ran %v times", n)
	}
}

// The process whose loader runs is killed: the next begins when the lease is over.
func TestHolderIsKilled(t *testing.T) {
	p, origin := coldPlan(t)
	p.Callers = 10
	hanging := p
	hanging.Hang = true
	holder, next := launch(t, hanging), launch(t, p)
	fmt.Fprintln(holder.in, "go")
	servertest.Eventually(t, "the loader runs", func() bool { return origin.Do(t, "GET", "loads") == "1" })
	fmt.Fprintln(next.in, "go")
	time.Sleep(300 * time.Millisecond) // longer than the lease: it is renewed
	if n := origin.Do(t, "GET", "loads"); n != "1" {
		t.Fatalf("%v loaders while the first one lived", n)
	}
	killed := time.Now()
	holder.Process.Kill()
	servertest.Eventually(t, "the next has the value", func() bool { return strings.Contains(next.said(), "done") })
	if n := origin.Do(t, "GET", "loads"); n != "2" {
		t.Errorf("the loader ran %v times", n)
	}
	t.Logf("%v after the kill, with a lease of 200 ms and a load of 50 ms", time.Since(killed))
}
