package httpcache

import (
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-cache/larder/go/httpcache/internal/field"
)

// What one request was made for reaches that one alone; and nobody waits without
// bounds.

// together sends n requests and lets the origin answer when all of them wait for one
// fetch.
func together(r *rig, n int, origin *response, request func(i int) *http.Request) ([]*httptest.ResponseRecorder, *gate) {
	g := newGate()
	r.h = r.cache.Handler(g)
	first := crowd(r, 1, func(int) *http.Request { return request(0) })
	<-g.asked
	rest := crowd(r, n-1, func(i int) *http.Request { return request(i + 1) })
	r.joined(n)
	for range n {
		g.release <- origin
	}
	return append(first(), rest()...), g
}

func plain(r *rig) func(int) *http.Request {
	return func(int) *http.Request { return r.request("", "/", nil, "") }
}

func TestNamedFieldsReachTheirRequestAlone(t *testing.T) {
	for name, cc := range map[string]string{
		"private":           `max-age=60, private="Set-Cookie, X-User"`,
		"no-cache":          `max-age=60, no-cache="set-cookie, x-user"`,
		"targeted":          `max-age=60`,
		"named by one each": `max-age=60, private="Set-Cookie", no-cache="X-User"`,
	} {
		t.Run(name, func(t *testing.T) {
			header := []string{"Cache-Control: " + cc, "Set-Cookie: sid=alice", "X-User: alice", etag, "Connection: X-Hop", "X-Hop: 1"}
			if name == "targeted" {
				header = append(header, `CDN-Cache-Control: max-age=60, private="Set-Cookie, X-User"`)
			}
			r := newRig(t, Options{})
			recs, g := together(r, 4, reply(200, "page", header...), func(i int) *http.Request {
				if i == 3 {
					return r.request("", "/", []string{`If-None-Match: "a"`}, "")
				}
				return r.request("", "/", nil, "")
			})
			recs = append(recs, r.get("/"), r.get("/", `If-None-Match: "a"`), r.do(r.request("HEAD", "/", nil, "")))
			if n := g.count.Load(); n != 1 {
				t.Fatalf("the origin was asked %d times", n)
			}
			if h := recs[0].Header(); h.Get("Set-Cookie") != "sid=alice" || h.Get("X-User") != "alice" {
				t.Errorf("the request itself got %v", h)
			}
			for i, rec := range recs[1:] {
				if h := rec.Header(); h.Get("Set-Cookie") != "" || h.Get("X-User") != "" || h.Get("X-Hop") != "" {
					t.Errorf("request %d got %d %v", i+1, rec.Code, h)
				}
			}
		})
	}
}

// A 304 may name such fields too.
func TestNamedFieldsOfValidation(t *testing.T) {
	r := newRig(t, Options{})
	r.set(reply(200, "page", fresh, etag))
	r.get("/")
	r.clock.advance(61 * sec)
	recs, _ := together(r, 3, reply(304, "", `Cache-Control: max-age=60, private="Set-Cookie"`, "Set-Cookie: sid=alice"), plain(r))
	recs = append(recs, r.get("/"))
	for i, rec := range recs {
		if got := rec.Header().Get("Set-Cookie"); rec.Body.String() != "page" || (got != "") != (i == 0) {
			t.Errorf("request %d got %d, Set-Cookie %q", i, rec.Code, got)
		}
	}
}

func TestNamedTrailersReachTheirRequestAlone(t *testing.T) {
	for _, announced := range []bool{true, false} {
		r := newRig(t, Options{})
		asked, next := make(chan bool, 9), make(chan bool)
		r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked <- true
			<-next
			w.Header().Set("Cache-Control", `max-age=60, private="X-User"`)
			prefix := http.TrailerPrefix
			if announced {
				w.Header().Set("Trailer", "X-User, Set-Cookie, X-Sum")
				prefix = ""
			}
			io.WriteString(w, "page")
			w.Header().Set(prefix+"X-User", "alice")
			w.Header().Set(prefix+"Set-Cookie", "sid=alice")
			w.Header().Set(prefix+"X-Sum", "1")
		}))
		first := crowd(r, 1, plain(r))
		<-asked
		second := crowd(r, 1, plain(r))
		r.joined(2)
		close(next)
		got := func(rec *httptest.ResponseRecorder, name string) bool {
			return rec.Result().Trailer.Get(name) != "" || rec.Header().Get(http.TrailerPrefix+name) != ""
		}
		a, b := first()[0], second()[0]
		if !got(a, "X-User") || !got(a, "X-Sum") || !got(a, "Set-Cookie") ||
			got(b, "X-User") || !got(b, "X-Sum") || got(b, "Set-Cookie") {
			t.Errorf("announced %v: %v and %v", announced, a.Result().Trailer, b.Result().Trailer)
		}
	}
}

