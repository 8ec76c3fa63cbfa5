package aggregate

import (
	"compress/gzip"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
	"github.com/larder-cache/larder/examples/gateway/internal/jsontext"
	"github.com/larder-cache/larder/examples/gateway/internal/respond"
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
			200, `{"a":{"x": 1.0},"b":null,"c":null}` + "\n", "max-age=5"},
		{"optional spread missing", []Part{part("a", false, ok), part(".", true, gone)}, 200, `{"a":{"x": 1.0}}` + "\n", "max-age=5"},
		{"optional is not JSON", []Part{part("a", true, answering(200, `<html>`))}, 200, `{"a":null}` + "\n", "max-age=5"},
		{"required not found", []Part{part("a", false, gone), part("b", false, ok)}, 404, "", "no-store"},
		{"required broken", []Part{part("a", false, broken)}, 502, "", "no-store"},
		{"required aborted", []Part{part("a", false, abort)}, 502, "", "no-store"},
		{"required too large", []Part{part("a", false, answering(200, `"`+strings.Repeat("x", 2000)+`"`))}, 502, "", "no-store"},
		{"spread of an array", []Part{part(".", false, answering(200, `[]`))}, 502, "", "no-store"},
		{"private part", []Part{part("a", false, ok), part("b", false, answering(200, `1`, "Cache-Control", "private, max-age=60"))},
			200, `{"a":{"x": 1.0},"b":1}` + "\n", "private, no-store"},
		{"cookie", []Part{part("a", false, answering(200, `1`, "Cache-Control", "max-age=60", "Set-Cookie", "a=b"))}, 200, `{"a":1}` + "\n", "private, no-store"},
		{"for anyone", []Part{part("a", false, answering(200, `1`, "Cache-Control", "max-age=60, must-revalidate"))}, 200, `{"a":1}` + "\n", "public, max-age=60, must-revalidate"},
		{"no lifetime", []Part{part("a", false, answering(200, `1`))}, 200, `{"a":1}` + "\n", "no-cache"},
		{"aged", []Part{part("a", false, answering(200, `1`, "Cache-Control", "max-age=10, s-maxage=60", "Age", "20"))}, 200, `{"a":1}` + "\n", "public, max-age=40"},
	} {
		w := serve(c.parts...)
		if w.Code != c.status || c.body != "" && w.Body.String() != c.body || w.Header().Get("Cache-Control") != c.cache {
			t.Errorf("%s: %d %s\n%v\nwant %d %s, %s", c.name, w.Code, w.Body, w.Header(), c.status, c.body, c.cache)
		}
	}
}

// What a part says of storing, in whatever field and spelling, binds the whole.
func TestThePartsDirectivesBindTheWhole(t *testing.T) {
	fresh := answering(200, `1`, "Cache-Control", "public, max-age=60")
	for _, c := range []struct {
		name, want, own string
		part            http.HandlerFunc
		request         []string
	}{
		{"malformed no-store", "private, no-store", "", answering(200, `1`, "Cache-Control", "max-age=60, no-store; x"), nil},
		{"malformed lifetime", "no-cache", "", answering(200, `1`, "Cache-Control", "public; max-age=60"), nil},
		{"must-revalidate", "public, max-age=1, must-revalidate", "", answering(200, `1`, "Cache-Control", "max-age=1, must-revalidate"), nil},
		{"for the CDN, no-store", "max-age=60", "private, no-store",
			answering(200, `1`, "Cache-Control", "max-age=60", "CDN-Cache-Control", "no-store"), nil},
		{"for the CDN, a lifetime", "private, no-store", "max-age=9",
			answering(200, `1`, "Cache-Control", "no-store", "CDN-Cache-Control", "max-age=9"), nil},
		{"for larder, kept by respond.Keep", "max-age=60", "private, no-store",
			answering(200, `1`, "Cache-Control", "max-age=60", respond.InternalControl, "no-store"), nil},
		{"with Authorization", "private, no-store", "", answering(200, `1`, "Cache-Control", "max-age=60"), []string{"Authorization", "x"}},
		{"missing, no-store", "private, no-store", "", answering(404, ``, "Cache-Control", "no-store"), nil},
		{"missing, varies on all", "private, no-store", "", answering(404, ``, "Vary", "*"), nil},
		{"missing, a cookie", "private, no-store", "", answering(404, ``, "Set-Cookie", "a=b"), nil},
		{"missing for who asked", "private, no-store", "", answering(401, ``), nil},
		{"forbidden", "private, no-store", "", answering(403, ``, "Cache-Control", "public, max-age=60"), nil},
		{"missing with a cookie", "private, no-store", "", answering(404, ``), []string{"Cookie", "a=b"}},
		{"missing for anyone", "public, max-age=5", "", answering(404, ``, "Cache-Control", "public, max-age=60"), []string{"Cookie", "a=b"}},
		{"an error of our own", "public, max-age=5", "", answering(502, ``, "Cache-Control", "no-store", respond.InternalError, "502"), nil},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		for i := 0; i < len(c.request); i += 2 {
			r.Header.Set(c.request[i], c.request[i+1])
		}
		w := httptest.NewRecorder()
		Handler([]Part{part("a", false, fresh), part("b", true, c.part)}, Options{MaxPartBytes: 1000}).ServeHTTP(w, r)
		if h := w.Header(); h.Get("Cache-Control") != c.want || h.Get("Larder-Cache-Control") != c.own {
			t.Errorf("%s: %q and %q, want %q and %q", c.name, h.Get("Cache-Control"), h.Get("Larder-Cache-Control"), c.want, c.own)
		}
	}
}

