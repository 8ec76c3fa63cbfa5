package compress

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

var all = []string{"zstd", "br", "gzip"}

var body = bytes.Repeat([]byte(`{"name":"value"},`), 500)

// serve answers with a body and header fields, through both handlers.
func serve(t *testing.T, method, accept string, header map[string]string, content []byte) *httptest.ResponseRecorder {
	t.Helper()
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if v := r.Header["Accept-Encoding"]; len(v) != 1 || v[0] != "identity" {
			t.Errorf("the next handler was asked for %q", v)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Etag", `"1"`)
		for name, value := range header {
			w.Header().Set(name, value)
		}
		if r.Method != http.MethodHead {
			_, _ = w.Write(content)
		}
	})
	r := httptest.NewRequest(method, "/", nil)
	if accept != "" {
		r.Header.Set("Accept-Encoding", accept)
	}
	w := httptest.NewRecorder()
	Negotiate(Handler(next), all).ServeHTTP(w, r)
	return w
}

func decode(t *testing.T, encoding string, r io.Reader) []byte {
	t.Helper()
	var err error
	switch encoding {
	case "gzip":
		r, err = gzip.NewReader(r)
	case "br":
		r = brotli.NewReader(r)
	case "zstd":
		r, err = zstd.NewReader(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEveryEncodingGivesTheBodyBack(t *testing.T) {
	for _, encoding := range all {
		for range 3 { // encoders are used again
			w := serve(t, "GET", encoding, map[string]string{"Content-Length": "8500"}, body)
			if got := w.Header().Get("Content-Encoding"); got != encoding {
				t.Fatalf("Content-Encoding %q, want %q", got, encoding)
			}
			if w.Body.Len() >= len(body)/4 {
				t.Errorf("%s: %d bytes of %d", encoding, w.Body.Len(), len(body))
			}
			if !bytes.Equal(decode(t, encoding, w.Body), body) {
				t.Errorf("%s: another body", encoding)
			}
			h := w.Header()
			if h.Get("Vary") != "Accept-Encoding" || h.Get("Etag") != `W/"1+`+encoding+`"` || h.Get("Content-Length") != "" {
				t.Errorf("%s: %v", encoding, h)
			}
		}
	}
}

func TestChoice(t *testing.T) {
	for field, want := range map[string]string{
		"gzip, deflate, br, zstd":    "zstd",
		"gzip, deflate, br":          "br",
		"GZIP":                       "gzip",
		"gzip;q=1.0, br;q=0.5":       "gzip",
		"br;q=0, gzip":               "gzip",
		"*":                          "zstd",
		"*;q=0.5, br;q=0.1":          "zstd",
		"identity":                   "identity",
		"identity, gzip;q=0.5":       "identity",
		"identity;q=1, *;q=0":        "identity",
		"gzip;q=0, *":                "zstd",
		"identity;q=0.5, gzip;q=0.5": "gzip",
		"deflate":                    "identity",
		"gzip;q=0":                   "identity",
		"gzip;q=nonsense":            "identity",
		"gzip;q=NaN":                 "identity",
		"":                           "identity",
	} {
		if got := choose(field, all); got != want {
			t.Errorf("%q: %q, want %q", field, got, want)
		}
	}
}

func TestNegotiateLeavesOneSpelling(t *testing.T) {
	var seen []string
	h := Negotiate(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen = append(seen, strings.Join(r.Header["Accept-Encoding"], "|"))
	}), all)
	for _, field := range []string{"gzip, br", "br;q=1, gzip;q=0.2", "br", "br", "deflate", "gzip, br", ""} {
		r := httptest.NewRequest("GET", "/", nil)
		if field != "" {
			r.Header.Set("Accept-Encoding", field)
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	if got := strings.Join(seen, ","); got != "br,br,br,br,identity,br,identity" {
		t.Errorf("the cache sees %s", got)
	}
}

func TestNotCompressed(t *testing.T) {
	for name, c := range map[string]struct {
		accept string
		header map[string]string
		body   []byte
		vary   string
	}{
		"not asked for":   {"", nil, body, "Accept-Encoding"},
		"small":           {"gzip", map[string]string{"Content-Length": "3"}, []byte("{ }"), "Accept-Encoding"},
		"an image":        {"gzip", map[string]string{"Content-Type": "image/png"}, body, ""},
		"already encoded": {"gzip", map[string]string{"Content-Encoding": "br"}, body, "Accept-Encoding"},
		"no-transform":    {"gzip", map[string]string{"Cache-Control": "max-age=1, No-Transform"}, body, ""},
		"a stream":        {"gzip", map[string]string{"Content-Type": "text/event-stream"}, body, ""},
	} {
		w := serve(t, "GET", c.accept, c.header, c.body)
		if !bytes.Equal(w.Body.Bytes(), c.body) || w.Header().Get("Content-Encoding") != c.header["Content-Encoding"] ||
			w.Header().Get("Etag") != `"1"` || w.Header().Get("Vary") != c.vary {
			t.Errorf("%s: %v", name, w.Header())
		}
	}
}

func TestHeadAgreesWithGet(t *testing.T) {
	w := serve(t, "HEAD", "gzip", map[string]string{"Content-Length": "8500"}, nil)
	if h := w.Header(); h.Get("Etag") != `W/"1+gzip"` || h.Get("Vary") != "Accept-Encoding" ||
		h.Get("Content-Length") != "" || h.Get("Content-Encoding") != "gzip" || w.Body.Len() != 0 {
		t.Errorf("HEAD: %v", h)
	}
}

// answer serves one request through Handler and returns what the next handler was asked.
func answer(status int, header http.Header, method string, request http.Header) (*httptest.ResponseRecorder, http.Header) {
	var asked http.Header
	h := Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header.Clone()
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
	}))
	r := httptest.NewRequest(method, "/", nil)
	for name, values := range request {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w, asked
}

func TestOriginsSeeTheirOwnTags(t *testing.T) {
	for _, c := range []struct{ method, field, given, want string }{
		{"PUT", "If-Match", `W/"v1+gzip"`, `"v1"`},
		{"DELETE", "If-Match", `W/"v1~br"`, `W/"v1"`},
		{"GET", "If-None-Match", `W/"v1+gzip"`, `"v1"`},
		{"GET", "If-None-Match", `W/"v1+br"`, ""},
		{"GET", "If-Range", `W/"v1+gzip"`, ""},
	} {
		_, asked := answer(200, nil, c.method, http.Header{"Accept-Encoding": {"gzip"}, c.field: {c.given}, "Range": {"bytes=0-"}})
		if got := asked.Get(c.field); got != c.want {
			t.Errorf("%s %s: %s became %q, want %q", c.method, c.field, c.given, got, c.want)
		}
	}
}

func TestNotModifiedHasTheClientsTag(t *testing.T) {
	for given, want := range map[string]string{`W/"1+gzip"`: `W/"1+gzip"`, `"1"`: `"1"`} {
		w, _ := answer(304, http.Header{"Etag": {`"1"`}}, "GET", http.Header{"Accept-Encoding": {"gzip"}, "If-None-Match": {given}})
		if h := w.Header(); w.Code != 304 || h.Get("Etag") != want || h.Get("Vary") != "Accept-Encoding" || w.Body.Len() != 0 {
			t.Errorf("%s: %d %v", given, w.Code, h)
		}
	}
}

// Whatever is answered for a resource that comes in several encodings says so.
func TestEveryAnswerOfANegotiatedResourceVaries(t *testing.T) {
	for _, status := range []int{200, 201, 206, 404, 416, 500, 503} {
		for _, accept := range []string{"gzip", "identity"} {
			for _, method := range []string{"GET", "HEAD"} {
				w, _ := answer(status, http.Header{"Content-Type": {"application/json"}}, method, http.Header{"Accept-Encoding": {accept}})
				if got := w.Header().Get("Vary"); got != "Accept-Encoding" {
					t.Errorf("%s with %s: %d has Vary %q", method, accept, status, got)
				}
			}
		}
	}
}

func TestAbortedResponsesDoNotLookWhole(t *testing.T) {
	server := httptest.NewServer(Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write(body)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})))
	defer server.Close()
	r, _ := http.NewRequest("GET", server.URL, nil)
	r.Header.Set("Accept-Encoding", "gzip")
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Errorf("%d bytes of an aborted response looked whole", n)
	}
}

func TestFlushSendsWhatThereIs(t *testing.T) {
	next := make(chan struct{})
	server := httptest.NewServer(Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte("first"))
		_ = http.NewResponseController(w).Flush()
		<-next
	})))
	defer server.Close()
	defer close(next)
	r, _ := http.NewRequest("GET", server.URL, nil)
	r.Header.Set("Accept-Encoding", "gzip")
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	z, err := gzip.NewReader(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 5)
	if _, err := io.ReadFull(z, first); err != nil || string(first) != "first" {
		t.Errorf("%q, %v", first, err)
	}
}