// Errors of an origin are for the request that they answer.
func TestErrorsOfTheOriginReachTheirRequestAlone(t *testing.T) {
	const n = 5
	for name, c := range map[string]struct {
		origin *response
		with   []string
		asked  int64
	}{
		"503":                      {reply(503, "maintenance, alice"), nil, n},
		"500":                      {reply(500, "alice"), nil, n},
		"502":                      {reply(502, "alice"), nil, 1},
		"504":                      {reply(504, "alice", "X-User: alice"), nil, 1},
		"502 with Authorization":   {reply(502, "alice"), []string{"Authorization: alice"}, n},
		"504 with Cookie":          {reply(504, "alice"), []string{"Cookie: alice"}, n},
		"502 with Cache-Control":   {reply(502, "alice", "Cache-Control: no-store"), nil, n},
		"502 with Set-Cookie":      {reply(502, "alice", "Set-Cookie: alice"), nil, n},
		"marked on the wire":       {reply(503, "alice", "Larder-Gateway-Error: 1"), nil, n},
		"not an error, but marked": {reply(403, "alice"), nil, n},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{})
			recs, g := together(r, n, c.origin, func(i int) *http.Request { return r.request("", "/", c.with, "") })
			if got := g.count.Load(); got != c.asked {
				t.Errorf("the origin was asked %d times, want %d", got, c.asked)
			}
			for i, rec := range recs {
				alone := i == 0 || c.asked > 1
				if rec.Code != c.origin.status || (rec.Body.String() == c.origin.body) != alone || (rec.Header().Get("X-User") != "") && !alone {
					t.Errorf("request %d got %d %q %v", i, rec.Code, rec.Body, rec.Header())
				}
			}
		})
	}
	t.Run("only one has credentials", func(t *testing.T) {
		r := newRig(t, Options{})
		_, g := together(r, 3, reply(502, "bad"), func(i int) *http.Request {
			if i == 2 {
				return r.request("", "/", []string{"Authorization: bob"}, "")
			}
			return r.request("", "/", nil, "")
		})
		if got := g.count.Load(); got != 2 {
			t.Errorf("the origin was asked %d times, want 2", got)
		}
	})
}

// Errors that the gateway made are for all who wait, whoever they are, and are not
// stored.
func TestErrorsOfTheGatewayAreShared(t *testing.T) {
	const n = 40
	for _, status := range []int{502, 503, 504, 508} {
		r := newRig(t, Options{})
		var asked atomic.Int64
		begun, next := make(chan bool, n), make(chan bool)
		r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			begun <- true
			<-next
			GatewayError(w.Header())
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(status)
			io.WriteString(w, "problem")
		}))
		wait := crowd(r, n, func(i int) *http.Request {
			return r.request("", "/", []string{fmt.Sprint("Authorization: ", i), "X-Forwarded-Host: " + fmt.Sprint(i%2)}, "")
		})
		<-begun
		r.joined(n)
		close(next)
		for _, rec := range wait() {
			if rec.Code != status || rec.Body.String() != "problem" {
				t.Errorf("got %d %q", rec.Code, rec.Body)
			}
			for name := range rec.Header() {
				if !field.IsToken(name) && name != gatewayErrorField {
					t.Errorf("%q reached the client", name)
				}
			}
		}
		if asked.Load() != 1 || r.store.len() != 0 {
			t.Errorf("%d: asked %d times, %d stored", status, asked.Load(), r.store.len())
		}
	}
}

