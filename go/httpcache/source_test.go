package httpcache

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	larder "github.com/larder-cache/larder/go"
)

func TestSplitTags(t *testing.T) {
	for _, c := range []struct {
		field string
		lines []string
		want  []string
	}{
		{"Surrogate-Key", []string{"a b  c"}, []string{"a", "b", "c"}},
		{"Surrogate-Key", []string{"/books, /books/1"}, []string{"/books", "/books/1"}},
		{"Surrogate-Key", []string{"a,b c"}, []string{"a,b", "a", "b", "c"}},
		{"surrogate-key", []string{"a", "b,", ", a"}, []string{"a", "b"}},
		{"xkey", []string{"a\tb"}, []string{"a", "b"}},
		{"Cache-Tag", []string{"books,books-1"}, []string{"books", "books-1"}},
		{"Cache-Tag", []string{"foo bar , baz"}, []string{"foo bar", "foo", "bar", "baz"}},
		{"Cache-Tag", []string{"a b", ""}, []string{"a b", "a", "b"}},
		{"X-Magento-Tags", []string{"cat_p,cat_p_1,FPC"}, []string{"cat_p", "cat_p_1", "FPC"}},
		{"X-Any", []string{" , ,, "}, nil},
		{"X-Any", nil, nil},
	} {
		if got := SplitTags(c.field, c.lines); !slices.Equal(got, c.want) {
			t.Errorf("%s %q: got %q, want %q", c.field, c.lines, got, c.want)
		}
	}
}

// Tags of all fields that real systems send are purged as they were sent, and no
// other is.
func TestPurgeTagsWithCommas(t *testing.T) {
	fields := []string{"Surrogate-Key", "Cache-Tag", "X-Magento-Tags"}
	for _, c := range []struct{ line, tag, other string }{
		{"Surrogate-Key: /books, /books/1", "/books", "/books/2"},
		{"Surrogate-Key: /books, /books/1", "/books/1", "/books,"},
		{"Surrogate-Key: a,b", "a,b", "a,"},
		{"Cache-Tag: books,books-1", "books", "books,books-1"},
		{"Cache-Tag: books,books-1", "books-1", "book"},
		{"Cache-Tag: two words,x", "two words", "two  words"},
		{"X-Magento-Tags: cat_p,cat_p_1,FPC", "cat_p", "cat"},
		{"X-Magento-Tags: cat_p,cat_p_1,FPC", "FPC", "fpc"},
	} {
		r := newRig(t, Options{TagFields: fields})
		r.set(reply(200, "old", fresh, c.line))
		r.get("/")
		r.cache.PurgeTag(c.other, Hard)
		if rec := r.get("/"); rec.Body.String() != "old" || r.lastEvent().Outcome != Hit {
			t.Errorf("%s: purged by %q", c.line, c.other)
		}
		r.set(reply(200, "new", fresh))
		r.cache.PurgeTag(c.tag, Hard)
		if rec := r.get("/"); rec.Body.String() != "new" {
			t.Errorf("%s: not purged by %q", c.line, c.tag)
		}
	}
}

// Purges of other tags, prefixes and URLs do not keep requests from waiting together;
// one that touches what they wait for sends those who came after it forward again.
func TestPurgesAndCollapsing(t *testing.T) {
	const n = 20
	for name, c := range map[string]struct {
		purge func(*Cache)
		asked int64
	}{
		"another tag":     {func(c *Cache) { c.PurgeTag("other", Hard) }, 1},
		"another, soft":   {func(c *Cache) { c.PurgeTag("other", Soft) }, 1},
		"another prefix":  {func(c *Cache) { c.PurgePrefix("http://example.com/other", Hard) }, 1},
		"another URL":     {func(c *Cache) { c.PurgeURL("http://example.com/other", Hard) }, 1},
		"another source":  {func(c *Cache) { c.PurgeSource("other", Hard) }, 1},
		"its tag":         {func(c *Cache) { c.PurgeTag("k", Hard) }, 2},
		"its tag, softly": {func(c *Cache) { c.PurgeTag("k", Soft) }, 2},
		"its source":      {func(c *Cache) { c.PurgeSource("s", Hard) }, 2},
		"its prefix":      {func(c *Cache) { c.PurgePrefix("http://example.com/", Hard) }, 2},
		"all":             {func(c *Cache) { c.PurgeAll(Hard) }, 2},
		"its URL":         {func(c *Cache) { c.PurgeURL("http://example.com/", Hard) }, 2},
		"its spelling":    {func(c *Cache) { c.PurgeURL("http://example.com/?%71=1", Hard) }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{})
			var asked atomic.Int64
			begun, next := make(chan bool, n), make(chan bool)
			r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				v := asked.Add(1)
				begun <- true
				if v == 1 {
					<-next
				}
				AddSource(w.Header(), "s")
				reply(200, fmt.Sprint(v), fresh, "Surrogate-Key: k").write(w)
			}))
			path := "/"
			if name == "its spelling" {
				path = "/?q=1"
			}
			request := func(int) *http.Request { return r.request("", path, nil, "") }
			before := crowd(r, 1, request)
			<-begun
			c.purge(r.cache)
			after := crowd(r, n, request)
			switch name {
			case "its prefix", "all", "its URL": // that is known at once: they do not join
			default:
				r.joined(n + 1)
			}
			close(next)
			before()
			for _, rec := range after() {
				if got := rec.Body.String(); got != fmt.Sprint(c.asked) {
					t.Errorf("got %q", got)
				}
			}
			if got := asked.Load(); got != c.asked {
				t.Errorf("the origin was asked %d times, want %d", got, c.asked)
			}
		})
	}
}

