package httpcache

import (
	"io"
	"iter"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// clock is a clock that tests set forward.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// memory is a store on a mock clock.
type memory struct {
	mu   sync.Mutex
	now  func() time.Time
	m    map[string]memoryEntry
	sets int
}

type memoryEntry struct {
	value   []byte
	expires time.Time
}

func newMemory(now func() time.Time) *memory {
	return &memory{now: now, m: map[string]memoryEntry{}}
}

func (s *memory) Get(dst, key []byte) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.m[string(key)]
	if !ok || !s.now().Before(e.expires) {
		return dst, false
	}
	return append(dst, e.value...), true
}

func (s *memory) SetTTL(key, value []byte, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ttl <= 0 {
		panic("SetTTL without a TTL")
	}
	s.m[string(key)] = memoryEntry{append([]byte(nil), value...), s.now().Add(ttl)}
	s.sets++
	return nil
}

func (s *memory) Delete(key []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.m[string(key)]
	delete(s.m, string(key))
	return ok
}

func (s *memory) All() iter.Seq2[[]byte, []byte] {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := maps.Clone(s.m)
	return func(yield func(key, value []byte) bool) {
		for k, e := range m {
			if s.now().Before(e.expires) && !yield([]byte(k), e.value) {
				return
			}
		}
	}
}

func (s *memory) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.m)
}

// response is what a test's origin answers.
type response struct {
	status int
	body   string
	header []string // "Name: value"
}

func reply(status int, body string, header ...string) *response {
	return &response{status, body, header}
}

// step is a part of a story: a request, the origin's part in it, and what
// the client gets.
type step struct {
	after  time.Duration // the clock is set forward first
	method string        // GET if empty
	url    string        // "/" of example.com if empty
	with   []string      // request fields
	body   string        // of the request

	origin *response // nil: the origin must not be asked
	sent   []string  // fields the origin must have got; "!Name": must not
	dead   bool      // the origin panics

	want string   // status and body: "200 hello"
	has  []string // fields of the response; "!Name": must not be there
}

// story runs steps in order against one cache.
type story struct {
	opt   Options
	steps []step
}

// rig is a cache with a mock clock in front of a scripted origin.
type rig struct {
	t     testing.TB
	clock *clock
	store *memory
	cache *Cache
	h     http.Handler

	mu     sync.Mutex
	script *response
	dead   bool
	asked  []*http.Request
	events []Event
}

func newRig(t testing.TB, o Options) *rig {
	return newRigAt(t, o)
}

// newRigAt is newRig with the clocks of the options, if they have any.
func newRigAt(t testing.TB, o Options) *rig {
	r := &rig{t: t, clock: newClock()}
	r.store = newMemory(r.clock.now)
	if o.Now == nil {
		o.Now = r.clock.now
	}
	observe := o.Observe
	o.Observe = func(req *http.Request, e Event) {
		r.mu.Lock()
		r.events = append(r.events, e)
		r.mu.Unlock()
		if observe != nil {
			observe(req, e)
		}
	}
	r.cache = newCache(r.store, o)
	t.Cleanup(func() { r.cache.Close() })
	r.h = r.cache.Handler(http.HandlerFunc(r.origin))
	return r
}

func (r *rig) origin(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.asked = append(r.asked, req.Clone(req.Context()))
	script, dead := r.script, r.dead
	r.mu.Unlock()
	if dead {
		panic(http.ErrAbortHandler)
	}
	if script == nil {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	script.write(w)
}

func (s *response) write(w http.ResponseWriter) {
	for _, line := range s.header {
		name, value, _ := strings.Cut(line, ":")
		w.Header().Add(name, strings.TrimSpace(value))
	}
	w.WriteHeader(s.status)
	io.WriteString(w, s.body)
}

// date renders the clock's time plus d as an HTTP date.
func (r *rig) date(d time.Duration) string {
	return r.clock.now().Add(d).UTC().Format(http.TimeFormat)
}

func (r *rig) request(method, url string, with []string, body string) *http.Request {
	if method == "" {
		method = http.MethodGet
	}
	if url == "" {
		url = "/"
	}
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	req := httptest.NewRequest(method, url, content)
	for _, line := range with {
		name, value, _ := strings.Cut(line, ":")
		req.Header.Add(name, strings.TrimSpace(value))
	}
	return req
}

// get sends a request with fields through the cache.
func (r *rig) get(url string, with ...string) *httptest.ResponseRecorder {
	return r.do(r.request("", url, with, ""))
}

func (r *rig) do(req *http.Request) (rec *httptest.ResponseRecorder) {
	rec = httptest.NewRecorder()
	defer func() {
		if v := recover(); v != nil {
			if v != http.ErrAbortHandler {
				panic(v)
			}
			rec.Code = 0 // aborted
		}
	}()
	r.h.ServeHTTP(rec, req)
	return rec
}

// set scripts the origin's next answers.
func (r *rig) set(resp *response) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.script, r.dead = resp, false
}