// One cache in front of another: what was marked behind the inner one is marked for
// the outer one as well.
func TestErrorsOfTheGatewayAreSharedByLayers(t *testing.T) {
	const n = 20
	r := newRig(t, Options{})
	var asked atomic.Int64
	begun, next := make(chan bool, n), make(chan bool)
	inner := r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		begun <- true
		<-next
		GatewayError(w.Header())
		reply(504, "problem", "Cache-Control: no-store").write(w)
	}))
	r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		rec := httptest.NewRecorder()
		inner.ServeHTTP(rec, r.request("", "/inner", nil, ""))
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(rec.Code)
		w.Write(rec.Body.Bytes())
	}))
	wait := crowd(r, n, func(int) *http.Request { return r.request("", "/outer", nil, "") })
	<-begun
	r.joined(n)
	close(next)
	for _, rec := range wait() {
		if rec.Code != 504 || rec.Body.String() != "problem" {
			t.Errorf("got %d %q", rec.Code, rec.Body)
		}
	}
	if got := asked.Load(); got != 1 {
		t.Errorf("asked %d times", got)
	}
}

// No goroutine and no flight is left of all the ways that a fetch can end.
func TestNothingIsLeftOfFlights(t *testing.T) {
	before := runtime.NumGoroutine()
	r := newRig(t, Options{
		BodyIdleTimeout: 5 * time.Millisecond, StaleTimeout: 2 * time.Millisecond, LockTimeout: 3 * time.Millisecond,
		JoinTimeout: 4 * time.Millisecond, BackgroundTimeout: 20 * time.Millisecond, MaxBackground: 4,
	})
	r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		h := w.Header()
		switch n := rand.IntN(8); n {
		case 0: // no header
			<-req.Context().Done()
			panic(http.ErrAbortHandler)
		case 1, 2: // no end
			h.Set("Cache-Control", "max-age=1, stale-if-error=60")
			w.Write(make([]byte, rand.IntN(9000)))
			<-req.Context().Done()
			panic(http.ErrAbortHandler)
		case 3:
			w.WriteHeader(503)
		case 4:
			panic(http.ErrAbortHandler)
		default:
			h.Set("Cache-Control", "max-age=1, stale-if-error=60")
			if n == 5 {
				h.Set("Cache-Control", "private")
			}
			h.Set("Surrogate-Key", "k")
			w.Write(make([]byte, rand.IntN(100000)))
		}
	}))
	wait := crowd(r, 400, func(i int) *http.Request {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+rand.IntN(40))*time.Millisecond)
		context.AfterFunc(ctx, cancel)
		if i%10 == 0 {
			r.cache.PurgeTag("k", Hard)
			r.clock.advance(sec)
		}
		return r.request("", fmt.Sprint("/", i%7), nil, "").WithContext(ctx)
	})
	wait()
	r.joined0(t)
	r.cache.Close()
	waitFor(func() bool { return runtime.NumGoroutine() <= before+2 })
	if n := r.cache.shared.running + r.cache.shared.orphans; n != 0 {
		t.Errorf("%d fetches in the background are still counted", n)
	}
}

// The marks are never written to a wire, on no path.
func TestMarksStayInTheProcess(t *testing.T) {
	var raw strings.Builder
	p := newRig(t, Options{})
	front := httptest.NewServer(p.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		GatewayError(w.Header())
		AddSource(w.Header(), "p /x")
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, r.Method)
	})))
	defer front.Close()
	for _, method := range []string{"GET", "GET", "POST", "HEAD"} {
		req, _ := http.NewRequest(method, front.URL, nil)
		resp, err := front.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Header.Write(&raw)
		resp.Body.Close()
	}
	if s := raw.String(); strings.Contains(s, "Larder") {
		t.Errorf("clients got\n%s", s)
	}
}

// A handler that aborts is no news to the log.
func TestAbortsAreQuiet(t *testing.T) {
	for _, v := range []any{http.ErrAbortHandler, fmt.Errorf("wrapped: %w", http.ErrAbortHandler)} {
		r := newRig(t, Options{})
		r.h = r.cache.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(v) }))
		var logged strings.Builder
		server := &http.Server{ErrorLog: log.New(&logged, "", 0)}
		req := r.request("", "/", nil, "")
		if rec := r.do(req.WithContext(context.WithValue(req.Context(), http.ServerContextKey, server))); rec.Code != 0 || logged.Len() > 0 {
			t.Errorf("%v: got %d, logged %q", v, rec.Code, logged.String())
		}
	}
}

