package httpcache

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// hung is an origin that is asked for a stale response and does not answer until it
// is let.
func hungRig(t *testing.T, o Options, header ...string) (*rig, *gate) {
	r := newRig(t, o)
	r.set(reply(200, "old", header...))
	r.get("/")
	r.clock.advance(5 * sec)
	g := newGate()
	r.h = r.cache.Handler(g)
	return r, g
}

const mayBeStale = "Cache-Control: max-age=1, stale-if-error=600"

// A client waits for a silent origin as long as the cache lets it, and no other one
// does. The fetch goes on, and is stored.
func TestStaleWhileOriginIsSilent(t *testing.T) {
	r, g := hungRig(t, Options{StaleTimeout: 20 * time.Millisecond}, mayBeStale)
	rec := r.get("/")
	checkFields(t, 1, "response", rec.Header(), []string{"Cache-Status: larder; hit; fwd=stale; ttl=-4; detail=timeout"})
	if rec.Body.String() != "old" || r.lastEvent().Outcome != Stale {
		t.Fatalf("got %d %q, %v", rec.Code, rec.Body, r.lastEvent().Outcome)
	}
	for range 20 {
		rec := r.get("/")
		checkFields(t, 2, "response", rec.Header(), []string{"Cache-Status: ~detail=silent"})
		if rec.Body.String() != "old" {
			t.Fatalf("got %d %q", rec.Code, rec.Body)
		}
	}
	if n := g.count.Load(); n != 1 {
		t.Errorf("the origin was asked %d times", n)
	}
	g.release <- reply(200, "new", fresh)
	r.joined0(t)
	if rec := r.get("/"); rec.Body.String() != "new" {
		t.Errorf("afterwards got %q", rec.Body)
	}
}

// Ten seconds later it is asked again, in the background, until it answers.
func TestSilentOriginIsTriedAgain(t *testing.T) {
	r, g := hungRig(t, Options{StaleTimeout: 10 * time.Millisecond, JoinTimeout: time.Nanosecond}, mayBeStale)
	for range 3 {
		for range 5 {
			if rec := r.get("/"); rec.Body.String() != "old" {
				t.Fatalf("got %d %q", rec.Code, rec.Body)
			}
		}
		<-g.asked
		r.clock.advance(11 * sec)
	}
	if n := g.count.Load(); n != 3 {
		t.Errorf("the origin was asked %d times, want 3", n)
	}
	// Errors do not make anyone wait either; an answer ends it.
	for range 3 {
		g.release <- reply(504, "")
	}
	r.joined0(t)
	r.cache.shared.background.Wait()
	if rec := r.get("/"); rec.Body.String() != "old" {
		t.Errorf("got %d %q", rec.Code, rec.Body)
	}
}

// A route's timeout that is shorter than all others gives stale, not 504.
func TestStaleAtTheRequestsTimeout(t *testing.T) {
	r, g := hungRig(t, Options{StaleTimeout: -1}, mayBeStale)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if rec := r.do(r.request("", "/", nil, "").WithContext(ctx)); rec.Code != 200 || rec.Body.String() != "old" {
		t.Errorf("got %d %q", rec.Code, rec.Body)
	}
	upstream := <-g.asked
	if err := upstream.Context().Err(); err != nil {
		t.Errorf("the fetch ended with the request: %v", err)
	}
	g.release <- reply(200, "new", fresh)
	r.joined0(t)
	if rec := r.get("/"); rec.Body.String() != "new" {
		t.Errorf("then got %q", rec.Body)
	}
}

// What must not be served stale is not: the request waits for the next hop.
func TestSilenceGivesNothingThatAnErrorWouldNot(t *testing.T) {
	for name, c := range map[string]struct{ header, with []string }{
		"must-revalidate":   {[]string{"Cache-Control: max-age=1, must-revalidate", etag}, nil},
		"never fresh":       {[]string{etag}, nil},
		"no-cache":          {[]string{"Cache-Control: no-cache", etag}, nil},
		"client's no-cache": {[]string{mayBeStale}, []string{"Cache-Control: no-cache"}},
		"window over":       {[]string{"Cache-Control: max-age=1, stale-if-error=2", etag}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r, g := hungRig(t, Options{StaleTimeout: time.Millisecond}, c.header...)
			wait := crowd(r, 1, func(int) *http.Request { return r.request("", "/", c.with, "") })
			<-g.asked
			time.Sleep(10 * time.Millisecond)
			g.release <- reply(200, "new", fresh)
			if rec := wait()[0]; rec.Body.String() != "new" {
				t.Errorf("got %d %q", rec.Code, rec.Body)
			}
		})
	}
}

func TestPurgedIsNotServedForSilence(t *testing.T) {
	r, g := hungRig(t, Options{StaleTimeout: 20 * time.Millisecond}, mayBeStale, "Surrogate-Key: k")
	wait := crowd(r, 1, func(int) *http.Request { return r.request("", "/", nil, "") })
	<-g.asked
	r.cache.PurgeTag("k", Hard)
	time.Sleep(30 * time.Millisecond)
	g.release <- reply(200, "new", fresh)
	if rec := wait()[0]; rec.Body.String() != "new" {
		t.Errorf("got %d %q", rec.Code, rec.Body)
	}
}

// An origin that breaks off before anything of its answer was sent on: stale if that
// may be, or else 502; never nothing.
func TestBrokenOff(t *testing.T) {
	for _, stale := range []bool{true, false} {
		r := newRig(t, Options{})
		if stale {
			r.set(reply(200, "old", mayBeStale))
			r.get("/")
			r.clock.advance(5 * sec)
		}
		r.set(reply(200, "bro", fresh, "Content-Length: 6"))
		rec := r.get("/")
		if stale && rec.Body.String() != "old" || !stale && (rec.Code != 502 || rec.Body.Len() != 0) {
			t.Errorf("stale %v: got %d %q", stale, rec.Code, rec.Body)
		}
		if got := r.lastEvent().Status; got != rec.Code {
			t.Errorf("the event says %d, the client got %d", got, rec.Code)
		}
	}
}

