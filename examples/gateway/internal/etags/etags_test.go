package etags

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestMarksCanBeUndone(t *testing.T) {
	for _, tag := range []string{`"v1"`, `W/"v1"`, `""`, `"a,b"`, `W/"x+y~z"`} {
		once := marked(tag, Fields)
		twice := marked(once, "gzip")
		if once == tag || twice == once {
			t.Errorf("%s became %s and %s", tag, once, twice)
		}
		if inner, mark := unmark(twice); inner != once || mark != "gzip" {
			t.Errorf("%s without its mark is %s, %s", twice, inner, mark)
		}
		if got := origins(twice); got != tag {
			t.Errorf("%s came from %s, not %s", twice, tag, got)
		}
	}
	for _, tag := range []string{`"v1+gzip"`, `W/"v1+lzma"`, `W/"v1"`, `junk`, ``} {
		if got := origins(tag); got != tag {
			t.Errorf("%s was not marked here, and became %s", tag, got)
		}
	}
	if got := marked("junk", "gzip"); got != "junk" {
		t.Errorf("what is no tag became %s", got)
	}
}

func TestConditionsGoInward(t *testing.T) {
	for _, c := range []struct{ method, field, in, want string }{
		{"PUT", "If-Match", `W/"v1+gzip"`, `"v1"`},
		{"PUT", "If-Match", `W/"v1+fields~br"`, `"v1"`},
		{"PUT", "If-Match", `"x", W/"v1~gzip"`, `"x", W/"v1"`},
		{"PUT", "If-Match", `*`, `*`},
		{"PUT", "If-Match", `W/"v1+gzip`, `W/"v1+gzip`},
		{"PUT", "If-None-Match", `W/"v1+br"`, `"v1"`},
		{"GET", "If-None-Match", `W/"v1+gzip"`, `"v1"`},
		{"GET", "If-None-Match", `W/"v1+gzip","v1" , W/"v2+br"`, `"v1"`},
		{"GET", "If-None-Match", `W/"v1+br"`, ``},
		{"GET", "If-None-Match", `W/"v1+fields~gzip"`, `W/"v1+fields"`},
		{"GET", "If-None-Match", `W/"v1+fields"`, `W/"v1+fields"`},
		{"GET", "If-None-Match", `"a,b",  "c"`, `"a,b",  "c"`},
		{"GET", "If-Match", `W/"v1+br"`, `"v1"`},
		{"GET", "If-Range", `"v1"`, `"v1"`},
		{"GET", "If-Range", `W/"v1+gzip"`, ``},
	} {
		r := httptest.NewRequest(c.method, "/", nil)
		r.Header.Set(c.field, c.in)
		r.Header.Set("Range", "bytes=0-1")
		Inward(r, "gzip", "gzip", "br", "zstd")
		if got := r.Header.Get(c.field); got != c.want {
			t.Errorf("%s %s: %s became %s, want %s", c.method, c.field, c.in, got, c.want)
		}
		if gone := r.Header.Get("Range") == ""; gone != (c.field == "If-Range" && c.want == "") {
			t.Errorf("%s: %s: the range is gone: %v", c.field, c.in, gone)
		}
	}
}

func TestNotModifiedBearsTheTagThatTheClientHas(t *testing.T) {
	for asked, want := range map[string]string{
		`W/"v1+gzip"`: `W/"v1+gzip"`, `"x", W/"v1+gzip"`: `W/"v1+gzip"`, `"v1"`: `"v1"`, `*`: `"v1"`,
	} {
		h := http.Header{"Etag": {`"v1"`}}
		if NotModified(h, []string{asked}, "gzip"); h.Get("Etag") != want {
			t.Errorf("%s: %s, want %s", asked, h.Get("Etag"), want)
		}
	}
}

// FuzzMark: whatever is marked can be unmarked, and nothing else is.
func FuzzMark(f *testing.F) {
	f.Add(`"v1"`)
	f.Add(`W/"a+b~gzip"`)
	f.Add(`W/""`)
	f.Fuzz(func(t *testing.T, tag string) {
		for _, mark := range marks {
			with := marked(tag, mark)
			if with == tag {
				continue
			}
			if inner, found := unmark(with); inner != tag || found != mark {
				t.Errorf("%q became %q and then %q, %q", tag, with, inner, found)
			}
		}
		if inner, mark := unmark(tag); mark != "" && marked(inner, mark) != tag {
			t.Errorf("%q was taken for %q marked %q", tag, inner, mark)
		}
	})
}