func (r *rig) kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dead = true
}

func (r *rig) askedCount() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.asked)
}

func (r *rig) lastAsked() *http.Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked[len(r.asked)-1]
}

func (r *rig) lastEvent() Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events[len(r.events)-1]
}

// expand replaces {+10s} in a field by the HTTP date of that offset.
func (r *rig) expand(lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		for {
			start := strings.IndexByte(line, '{')
			end := strings.IndexByte(line, '}')
			if start < 0 || end < start {
				break
			}
			d, err := time.ParseDuration(line[start+1 : end])
			if err != nil {
				break
			}
			line = line[:start] + r.date(d) + line[end+1:]
		}
		out[i] = line
	}
	return out
}

func runStory(t *testing.T, s story) {
	t.Helper()
	r := newRig(t, s.opt)
	for i, st := range s.steps {
		r.clock.advance(st.after)
		r.set(nil)
		if st.origin != nil {
			r.set(reply(st.origin.status, st.origin.body, r.expand(st.origin.header)...))
		}
		if st.dead {
			r.kill()
		}
		before := r.askedCount()
		rec := r.do(r.request(st.method, st.url, r.expand(st.with), st.body))
		asked := r.askedCount() > before
		if expected := st.origin != nil || st.dead; asked != expected {
			t.Fatalf("step %d: origin asked: %v, want %v (got %d %q, Cache-Status %q)", i+1, asked, expected, rec.Code, rec.Body, rec.Header()["Cache-Status"])
		}
		if have := strings.TrimSpace(statusWord(rec.Code) + " " + rec.Body.String()); st.want != "" && have != st.want {
			t.Fatalf("step %d: got %q, want %q (Cache-Status %q)", i+1, have, st.want, rec.Header()["Cache-Status"])
		}
		checkFields(t, i+1, "response", rec.Header(), r.expand(st.has))
		if len(st.sent) > 0 {
			checkFields(t, i+1, "request", r.lastAsked().Header, r.expand(st.sent))
		}
	}
}

func statusWord(n int) string {
	if n == 0 {
		return "aborted"
	}
	return strconv.Itoa(n)
}

// checkFields compares "Name: value" exactly with the joined field, "Name: ~x"
// as a substring, and "!Name" as absent.
func checkFields(t *testing.T, n int, what string, h http.Header, want []string) {
	t.Helper()
	for _, line := range want {
		if name, ok := strings.CutPrefix(line, "!"); ok {
			if v, ok := h[http.CanonicalHeaderKey(name)]; ok {
				t.Fatalf("step %d: %s has %s: %q", n, what, name, v)
			}
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		have := strings.Join(h.Values(name), ", ")
		if sub, ok := strings.CutPrefix(value, "~"); ok {
			if !strings.Contains(have, sub) {
				t.Fatalf("step %d: %s has %s: %q, want it to contain %q", n, what, name, have, sub)
			}
		} else if have != value {
			t.Fatalf("step %d: %s has %s: %q, want %q", n, what, name, have, value)
		}
	}
}

// runStories runs each story as a subtest.
func runStories(t *testing.T, stories map[string]story) {
	t.Helper()
	for name, s := range stories {
		t.Run(name, func(t *testing.T) { runStory(t, s) })
	}
}

// twice is the story of a response and a second request some time later that
// must be a hit, or not.
func twice(header []string, later time.Duration, hit bool) story {
	second := step{after: later, want: "200 one", has: []string{"Cache-Status: ~hit"}}
	if !hit {
		second = step{after: later, origin: reply(200, "two"), want: "200 two"}
	}
	return story{steps: []step{{origin: reply(200, "one", header...), want: "200 one"}, second}}
}

const sec = time.Second

// slowOrigin is the rig's origin, but takes some time of the mock clock.
type slowOrigin struct {
	r *rig
	d time.Duration
}

func (s slowOrigin) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s.r.clock.advance(s.d)
	s.r.origin(w, req)
}

// originFunc is an origin that answers by the number of the request.
func originFunc(f func(n int) *response) http.Handler {
	var mu sync.Mutex
	n := 0
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		n++
		resp := f(n)
		mu.Unlock()
		resp.write(w)
	})
}

var quiet = log.New(io.Discard, "", 0)

// waitFor polls for something another goroutine is about to do.
func waitFor(done func() bool) {
	for !done() {
		time.Sleep(50 * time.Microsecond)
	}
}
