package gateway

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

func TestDrainLetsRequestsFinish(t *testing.T) {
	begun, finish := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(finish) })
	c := origin(t, func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-finish
		_, _ = io.WriteString(w, "whole")
	})
	c.Listen, c.Cache.MaxBytes = "127.0.0.1:0", 8<<20
	c.Shutdown.Delay = 2 * time.Second // long enough to be seen on a busy machine
	t.Cleanup(release)                 // before the origin is closed, which waits for it
	if err := c.Finish(); err != nil {
		t.Fatal(err)
	}
	g, err := New(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	ctx, stop := context.WithCancel(context.Background())
	address, served := make(chan string, 1), make(chan error, 1)
	go func() { served <- g.Serve(ctx, func(a string) { address <- a }) }()
	url := "http://" + <-address

	// A dashboard that is open must not keep the gateway from stopping.
	events, err := client.Get(url + "/_larder/events")
	if err != nil {
		t.Fatal(err)
	}
	defer events.Body.Close()
	if _, err := bufio.NewReader(events.Body).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	body := make(chan string, 1)
	go func() {
		_, b := get(t, url)
		body <- b
	}()
	<-begun
	stop()
	eventually(t, "balancers are told to go elsewhere", func() bool {
		resp, err := client.Get(url + "/healthz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusServiceUnavailable
	})
	eventually(t, "no connection is accepted", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	select {
	case err := <-served:
		t.Fatalf("Serve returned %v while a request was in flight", err)
	default:
	}
	release()
	if got := <-body; got != "whole" {
		t.Errorf("the request in flight got %q", got)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestReloadKeepsWhatDidNotChange(t *testing.T) {
	const text = `
upstreams:
  same: {targets: ["http://127.0.0.1:1"], health: {interval: 1h}}
  changed: {targets: ["http://127.0.0.1:%s"]}
routes: [{path: /, upstream: same}, {path: /c/, upstream: changed}]
`
	g, _, _ := start(t, parse(t, strings.ReplaceAll(text, "%s", "2")))
	before := g.state.Load()
	next := parse(t, strings.ReplaceAll(text, "%s", "3"))
	next.Cache.MaxBytes = 16 << 20
	if err := g.Reload(next); err != nil {
		t.Fatal(err)
	}
	after := g.state.Load()
	if after.pools["same"] != before.pools["same"] {
		t.Error("a pool that did not change was replaced")
	}
	if after.pools["changed"] == before.pools["changed"] {
		t.Error("a pool that changed was not replaced")
	}
	if got := g.store.Stats().MaxBytes; got != 16<<20 {
		t.Errorf("the budget is %d", got)
	}
	next = parse(t, strings.ReplaceAll(text, "%s", "4"))
	next.Upstreams["changed"].Targets = []string{"http://[broken"}
	if err := g.Reload(next); err == nil || g.state.Load() != after {
		t.Errorf("a configuration that cannot work replaced one that does: %v", err)
	}
}

func TestReloadUnderLoad(t *testing.T) {
	c := origin(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = io.WriteString(w, "x")
	})
	g, url, _ := start(t, c)
	stop := make(chan struct{})
	failed := make(chan string, 4)
	for range cap(failed) {
		go func() {
			for {
				select {
				case <-stop:
					failed <- ""
					return
				default:
				}
				resp, err := client.Get(url + "/x")
				if err != nil || resp.StatusCode != 200 {
					failed <- "a request failed during a reload"
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		}()
	}
	for i := range 50 {
		next := config.Plain(c.Upstreams["upstream"].Targets[0])
		next.Cache.MaxBytes = config.Size(8+i%2) << 20
		next.Upstreams["upstream"].MaxConnections = 10 + i // a new pool each time
		if err := next.Finish(); err != nil {
			t.Fatal(err)
		}
		if err := g.Reload(next); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	for range cap(failed) {
		if problem := <-failed; problem != "" {
			t.Error(problem)
		}
	}
}

func TestDemoLoadIsSeenButNotLogged(t *testing.T) {
	c := parse(t, `
upstreams: {a: {targets: ["embedded:demo-test"]}}
routes: [{path: /, upstream: a}]
demo: {load: 60, paths: ["/airports/{ident}", "/airports/{hub}", "/countries/{country}", "/search?q={word}"]}
`)
	g, url, log := start(t, c)
	eventually(t, "there is traffic", func() bool { total := g.meter.Total(); return total.Total() > 30 })
	if resp, _ := get(t, url+"/airports/CDG"); !strings.Contains(cacheStatus(resp), "uri-miss") {
		t.Errorf("the demo's load made a person's first request a hit: %s", cacheStatus(resp))
	}
	get(t, url+"/airports/CDG")
	eventually(t, "the person's requests are logged", func() bool { return strings.Contains(log.String(), "cache=hit") })
	if n := strings.Count(log.String(), "msg=request"); n != 2 {
		t.Errorf("%d lines for two requests:\n%s", n, log)
	}
}

func TestPprofHasAnAddressOfItsOwn(t *testing.T) {
	c := origin(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.Pprof = l.Addr().String()
	l.Close()
	_, url, _ := start(t, c)
	eventually(t, "pprof answers", func() bool {
		resp, err := client.Get("http://" + c.Pprof + "/debug/pprof/cmdline")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	if resp, _ := get(t, url+"/debug/pprof/"); resp.StatusCode != http.StatusTeapot {
		t.Errorf("pprof on the main address: %d", resp.StatusCode)
	}
}

func TestConnectionLimit(t *testing.T) {
	c := origin(t, http.NotFound)
	c.Server.MaxConnections = 2
	_, url, _ := start(t, c)
	address := strings.TrimPrefix(url, "http://")
	var open []net.Conn
	defer func() {
		for _, conn := range open {
			conn.Close()
		}
	}()
	for range 2 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, conn)
		ask(t, conn, time.Now().Add(10*time.Second))
	}
	third, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	open = append(open, third)
	_, _ = io.WriteString(third, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	_ = third.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := third.Read(make([]byte, 1)); err == nil {
		t.Errorf("the third of two connections was answered with %d bytes", n)
	}
	open[0].Close()
	_ = third.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := third.Read(make([]byte, 1)); err != nil {
		t.Errorf("after one has gone: %v", err)
	}
}

func ask(t *testing.T, conn net.Conn, deadline time.Time) {
	t.Helper()
	_ = conn.SetDeadline(deadline)
	_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}
