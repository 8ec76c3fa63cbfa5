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
		if v := r.Header.Get("Accept-Encoding"); v != "" {
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
			if h.Get("Vary") != "Accept-Encoding" || h.Get("Etag") != `W/"1"` || h.Get("Content-Length") != "" {
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
		"identity":                   "",
		"identity, gzip;q=0.5":       "",
		"identity;q=0.5, gzip;q=0.5": "gzip",
		"deflate":                    "",
		"gzip;q=0":                   "",
		"gzip;q=nonsense":            "",
		"gzip;q=NaN":                 "",
		"":                           "",
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
	for _, field := range []string{"gzip, br", "br;q=1, gzip;q=0.2", "br", "br", "deflate", "gzip, br"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Encoding", field)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	if got := strings.Join(seen, ","); got != "br,br,br,br,,br" {
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
		"small":           {"gzip", map[string]string{"Content-Length": "3"}, []byte("{ }"), ""},
		"an image":        {"gzip", map[string]string{"Content-Type": "image/png"}, body, ""},
		"already encoded": {"gzip", map[string]string{"Content-Encoding": "br"}, body, ""},
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

func TestHeadAndNotModifiedAgreeWithGet(t *testing.T) {
	w := serve(t, "HEAD", "gzip", map[string]string{"Content-Length": "8500"}, nil)
	if h := w.Header(); h.Get("Etag") != `W/"1"` || h.Get("Vary") != "Accept-Encoding" || h.Get("Content-Length") != "" {
		t.Errorf("HEAD: %v", h)
	}
	h := Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Etag", `"1"`)
		w.WriteHeader(http.StatusNotModified)
	}))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if rec.Code != http.StatusNotModified || rec.Header().Get("Etag") != `W/"1"` || rec.Header().Get("Vary") != "Accept-Encoding" || rec.Body.Len() != 0 {
		t.Errorf("304: %d %v", rec.Code, rec.Header())
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