// madeRig has three resources at /item/1 to /item/3, a cache of them, and in front of
// that another path that makes something of the first two: /made. Both caches are on
// one set of responses, as those of a gateway's layers are.
//
// Each path's responses lie in partitions[path]; in as many as there may be if there is "*".
func madeRig(
	t *testing.T, vary string, partitions map[string]string,
) (r *rig, version *atomic.Int64) {
	r = newRig(t, Options{})
	version = new(atomic.Int64)
	policy := HandlerOptions{Partition: func(req *http.Request) string {
		return partitions[req.URL.Path[:strings.IndexByte(req.URL.Path[1:]+"/", '/')+1]]
	}}
	if partitions == nil {
		policy = HandlerOptions{}
	}
	inner := r.cache.HandlerWith(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/command" {
			AddSource(w.Header(), "upstream /item/2")
			return
		}
		AddSource(w.Header(), "upstream "+strings.TrimPrefix(req.URL.Path, "/part"))
		reply(200, fmt.Sprint(version.Load()), fresh).write(w)
	}), policy)
	outer := r.cache.HandlerWith(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body := ""
		for _, part := range []string{"/item/1", "/item/2"} {
			p := r.request("", "http://parts.invalid/part"+part, nil, "")
			rec := httptest.NewRecorder()
			inner.ServeHTTP(rec, p)
			body += rec.Body.String()
			AddSourceOf(w.Header(), p)
			AddSource(w.Header(), "upstream "+part)
		}
		reply(200, body, fresh, vary).write(w)
	}), policy)
	for i := range maxPartitions {
		if _, many := partitions["*"]; many {
			key := r.cache.appendURI(nil, schemeHTTP, "example.com", &url.URL{Path: "/"}, fmt.Sprint("other", i))
			r.cache.shared.partitions.note(key)
		}
	}
	r.h = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.HasPrefix(req.URL.Path, "/made") {
			outer.ServeHTTP(w, req)
		} else {
			inner.ServeHTTP(w, req)
		}
	})
	return r, version
}

// What was made of a resource goes with it, and with what is purged goes what it was
// made of.
func TestWhatIsMadeOfAResource(t *testing.T) {
	must := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	for name, c := range map[string]struct {
		change func(r *rig)
		want   string // the body of /made afterwards
	}{
		"nothing":             {func(*rig) {}, "00"},
		"PUT":                 {func(r *rig) { r.do(r.request("PUT", "/item/1", nil, "x")) }, "10"},
		"PUT elsewhere":       {func(r *rig) { r.do(r.request("PUT", "/item/3", nil, "x")) }, "00"},
		"POST that names it":  {func(r *rig) { r.do(r.request("POST", "/command", nil, "x")) }, "01"},
		"DELETE, spelt":       {func(r *rig) { r.do(r.request("DELETE", "/%69tem/1", nil, "x")) }, "00"},
		"purge of a source":   {func(r *rig) { r.cache.PurgeSource("upstream /item/2", Hard) }, "01"},
		"purge of its URL":    {func(r *rig) { must(r.cache.PurgeURL("http://example.com/made", Hard)) }, "11"},
		"softly":              {func(r *rig) { must(r.cache.PurgeURL("http://example.com/made", Soft)) }, "11"},
		"purge of a part":     {func(r *rig) { must(r.cache.PurgeURL("http://parts.invalid/part/item/1", Hard)) }, "10"},
		"purge of an item":    {func(r *rig) { must(r.cache.PurgeURL("http://example.com/item/1", Hard)) }, "10"},
		"purge of other item": {func(r *rig) { must(r.cache.PurgeURL("http://example.com/item/3", Hard)) }, "00"},
		"by prefix":           {func(r *rig) { must(r.cache.PurgePrefix("http://example.com/ma", Hard)) }, "11"},
		"by prefix, softly":   {func(r *rig) { must(r.cache.PurgePrefix("http://example.com/ma", Soft)) }, "11"},
		"items by prefix":     {func(r *rig) { must(r.cache.PurgePrefix("http://example.com/item/1", Hard)) }, "10"},
		"other prefix":        {func(r *rig) { must(r.cache.PurgePrefix("http://example.com/item/3", Hard)) }, "00"},
	} {
		t.Run(name, func(t *testing.T) {
			apart := map[string]string{"/made": "m", "/item": "i", "/part": "p"}
			many := map[string]string{"/made": "m", "/item": "i", "/part": "p", "*": ""}
			for i := range 6 {
				vary := []string{"Vary: Accept-Language", "X-Vary: none"}[i%2]
				r, version := madeRig(t, vary, []map[string]string{nil, apart, many}[i/2])
				for _, path := range []string{"/made", "/item/1", "/item/2", "/item/3"} {
					r.get(path)
				}
				version.Store(1)
				c.change(r)
				want := c.want
				if name == "DELETE, spelt" {
					want = "10"
				}
				if got := r.get("/made").Body.String(); got != want {
					t.Errorf("%s, %d: got %q, want %q", vary, i/2, got, want)
				}
			}
		})
	}
}

