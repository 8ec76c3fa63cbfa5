package httpcache

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	larder "github.com/larder-cache/larder/go"
)

// lender is a cache of one large page per path and language, on a real
// larder.Cache, since only that lends.
type lender struct {
	*Cache
	h     http.Handler
	store *larder.Cache
	mu    sync.Mutex
	asked int
	page  string
	cc    string
}

func newLender(t *testing.T) *lender {
	store, err := larder.New(larder.Options{MaxBytes: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	l := &lender{store: store, page: strings.Repeat("large ", 8<<10), cc: "max-age=600"}
	l.Cache = New(store, Options{})
	l.h = l.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.asked++
		w.Header().Set("Cache-Control", l.cc)
		w.Header().Set("Etag", `"one"`)
		w.Header().Set("Vary", r.URL.Query().Get("vary"))
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, r.URL.Path, r.Header.Get("X-Kind"), l.page)
	}))
	t.Cleanup(func() {
		l.Close()
		if n := l.shared.loans.out.Load(); n != 0 {
			t.Errorf("%d views are still held", n)
		}
		store.Close()
	})
	return l
}

func (l *lender) ask(t *testing.T, w http.ResponseWriter, target string, fields ...string) {
	t.Helper()
	r := httptest.NewRequest("GET", target, nil)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	l.h.ServeHTTP(w, r)
}

func (l *lender) want(t *testing.T, body, target string, fields ...string) {
	t.Helper()
	w := httptest.NewRecorder()
	l.ask(t, w, target, fields...)
	if got := w.Body.String(); got != body {
		t.Errorf("%s: %d bytes, want %d", target, len(got), len(body))
	}
	if n := l.shared.loans.out.Load(); n != 0 {
		t.Errorf("%s: %d views are held after the response", target, n)
	}
}

// during calls a function while the body is being written.
type during struct {
	*httptest.ResponseRecorder
	call func()
}

func (d *during) Write(b []byte) (int, error) {
	d.call()
	return d.ResponseRecorder.Write(b)
}

func TestLargeHitsAreLent(t *testing.T) {
	l := newLender(t)
	l.want(t, "/a"+l.page, "/a")
	l.want(t, "/a"+l.page, "/a") // copied, and remembered as large
	lent := int32(0)
	w := &during{httptest.NewRecorder(), nil}
	w.call = func() {
		lent = l.shared.loans.out.Load()
		// Whatever happens to the entry, what is lent stays as it was.
		l.store.Clear()
		for i := range 1000 {
			if err := l.store.Set(fmt.Appendf(nil, "other %d", i), []byte(l.page)); err != nil {
				t.Fatal(err)
			}
		}
	}
	l.ask(t, w, "/a")
	if lent != 1 || w.Body.String() != "/a"+l.page {
		t.Errorf("%d views were held while the body was written, %d bytes came", lent, w.Body.Len())
	}
	if l.asked != 1 {
		t.Errorf("the origin was asked %d times", l.asked)
	}
	l.page = "small"
	for range 3 {
		l.want(t, "/asmall", "/a")
	}
	if w.call = func() { lent = l.shared.loans.out.Load() }; true {
		l.ask(t, w, "/a")
	}
	if lent != 0 {
		t.Error("a small response is still lent")
	}
}

func TestLoansAreBounded(t *testing.T) {
	l := newLender(t)
	l.want(t, "/a"+l.page, "/a")
	l.want(t, "/a"+l.page, "/a")
	// Each writer asks again while it writes, as deep as loans go and deeper.
	most := int32(0)
	depth := 0
	var nested func()
	nested = func() {
		most = max(most, l.shared.loans.out.Load())
		if depth++; depth < maxLoans+10 {
			w := &during{httptest.NewRecorder(), nested}
			l.ask(t, w, "/a")
			if w.Body.String() != "/a"+l.page {
				t.Errorf("%d bytes", w.Body.Len())
			}
		}
	}
	nested()
	if most != maxLoans {
		t.Errorf("%d views were held at once, want %d", most, maxLoans)
	}
}

func TestLoansEndWithPanics(t *testing.T) {
	l := newLender(t)
	l.want(t, "/a"+l.page, "/a")
	l.want(t, "/a"+l.page, "/a")
	func() {
		defer func() { _ = recover() }()
		l.ask(t, &during{httptest.NewRecorder(), func() { panic(http.ErrAbortHandler) }}, "/a")
		t.Error("no panic")
	}()
	if n := l.shared.loans.out.Load(); n != 0 {
		t.Errorf("%d views are held after a panic", n)
	}
}

func TestLentVariantsAndValidation(t *testing.T) {
	l := newLender(t)
	for range 3 {
		l.want(t, "/vx"+l.page, "/v?vary=X-Kind", "X-Kind", "x")
		l.want(t, "/vy"+l.page, "/v?vary=X-Kind", "X-Kind", "y")
	}
	if l.asked != 2 {
		t.Errorf("the origin was asked %d times", l.asked)
	}
	// Validation keeps the response, and the index beside it, while it waits.
	l.want(t, "/vx"+l.page, "/v?vary=X-Kind", "X-Kind", "x", "Cache-Control", "no-cache")
	l.want(t, "/vy"+l.page, "/v?vary=X-Kind", "X-Kind", "y")
	l.want(t, "/vz"+l.page, "/v?vary=X-Kind", "X-Kind", "z", "Cache-Control", "no-cache")
	if l.asked != 4 {
		t.Errorf("the origin was asked %d times", l.asked)
	}
	w := httptest.NewRecorder()
	l.ask(t, w, "/v?vary=X-Kind", "X-Kind", "x", "Range", "bytes=0-9")
	if w.Code != 206 || w.Body.String() != ("/vx" + l.page)[:10] {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}
