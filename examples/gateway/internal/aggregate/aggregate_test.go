package aggregate

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

// answering returns a handler with a status, a body and header fields.
func answering(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func part(name string, optional bool, h http.Handler) Part {
	return Part{Part: &config.Part{Name: name, Path: "/" + name, Optional: optional, Timeout: time.Minute}, Handler: h}
}

func serve(parts ...Part) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	Handler(parts, Options{MaxPartBytes: 1000, TagField: "X-Tags"}).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	return w
}

func TestMerge(t *testing.T) {
	ok := answering(200, ` {"x": 1.0}`+"\n", "Cache-Control", "public, max-age=60")
	gone := answering(404, `{}`)
	broken := answering(500, `{}`)
	abort := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	for _, c := range []struct {
		name   string
		parts  []Part
		status int
		body   string
		cache  string
	}{
		{"two", []Part{part("a", false, ok), part("b", false, answering(200, `[1,2]`, "Cache-Control", "max-age=9"))},
			200, `{"a":{"x": 1.0},"b":[1,2]}` + "\n", "max-age=9"},
		{"spread", []Part{part(".", false, ok), part("b", false, ok)}, 200, `{"x":1.0,"b":{"x": 1.0}}` + "\n", "public, max-age=60"},
		{"optional missing", []Part{part("a", false, ok), part("b", true, broken), part("c", true, abort)},
			200, `{"a":{"x": 1.0},"b":null,"c":null}` + "\n", "public, max-age=5"},
		{"optional spread missing", []Part{part("a", false, ok), part(".", true, gone)}, 200, `{"a":{"x": 1.0}}` + "\n", "public, max-age=5"},
		{"optional is not JSON", []Part{part("a", true, answering(200, `<html>`))}, 200, `{"a":null}` + "\n", "public, max-age=5"},
		{"required not found", []Part{part("a", false, gone), part("b", false, ok)}, 404, "", "no-store"},
		{"required broken", []Part{part("a", false, broken)}, 502, "", "no-store"},
		{"required aborted", []Part{part("a", false, abort)}, 502, "", "no-store"},
		{"required too large", []Part{part("a", false, answering(200, `"`+strings.Repeat("x", 2000)+`"`))}, 502, "", "no-store"},
		{"spread of an array", []Part{part(".", false, answering(200, `[]`))}, 502, "", "no-store"},
		{"private part", []Part{part("a", false, ok), part("b", false, answering(200, `1`, "Cache-Control", "private, max-age=60"))},
			200, `{"a":{"x": 1.0},"b":1}` + "\n", "private, no-store"},
		{"cookie", []Part{part("a", false, answering(200, `1`, "Cache-Control", "max-age=60", "Set-Cookie", "a=b"))}, 200, `{"a":1}` + "\n", "private, no-store"},
		{"for anyone", []Part{part("a", false, answering(200, `1`, "Cache-Control", "max-age=60, must-revalidate"))}, 200, `{"a":1}` + "\n", "public, max-age=60"},
		{"no lifetime", []Part{part("a", false, answering(200, `1`))}, 200, `{"a":1}` + "\n", "no-cache"},
		{"aged", []Part{part("a", false, answering(200, `1`, "Cache-Control", "max-age=10, s-maxage=60", "Age", "20"))}, 200, `{"a":1}` + "\n", "public, max-age=40"},
	} {
		w := serve(c.parts...)
		if w.Code != c.status || c.body != "" && w.Body.String() != c.body || w.Header().Get("Cache-Control") != c.cache {
			t.Errorf("%s: %d %s\n%v\nwant %d %s, %s", c.name, w.Code, w.Body, w.Header(), c.status, c.body, c.cache)
		}
	}
}

func TestHeadersAreCollected(t *testing.T) {
	w := serve(
		part("a", false, answering(200, `1`, "Vary", "Accept-Language, Accept-Encoding", "X-Tags", "x y")),
		part("b", false, answering(200, `1`, "Vary", "accept-language, Origin", "Surrogate-Key", "y z")),
	)
	if v := w.Header().Get("Vary"); v != "Accept-Language, Origin" {
		t.Errorf("Vary: %s", v)
	}
	if v := w.Header().Get("Surrogate-Key"); v != "x y z" {
		t.Errorf("Surrogate-Key: %s", v)
	}
	if v := w.Header().Get("Etag"); !strings.HasPrefix(v, `"`) {
		t.Errorf("Etag: %s", v)
	}
}

func TestPartsAreAskedInParallelAndInTime(t *testing.T) {
	// Each part answers only when both have been asked.
	var both sync.WaitGroup
	both.Add(2)
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		both.Done()
		both.Wait()
		_, _ = w.Write([]byte("1"))
	})
	if w := serve(part("a", false, h), part("b", false, h)); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	never := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		w.WriteHeader(http.StatusGatewayTimeout)
	})
	late := part("late", true, never)
	late.Timeout = 10 * time.Millisecond
	if w := serve(late); w.Code != 200 || w.Body.String() != "{\"late\":null}\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestWhatPartsAreAsked(t *testing.T) {
	var got *http.Request
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		_, _ = w.Write([]byte("1"))
	})
	p := Part{Part: &config.Part{Name: "a", Path: "/x/{id}/y/{rest...}?limit=5", Query: true, Timeout: time.Minute}, Handler: h, Host: "pool/part"}
	mux := http.NewServeMux()
	mux.Handle("/in/{id}/{rest...}", Handler([]Part{p}, Options{MaxPartBytes: 100}))
	r := httptest.NewRequest("HEAD", "/in/a%2Fb/c/d%20e?q=%zz", nil)
	r.Header.Set("If-None-Match", `"1"`)
	r.Header.Set("Range", "bytes=0-1")
	r.Header.Set("Authorization", "secret")
	mux.ServeHTTP(httptest.NewRecorder(), r)
	if got.Method != "GET" || got.Host != "pool/part" || got.URL.RequestURI() != "/x/a%2Fb/y/c/d%20e?limit=5&q=%zz" {
		t.Errorf("%s %s %s", got.Method, got.Host, got.URL.RequestURI())
	}
	if got.Header.Get("If-None-Match")+got.Header.Get("Range") != "" || got.Header.Get("Authorization") != "secret" {
		t.Errorf("%v", got.Header)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("POST", "/in/a/b", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}