// stalling answers with the beginning of a body, and the rest when it is let.
func stalling(count *atomic.Int64, begun chan<- bool, next <-chan bool, header ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := count.Add(1)
		reply(200, strings.Repeat("x", 8<<10), header...).write(w)
		begun <- true
		if n > 1 {
			io.WriteString(w, "end")
			return
		}
		select {
		case <-next:
			io.WriteString(w, "end")
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	})
}

func TestStalledBodyIsCut(t *testing.T) {
	for name, header := range map[string][]string{
		"stored": {fresh}, "declared": {fresh, "Content-Length: 8195"}, "not stored": {"Cache-Control: no-store"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{BodyIdleTimeout: 300 * time.Millisecond})
			var count atomic.Int64
			r.h = r.cache.Handler(stalling(&count, make(chan bool, 9), nil, header...))
			if rec := r.get("/"); rec.Code != 0 || r.lastEvent().Aborted == false {
				t.Errorf("the client got %d, %d bytes, %+v", rec.Code, rec.Body.Len(), r.lastEvent())
			}
			if r.store.len() != 0 {
				t.Error("a part was stored as the whole")
			}
			if rec := r.get("/"); rec.Code != 200 || !strings.HasSuffix(rec.Body.String(), "end") {
				t.Errorf("then got %d, %d bytes", rec.Code, rec.Body.Len())
			}
		})
	}
}

// A handler that ignores its context cannot hold the requests either.
func TestStalledHandlerIsLeft(t *testing.T) {
	r := newRig(t, Options{BodyIdleTimeout: 300 * time.Millisecond})
	next := make(chan bool)
	r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Write(make([]byte, 10))
		<-next
		w.Write(make([]byte, 10))
	}))
	if rec := r.get("/"); rec.Code != 504 {
		t.Errorf("nothing had been sent, and the client got %d", rec.Code)
	}
	close(next)
	r.joined0(t)
	if r.store.len() != 0 {
		t.Error("what was cut was stored")
	}
}

// joined0 waits until no flight can be joined.
func (r *rig) joined0(t *testing.T) {
	t.Helper()
	waitFor(func() bool {
		n := 0
		for i := range r.cache.shared.flights.shards {
			s := &r.cache.shared.flights.shards[i]
			s.mu.Lock()
			n += len(s.m)
			s.mu.Unlock()
		}
		return n == 0
	})
}

// Events may be rare, and a client that takes its time is no fault of the origin's.
func TestWhatDoesNotStall(t *testing.T) {
	r := newRig(t, Options{BodyIdleTimeout: 300 * time.Millisecond})
	r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: 1\n\n")
			flush(w)
			time.Sleep(400 * time.Millisecond)
			io.WriteString(w, "data: 2\n\n")
			return
		}
		for range 20 { // more than the window
			w.Write(make([]byte, 32<<10))
		}
	}))
	if rec := r.get("/events"); rec.Body.Len() != 18 {
		t.Errorf("events: %q", rec.Body)
	}
	slow := &slowWriter{ResponseRecorder: httptest.NewRecorder()}
	r.h.ServeHTTP(slow, r.request("", "/big", nil, ""))
	if n := slow.Body.Len(); n != 20*32<<10 {
		t.Errorf("the slow client got %d bytes", n)
	}
}

// slowWriter takes its time once.
type slowWriter struct {
	*httptest.ResponseRecorder
	once sync.Once
}

func (w *slowWriter) Write(b []byte) (int, error) {
	w.once.Do(func() { time.Sleep(400 * time.Millisecond) })
	return w.ResponseRecorder.Write(b)
}