func TestClientsAreToldWhatTheyCanDo(t *testing.T) {
	w := serve(part("a", false, answering(401, ``, "WWW-Authenticate", "Basic")))
	if w.Code != 401 || w.Header().Get("WWW-Authenticate") != "Basic" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestMissingPartsAreNamed(t *testing.T) {
	w := serve(part("a", false, answering(200, `1`)), part("b", true, answering(500, ``)), part("c", true, answering(200, `[`)))
	if got := w.Header().Get(MissingField); got != `"b", "c"` {
		t.Errorf("%s", got)
	}
	if w := serve(part("a", false, answering(200, `1`))); w.Header().Get(MissingField) != "" {
		t.Errorf("nothing is missing: %v", w.Header())
	}
}

// A panic in one part's goroutine must not end the process.
func TestPanicsArePartsThatFailed(t *testing.T) {
	for name, value := range map[string]any{"an error": "broken", "an abort": http.ErrAbortHandler} {
		h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(value) })
		if w := serve(part("a", false, h)); w.Code != http.StatusBadGateway {
			t.Errorf("%s, required: %d", name, w.Code)
		}
		if w := serve(part("a", true, h)); w.Code != http.StatusOK || w.Body.String() != "{\"a\":null}\n" {
			t.Errorf("%s, optional: %d %s", name, w.Code, w.Body)
		}
	}
}

func TestNestingIsBounded(t *testing.T) {
	deep := strings.Repeat("[", jsontext.MaxNesting+1) + strings.Repeat("]", jsontext.MaxNesting+1)
	w := httptest.NewRecorder()
	Handler([]Part{part("a", false, answering(200, deep))}, Options{MaxPartBytes: 1 << 20}).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != http.StatusBadGateway {
		t.Errorf("%d", w.Code)
	}
}

func TestCodedPartsAreDecoded(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header["Accept-Encoding"]; len(got) != 1 || got[0] != "identity" {
			t.Errorf("asked for %q", got)
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = z.Write([]byte(`{"x":1}`))
		_ = z.Close()
	})
	if w := serve(part("a", false, h)); w.Code != 200 || w.Body.String() != `{"a":{"x":1}}`+"\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// Too late is another thing than broken, and the client may have less time than the part.
func TestLateIsAGatewayTimeout(t *testing.T) {
	never := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		w.WriteHeader(http.StatusGatewayTimeout)
	})
	late := part("late", false, never)
	late.Timeout = 10 * time.Millisecond
	if w := serve(late); w.Code != http.StatusGatewayTimeout {
		t.Errorf("a part's timeout: %d", w.Code)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	w := httptest.NewRecorder()
	Handler([]Part{part("a", true, never)}, Options{MaxPartBytes: 10}).ServeHTTP(w, httptest.NewRequest("GET", "/", nil).WithContext(ctx))
	if w.Code != http.StatusGatewayTimeout || w.Body.Len() == 0 {
		t.Errorf("the whole's: %d %q", w.Code, w.Body)
	}
}

func TestWildcardsAreEscapedForWhereTheyGo(t *testing.T) {
	for _, c := range []struct{ path, value, want string }{
		{"/x/{v}", "a&b=c?d#e/..", "/x/a&b=c%3Fd%23e%2F.."},
		{"/x?q={v}&r=1", "a&b=c d+e", "/x?q=a%26b%3Dc+d%2Be&r=1"},
	} {
		p := Part{Part: &config.Part{Path: c.path}}
		r := httptest.NewRequest("GET", "/", nil)
		r.SetPathValue("v", c.value)
		if got := p.expand(r); got != c.want {
			t.Errorf("%s with %s: %s, want %s", c.path, c.value, got, c.want)
		}
	}
}

func TestDotsAreNoValues(t *testing.T) {
	p := Part{Part: &config.Part{Name: "a", Path: "/x/{v...}", Timeout: time.Minute}, Handler: answering(200, `1`)}
	for value, want := range map[string]int{"a/b": 200, "a/../b": 400, "..": 400, ".": 400, "..b": 200} {
		r := httptest.NewRequest("GET", "/", nil)
		r.SetPathValue("v", value)
		w := httptest.NewRecorder()
		if Handler([]Part{p}, Options{MaxPartBytes: 10}).ServeHTTP(w, r); w.Code != want {
			t.Errorf("%s: %d, want %d", value, w.Code, want)
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