// All spellings of a URI go together, by purges and by unsafe methods.
func TestSpellingsOfAURI(t *testing.T) {
	spellings := []string{"/a/b?x=%61", "/%61/b?x=a", "/a/%62?x=a", "http://EXAMPLE.com:80/a/b?x=a"}
	for _, spelling := range spellings {
		for name, purge := range map[string]func(r *rig){
			"purge": func(r *rig) {
				u := spelling
				if strings.HasPrefix(u, "/") {
					u = "http://example.com" + u
				}
				if err := r.cache.PurgeURL(u, Hard); err != nil {
					t.Error(err)
				}
			},
			"POST": func(r *rig) { r.do(r.request("POST", spelling, nil, "x")) },
		} {
			r := newRig(t, Options{})
			r.set(reply(200, "old", fresh))
			for _, s := range append(spellings, "/a/c?x=a") {
				r.get(s)
			}
			purge(r)
			r.set(reply(200, "new", fresh))
			for _, s := range spellings {
				if got := r.get(s).Body.String(); got != "new" {
					t.Errorf("%s by %s: %s is still %q", name, spelling, s, got)
				}
			}
			if got := r.get("/a/c?x=a").Body.String(); got != "old" {
				t.Errorf("%s by %s: another resource is %q", name, spelling, got)
			}
		}
	}
}

// Parameters that don't count make no other resource.
func TestSourcesWithoutParametersThatDoNotCount(t *testing.T) {
	r := newRig(t, Options{IgnoreQuery: []string{"utm_*"}})
	r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/made" {
			AddSourceOf(w.Header(), r.request("", "/item?utm_source=x&a=1", nil, ""))
		}
		reply(200, req.Method, fresh).write(w)
	}))
	for i, u := range []string{"/item?a=1", "/item?utm_medium=y&a=%31"} {
		r.get("/made")
		if r.get("/made"); r.lastEvent().Outcome != Hit {
			t.Fatal("not stored")
		}
		if i == 0 {
			r.do(r.request("PUT", u, nil, "x"))
		} else if err := r.cache.PurgeURL("http://example.com"+u, Hard); err != nil {
			t.Error(err)
		}
		if r.get("/made"); r.lastEvent().Outcome == Hit {
			t.Errorf("%s left what was made of it", u)
		}
	}
}

// A response to POST that is one to GET as well outlives its own invalidation and purges of
// others, and no purge of what it is.
func TestPostIsNotPurgedByItself(t *testing.T) {
	for purged, want := range map[string]string{"": "POST", "another": "POST", "k": "GET"} {
		r := newRig(t, Options{})
		r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if purged != "" {
				r.cache.PurgeTag(purged, Hard)
			}
			reply(200, req.Method, fresh, "Content-Location: /", "Surrogate-Key: k").write(w)
		}))
		r.do(r.request("POST", "/", nil, "x"))
		if got := r.get("/").Body.String(); got != want {
			t.Errorf("tag %q purged meanwhile: got %q, want %q", purged, got, want)
		}
	}
}