// A fetch that has brought nothing for long is not joined, before its header and
// after; another takes its place.
func TestStalledFlightIsNotJoined(t *testing.T) {
	for _, header := range []bool{false, true} {
		r := newRig(t, Options{JoinTimeout: 20 * time.Millisecond})
		var count atomic.Int64
		begun, next := make(chan bool, 9), make(chan bool)
		h := stalling(&count, begun, next, fresh)
		r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if !header && count.Load() == 0 {
				count.Add(1)
				begun <- true
				<-next
				reply(200, "late", fresh).write(w)
				return
			}
			h.ServeHTTP(w, req)
		}))
		first := crowd(r, 1, plain(r))
		<-begun
		time.Sleep(25 * time.Millisecond)
		if rec := r.get("/"); rec.Code != 200 || !strings.HasSuffix(rec.Body.String(), "end") {
			t.Errorf("header %v: got %d, %d bytes", header, rec.Code, rec.Body.Len())
		}
		close(next)
		if rec := first()[0]; rec.Code != 200 {
			t.Errorf("header %v: the first got %d", header, rec.Code)
		}
	}
}

func TestWaitingBehindALeaderIsBounded(t *testing.T) {
	r := newRig(t, Options{LockTimeout: 20 * time.Millisecond})
	begun, next := make(chan bool, 9), make(chan bool)
	var count atomic.Int64
	r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := count.Add(1)
		begun <- true
		if n == 1 {
			<-next
		}
		reply(200, fmt.Sprint(n), fresh).write(w)
	}))
	first := crowd(r, 1, plain(r))
	<-begun
	if rec := r.get("/"); rec.Body.String() != "2" {
		t.Errorf("the second got %d %q", rec.Code, rec.Body)
	}
	close(next)
	first()
}

// A fill goes on when its clients leave: whether its length is declared or not, and
// whether its header is there or not.
func TestFillGoesOn(t *testing.T) {
	for _, c := range []struct {
		name     string
		header   []string
		atHeader bool
	}{
		{"chunked", []string{fresh}, true},
		{"declared", []string{fresh, "Content-Length: 5003"}, true},
		{"before the header", []string{fresh}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Options{})
			begun, next := make(chan bool, 99), make(chan bool)
			var count atomic.Int64
			r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				count.Add(1)
				if c.atHeader {
					reply(200, strings.Repeat("x", 5000), c.header...).write(w)
					flush(w)
				}
				begun <- true
				select {
				case <-next:
				case <-req.Context().Done():
					panic(http.ErrAbortHandler)
				}
				if !c.atHeader {
					reply(200, strings.Repeat("x", 5000), c.header...).write(w)
				}
				io.WriteString(w, "end")
			}))
			for i := range 8 { // in turn
				ctx, cancel := context.WithCancel(context.Background())
				wait := crowd(r, 1, func(int) *http.Request { return r.request("", "/", nil, "").WithContext(ctx) })
				if i == 0 {
					<-begun
				}
				r.joined(1)
				cancel()
				wait()
				r.joined(0)
			}
			close(next)
			r.joined0(t)
			if rec := r.get("/"); rec.Body.Len() != 5003 || r.lastEvent().Outcome != Hit {
				t.Errorf("got %d bytes, %v", rec.Body.Len(), r.lastEvent().Outcome)
			}
			if n := count.Load(); n != 1 {
				t.Errorf("the origin was asked %d times", n)
			}
		})
	}
}

// The next client of a fill that all have left takes it over.
func TestFillIsTakenOver(t *testing.T) {
	r := newRig(t, Options{MaxBackground: 1})
	g := newGate()
	r.h = r.cache.Handler(g)
	ctx, cancel := context.WithCancel(context.Background())
	wait := crowd(r, 1, func(int) *http.Request { return r.request("", "/", nil, "").WithContext(ctx) })
	<-g.asked
	cancel()
	wait()
	second := crowd(r, 1, plain(r))
	r.joined(1)
	r.cache.shared.backgroundMu.Lock()
	if n := r.cache.shared.orphans; n != 0 {
		t.Errorf("%d fetches are still counted as without clients", n)
	}
	r.cache.shared.backgroundMu.Unlock()
	g.release <- reply(200, "one", fresh)
	if rec := second()[0]; rec.Body.String() != "one" {
		t.Errorf("got %d %q", rec.Code, rec.Body)
	}
}