// A private resource that is polled is transferred to this hop, not to the client.
func TestPrivateIsNotModified(t *testing.T) {
	r := newRig(t, Options{})
	lastModified := "Last-Modified: " + r.date(-100*sec)
	for i, c := range []struct {
		with string
		want int
	}{
		{`If-None-Match: "p1"`, 304}, {`If-None-Match: W/"p1"`, 304}, {`If-None-Match: "p2"`, 200},
		{"If-Modified-Since: " + r.date(0), 304}, {"If-Modified-Since: " + r.date(-200*sec), 200},
	} {
		for _, status := range []int{200, 404} {
			r.cache.shared.busy.slots = [4096]atomic.Uint64{} // as if it were cold
			r.set(reply(status, "mine", "Cache-Control: private", `Etag: "p1"`, lastModified, "Set-Cookie: a=1"))
			rec := r.get(fmt.Sprint("/", i), c.with)
			want := c.want
			if status == 404 {
				want = 404
			}
			if rec.Code != want || rec.Header().Get("Set-Cookie") == "" || want == 304 && (rec.Body.Len() != 0 || rec.Header().Get("Etag") != `"p1"`) {
				t.Errorf("%s: got %d %q %v", c.with, rec.Code, rec.Body, rec.Header())
			}
		}
	}
}

// HEAD is answered as GET would be.
func TestStaleForHead(t *testing.T) {
	for _, status := range []int{500, 502, 503, 504} {
		r := newRig(t, Options{})
		inner := r.h
		r.h = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("X-Request-Id", "7")
			inner.ServeHTTP(w, req)
		})
		r.set(reply(200, "old", mayBeStale))
		r.get("/")
		r.clock.advance(5 * sec)
		r.set(reply(status, "", "X-User: alice", "Content-Length: 99"))
		rec := r.do(r.request("HEAD", "/", nil, ""))
		checkFields(t, 1, "response", rec.Header(), []string{"!X-User", "Content-Length: 3", "X-Request-Id: 7", "Cache-Status: ~hit; fwd=stale"})
		if rec.Code != 200 || rec.Body.Len() != 0 || r.lastEvent().Outcome != Stale {
			t.Errorf("%d: got %d %q, %+v", status, rec.Code, rec.Body, r.lastEvent())
		}
		r.clock.advance(3600 * sec)
		if rec := r.do(r.request("HEAD", "/", nil, "")); rec.Code != status {
			t.Errorf("when its window is over got %d", rec.Code)
		}
	}
}

// A client that leaves while it waits is no error of the gateway's.
func TestClientThatLeaves(t *testing.T) {
	r := newRig(t, Options{})
	g := newGate()
	r.h = r.cache.Handler(g)
	ctx, cancel := context.WithCancel(context.Background())
	wait := crowd(r, 1, func(int) *http.Request { return r.request("", "/", nil, "").WithContext(ctx) })
	<-g.asked
	cancel()
	wait()
	if ev := r.lastEvent(); ev.Status != StatusClientClosedRequest || !ev.Aborted {
		t.Errorf("the event is %+v", ev)
	}
	g.release <- reply(200, "", fresh)
}

// Statuses that no client can read are 502, and never stored.
func TestStatusesThatAreNone(t *testing.T) {
	for _, status := range []int{1, 99, 101, 600, 999, 1000} {
		for _, path := range []string{"GET /", "GET /busy", "POST /"} {
			r := newRig(t, Options{})
			if path == "GET /busy" {
				r.set(reply(200, "", "Cache-Control: no-store"))
				r.get("/busy")
			}
			r.set(reply(status, "odd", fresh, "Set-Cookie: a=1", etag))
			method, path := path[:len(path)-len(path[findSlash(path):])-1], path[findSlash(path):]
			if method == "POST" && status == 101 {
				continue
			}
			if path == "/busy" && status == 101 {
				continue // upgrades pass by
			}
			rec := r.do(r.request(method, path, nil, ""))
			if rec.Code != 502 || rec.Body.Len() != 0 || r.store.len() != 0 || rec.Header().Get("Set-Cookie") != "" {
				t.Errorf("%s %s, %d: got %d %q %v, %d stored", method, path, status, rec.Code, rec.Body, rec.Header(), r.store.len())
			}
		}
	}
}

func findSlash(s string) int {
	for i := range s {
		if s[i] == '/' {
			return i
		}
	}
	return -1
}

// Interim responses are not kept.
func TestInterimResponsesAreBounded(t *testing.T) {
	f := newFlight("", moment{})
	for range 3000 {
		f.addInterim(interim{status: 103})
	}
	if n := len(f.interim); n != maxInterim {
		t.Errorf("%d interim responses are kept", n)
	}
	r := newRig(t, Options{})
	r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 100 {
			w.WriteHeader(103)
		}
		w.Header().Set("Cache-Control", "max-age=60")
	}))
	count := &interimCounter{ResponseRecorder: httptest.NewRecorder()}
	r.h.ServeHTTP(count, r.request("", "/", nil, ""))
	if n := count.n.Load(); n == 0 || n > 100 || count.Code != 200 {
		t.Errorf("%d interim responses passed, then %d", n, count.Code)
	}
}

type interimCounter struct {
	*httptest.ResponseRecorder
	n atomic.Int64
}

func (w *interimCounter) WriteHeader(status int) {
	if status < 200 {
		w.n.Add(1)
		return
	}
	w.ResponseRecorder.WriteHeader(status)
}
