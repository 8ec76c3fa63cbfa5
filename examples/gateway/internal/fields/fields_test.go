package fields

import (
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/larder-cache/larder/examples/gateway/internal/jsontext"
)

func TestProject(t *testing.T) {
	for _, c := range []struct{ selection, in, want string }{
		{"a", `{"a":1,"b":2}`, `{"a":1}`},
		{"b,a", `{"a": 1.0e5, "b": "\u00e9"}`, `{"a":1.0e5,"b":"\u00e9"}`},
		{"a.b", `{"a":{"b":[1, 2],"c":3},"d":4}`, `{"a":{"b":[1, 2]}}`},
		{"a.b,a", `{"a":{"b":1,"c":3}}`, `{"a":{"b":1,"c":3}}`},
		{"a,a.b", `{"a":{"b":1,"c":3}}`, `{"a":{"b":1,"c":3}}`},
		{"items.n,total", `{"total":2,"items":[{"n":1,"x":0},{"n":2}]}`, `{"total":2,"items":[{"n":1},{"n":2}]}`},
		{"n", `[{"n":1,"x":0},{"x":2},[{"n":3}],4]`, `[{"n":1},{},[{"n":3}],4]`},
		{"absent", `{"a":1}`, `{}`},
		{"a.b", `{"a":7}`, `{"a":7}`},
		{"a", `"text"`, `"text"`},
		{"a\\u0062", `{"a\u0062":1}`, `{}`},
		{"a", deep(jsontext.MaxNesting), deep(jsontext.MaxNesting)},
		{"ab", `{"a\u0062":1}`, `{"a\u0062":1}`},
	} {
		s, err := Parse(c.selection)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := s.Project(nil, []byte(c.in)); !ok || string(got) != c.want {
			t.Errorf("%s of %s: %s, want %s", c.selection, c.in, got, c.want)
		}
	}
	s, _ := Parse("a")
	for _, broken := range []string{"", "{", `{"a":}`, `{"a":1}}`, deep(jsontext.MaxNesting + 1)} {
		if got, ok := s.Project(nil, []byte(broken)); ok {
			t.Errorf("%q gave %s", broken, got)
		}
	}
}

func deep(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

func TestParseRefusesNonsense(t *testing.T) {
	for _, text := range []string{"", ",", "a,,b", "a.", ".a", "a..b", strings.Repeat("a,", 64) + "a", strings.Repeat("a.", 8) + "a", strings.Repeat("x", 3000)} {
		if s, err := Parse(text); err == nil {
			t.Errorf("%.20q gave %v", text, s)
		}
	}
}

func TestCanonicalForm(t *testing.T) {
	for text, want := range map[string]string{"b,a": "a,b", "a, a.b": "a", "x.b,x.a,x.b": "x.a,x.b"} {
		if s, err := Parse(text); err != nil || s.String() != want {
			t.Errorf("%q: %q, want %q", text, s, want)
		}
	}
}

func TestSplitKeepsTheRest(t *testing.T) {
	for _, c := range []struct {
		query, rest, fields string
		given               bool
	}{
		{"q=%zz&fields=a,b&x", "q=%zz&x", "a,b", true},
		{"fields=a%2Eb", "", "a.b", true},
		{"fields=a&fields=b", "", "a,b", true},
		{"fields=%zz", "", ",", true},
		{"fields", "", "", true},
		{"myfields=a", "myfields=a", "", false},
		{"", "", "", false},
	} {
		if rest, fields, given := Split(c.query); rest != c.rest || fields != c.fields || given != c.given {
			t.Errorf("%q: %q %q %v", c.query, rest, fields, given)
		}
	}
}

func whole(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Etag", `"1"`)
	h.Set("Cache-Control", "max-age=60")
	h.Set("Accept-Ranges", "bytes")
	h.Set("Vary", "Accept-Encoding, Accept-Language")
	switch {
	case r.URL.Query().Get("fields") == "" && r.URL.RawQuery == "as-it-is":
		h.Set("Got", r.Header.Get("If-Match"))
	case r.Header.Get("Range") != "" || r.URL.RawQuery != "x=1" && r.Header.Get("Accept-Encoding") != "identity":
		w.WriteHeader(http.StatusTeapot)
	case r.Header.Get("If-None-Match") == `"1"`:
		w.WriteHeader(http.StatusNotModified)
	case r.URL.Path == "/coded":
		h.Set("Content-Type", "application/json")
		h.Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = z.Write([]byte(`{"q":"coded","other":1}`))
		_ = z.Close()
	case r.URL.Path == "/bomb":
		h.Set("Content-Type", "application/json")
		h.Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = z.Write(make([]byte, 2000))
		_ = z.Close()
	case r.URL.Path == "/deep":
		h.Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(deep(1001)[:900]))
	case r.URL.Path == "/text":
		h.Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte("text"))
	case r.URL.Path == "/abort":
		panic(http.ErrAbortHandler)
	case r.URL.Path == "/large":
		_, _ = w.Write(make([]byte, 2000))
	default:
		h.Set("Content-Type", "application/json; charset=utf-8")
		_, _ = w.Write([]byte(`{"q":"` + r.URL.RawQuery + `","other":1}`))
	}
}

func ask(target string, header ...string) *httptest.ResponseRecorder {
	source := func(inner *http.Request) string { return inner.URL.Path }
	h := Route(http.HandlerFunc(whole), Handler(http.HandlerFunc(whole), 1000, source))
	r := httptest.NewRequest("GET", target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestHandler(t *testing.T) {
	for _, c := range []struct {
		target, want, etag string
		status             int
	}{
		{"/?x=1", `{"q":"x=1","other":1}`, `"1"`, 200},
		{"/?x=1&fields=q", `{"q":"x=1"}` + "\n", `W/"1+fields"`, 200},
		{"/coded?fields=q", `{"q":"coded"}` + "\n", `W/"1+identity~fields"`, 200},
		{"/bomb?fields=q", "too large", "", 502},
		{"/deep?fields=q", "[[[", `"1"`, 200},
		{"/text?fields=q", "text", `"1"`, 200},
		{"/large?fields=q", "too large", "", 502},
		{"/?fields=", "fields must be", "", 400},
	} {
		w := ask(c.target, "Range", "")
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) || w.Header().Get("Etag") != c.etag {
			t.Errorf("%s: %d %s %v", c.target, w.Code, w.Body, w.Header())
		}
	}
	if w := ask("/?fields=q", "Range", "bytes=0-1", "Accept-Encoding", "gzip"); w.Code != 200 || w.Header().Get("Accept-Ranges") != "" || w.Header().Get("Vary") != "Accept-Language" {
		t.Errorf("a range of a selection: %d %v", w.Code, w.Header())
	}
	if w := ask("/?fields=q", "If-None-Match", `W/"1+fields"`); w.Code != 304 || w.Header().Get("Etag") != `W/"1+fields"` {
		t.Errorf("If-None-Match: %d %v", w.Code, w.Header())
	}
	// Whoever has a selection may change the whole.
	if w := ask("/?as-it-is", "If-Match", `W/"1+fields~gzip"`); w.Header().Get("Got") != `"1"` {
		t.Errorf("If-Match became %s", w.Header().Get("Got"))
	}
}

func TestAbortsPassThrough(t *testing.T) {
	defer func() {
		if recover() != http.ErrAbortHandler {
			t.Error("an aborted response was answered")
		}
	}()
	ask("/abort?fields=q")
}
