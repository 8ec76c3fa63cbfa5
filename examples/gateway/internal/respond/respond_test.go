package respond

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

func serve(h http.HandlerFunc) *Buffer { return Serve(h, httptest.NewRequest("GET", "/", nil), 10) }

func TestServe(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		status  int
		body    string
		whole   bool
	}{
		"nothing": {func(http.ResponseWriter, *http.Request) {}, 200, "", true},
		"an answer after hints": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(103)
			w.WriteHeader(404)
			_, _ = w.Write([]byte("0123456789"))
		}, 404, "0123456789", true},
		"too much": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("0123456789"))
			if _, err := w.Write([]byte("x")); !errors.Is(err, ErrTooLarge) {
				t.Error(err)
			}
		}, 200, "0123456789", false},
	} {
		if b := serve(c.handler); b.Status != c.status || b.Body.String() != c.body || b.Whole != c.whole || b.Panic != nil {
			t.Errorf("%s: %d %q, whole: %v, %v", name, b.Status, &b.Body, b.Whole, b.Panic)
		}
	}
}

func TestServeCatchesPanics(t *testing.T) {
	b := serve(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("begin"))
		panic("broken")
	})
	if b.Whole || b.Panic != "broken" || len(b.Stack) == 0 {
		t.Errorf("whole: %v, %v, %d bytes of stack", b.Whole, b.Panic, len(b.Stack))
	}
	b = serve(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if b.Whole || b.Panic != http.ErrAbortHandler || b.Stack != nil {
		t.Errorf("an abort: %v, %v", b.Whole, b.Panic)
	}
}

// An upstream cannot speak in the gateway's own name.
func TestKeep(t *testing.T) {
	resp := &http.Response{Header: http.Header{
		"Larder-Cache-Control": {"no-store"},
		InternalControl:        {"max-age=60"}, InternalError: {"502"}, InternalSources: {"x"},
	}}
	called := false
	err := Keep(func(*http.Response) error { called = true; return nil })(resp)
	if h := resp.Header; err != nil || !called || len(h) != 2 || h.Get(InternalControl) != "no-store" {
		t.Errorf("%v, %v, %v", err, called, resp.Header)
	}
	broken := errors.New("broken")
	if err := Keep(func(*http.Response) error { return broken })(resp); !errors.Is(err, broken) {
		t.Error(err)
	}
	if err := Keep(nil)(&http.Response{Header: http.Header{}}); err != nil {
		t.Error(err)
	}
}