// A fill that takes longer than a revalidation may goes on while it brings something.
func TestSlowFillGoesOn(t *testing.T) {
	r := newRig(t, Options{BackgroundTimeout: 200 * time.Millisecond})
	begun := make(chan bool, 1)
	r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		for range 40 {
			if _, err := io.WriteString(w, "0123456789"); err != nil {
				return
			}
			flush(w)
			select {
			case begun <- true:
			default:
			}
			select {
			case <-time.After(15 * time.Millisecond):
			case <-req.Context().Done():
				panic(http.ErrAbortHandler)
			}
		}
	}))
	ctx, cancel := context.WithCancel(context.Background())
	wait := crowd(r, 1, func(int) *http.Request { return r.request("", "/", nil, "").WithContext(ctx) })
	<-begun
	cancel()
	wait()
	r.joined0(t)
	if rec := r.get("/"); rec.Body.Len() != 400 || r.lastEvent().Outcome != Hit {
		t.Errorf("got %d bytes, %v", rec.Body.Len(), r.lastEvent().Outcome)
	}
}

// Clients that leave do not use up what revalidations need.
func TestFillsDoNotKeepRevalidationsOut(t *testing.T) {
	r := newRig(t, Options{MaxBackground: 1})
	r.set(reply(200, "old", "Cache-Control: max-age=1, stale-while-revalidate=60"))
	r.get("/stale")
	r.clock.advance(5 * sec)
	g := newGate()
	r.h = r.cache.Handler(g)
	ctx, cancel := context.WithCancel(context.Background())
	wait := crowd(r, 1, func(int) *http.Request { return r.request("", "/left", nil, "").WithContext(ctx) })
	<-g.asked
	cancel()
	wait()
	r.get("/stale")
	if req := <-g.asked; req.URL.Path != "/stale" {
		t.Errorf("the origin was asked for %s", req.URL.Path)
	}
	for range 2 {
		g.release <- reply(200, "new", fresh)
	}
}

// What isn't worth finishing is cancelled as soon as that is known, and so is what
// takes too long, is too much, or too many.
func TestFillsThatEnd(t *testing.T) {
	abandoned := func(t *testing.T, o Options, path string) (*rig, *gate, *http.Request) {
		r := newRig(t, o)
		g := newGate()
		r.h = r.cache.Handler(g)
		ctx, cancel := context.WithCancel(context.Background())
		wait := crowd(r, 3, func(int) *http.Request { return r.request("", path, nil, "").WithContext(ctx) })
		upstream := <-g.asked
		r.joined(3)
		cancel()
		wait()
		return r, g, upstream
	}
	ends := func(t *testing.T, r *rig, upstream *http.Request) {
		t.Helper()
		<-upstream.Context().Done()
		r.joined0(t)
		r.cache.shared.background.Wait()
		if r.store.len() != 0 {
			t.Error("stored")
		}
	}
	t.Run("uncacheable", func(t *testing.T) {
		r, g, upstream := abandoned(t, Options{}, "/")
		g.release <- reply(200, "mine", "Cache-Control: private")
		ends(t, r, upstream)
	})
	t.Run("too long", func(t *testing.T) {
		r, _, upstream := abandoned(t, Options{BackgroundTimeout: 10 * time.Millisecond}, "/")
		ends(t, r, upstream)
	})
	t.Run("too large", func(t *testing.T) {
		r, g, upstream := abandoned(t, Options{MaxBodyBytes: 10}, "/")
		g.release <- reply(200, strings.Repeat("x", 11), fresh)
		ends(t, r, upstream)
	})
	t.Run("closed", func(t *testing.T) {
		r, _, upstream := abandoned(t, Options{}, "/")
		r.cache.Close()
		ends(t, r, upstream)
	})
	t.Run("too many", func(t *testing.T) {
		r, g, _ := abandoned(t, Options{MaxBackground: 1}, "/1")
		ctx, cancel := context.WithCancel(context.Background())
		wait := crowd(r, 1, func(int) *http.Request { return r.request("", "/2", nil, "").WithContext(ctx) })
		upstream := <-g.asked
		cancel()
		wait()
		<-upstream.Context().Done()
		g.release <- reply(200, "one", fresh)
	})
}