// The purge API tells how many responses it has touched.
func TestPurgeCounts(t *testing.T) {
	c, err := larder.New(larder.Options{MaxBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	stores := map[string]func(r *rig) store{
		"memory": func(r *rig) store { return r.store }, "larder": func(*rig) store { return c },
	}
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			for _, step := range []struct {
				form string
				want int
			}{
				{"tag=k", 4}, {"tag=none", 0}, {"tag=k&mode=soft", 4},
				{"url=http://a.example/1", 2}, {"url=http://a.example/9", 0},
				{"url=http://a.example/varies", 3}, {"url=http://a.example/varies&mode=soft", 3},
				{"url=http://a.example/1&mode=soft", 2}, {"url=http://a.example/made", 2},
				{"prefix=http://a.example/", 7}, {"all=true", 8}, {"all=true&mode=soft", 8},
				{"tag=k&tag=k2&url=http://a.example/1", 7}, {"url=http://a.example/part", 1},
			} {
				r := newRig(t, Options{})
				for key := range c.All() {
					c.Delete(key)
				}
				r.cache = newCache(open(r), Options{Now: r.clock.now})
				defer r.cache.Close()
				r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					switch req.URL.Path {
					case "/varies":
						reply(200, "v", fresh, "Vary: Foo", "Surrogate-Key: k").write(w)
					case "/made":
						AddSourceOf(w.Header(), r.request("", "http://a.example/1", nil, ""))
						reply(200, "m", fresh).write(w)
					case "/part":
						reply(206, "part", fresh, `Etag: "p"`, "Content-Range: bytes 0-3/9").write(w)
					default:
						reply(200, "x", fresh, "Surrogate-Key: k2, "+strings.Trim(req.URL.Path, "/")).write(w)
					}
				}))
				for _, foo := range []string{"1", "2", "3"} {
					r.get("http://a.example/varies", "Foo: "+foo)
				}
				for _, u := range []string{"http://a.example/1", "http://a.example/2", "http://b.example/k", "http://a.example/made"} {
					r.get(u)
				}
				r.get("http://a.example/part", "Range: bytes=0-3")
				purge := func() purgeResult {
					rec := httptest.NewRecorder()
					r.cache.PurgeHandler().ServeHTTP(rec, httptest.NewRequest("POST", "/?"+step.form, nil))
					var result purgeResult
					if err := json.Unmarshal(rec.Body.Bytes(), &result); err != nil || rec.Code != 200 {
						t.Fatalf("%s: %d %v", step.form, rec.Code, err)
					}
					return result
				}
				if result := purge(); result.Matched == nil || *result.Matched != step.want {
					t.Errorf("%s: matched %v, want %d", step.form, deref(result.Matched), step.want)
				}
				if again := purge(); !strings.Contains(step.form, "soft") && *again.Matched != 0 {
					t.Errorf("%s again: matched %d", step.form, *again.Matched)
				}
			}
		})
	}
	r := newRig(t, Options{})
	req := httptest.NewRequest("POST", "/", strings.NewReader(url.Values{"all": {"true"}, "count": {"false"}}.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	rec := httptest.NewRecorder()
	r.cache.PurgeHandler().ServeHTTP(rec, req)
	if !strings.Contains(rec.Body.String(), `"matched":null`) {
		t.Errorf("without a count: %s", rec.Body)
	}
}

func deref(n *int) int {
	if n == nil {
		return -1
	}
	return *n
}

// A part is not completed where the whole might come in a coding.
func TestPartsOfNegotiatedResourcesAreNotCompleted(t *testing.T) {
	for _, c := range []struct {
		name      string
		header    []string
		with      []string
		completed bool
	}{
		{"nothing said", nil, []string{"Accept-Encoding: gzip"}, true},
		{"negotiated", []string{"Vary: Accept-Encoding"}, []string{"Accept-Encoding: gzip"}, false},
		{"among others", []string{"Vary: Foo, accept-encoding"}, []string{"Accept-Encoding: gzip"}, false},
		{"none wanted", []string{"Vary: Accept-Encoding"}, nil, true},
		{"coded", []string{"Vary: Accept-Encoding", "Content-Encoding: gzip"}, []string{"Accept-Encoding: gzip"}, true},
	} {
		r := newRig(t, Options{})
		r.set(reply(206, "part", append(c.header, fresh, `Etag: "p"`, "Content-Range: bytes 0-3/9")...))
		r.get("/", append(c.with, "Range: bytes=0-3")...)
		r.set(reply(200, "the whole", fresh, `Etag: "p"`))
		r.get("/", c.with...)
		if got := r.asked[1].Header.Get("Range") != ""; got != c.completed {
			t.Errorf("%s: completed %v", c.name, got)
		}
	}
}
