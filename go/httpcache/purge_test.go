package httpcache

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// purgeRig stores some responses and tells what is left of them.
func purgeRig(t *testing.T, o Options) (*rig, func() string) {
	r := newRig(t, o)
	urls := []string{
		"http://a.example/", "http://a.example/x/1", "http://a.example/x/2", "http://a.example/y?q", "http://b.example/x/1", "https://a.example/x/1",
	}
	tags := []string{"all", "all x", "x one-more", "y", "", "s"}
	for i, u := range urls {
		r.set(reply(200, "old", fresh, etag, "Surrogate-Key: "+tags[i]))
		if rec := r.get(u); rec.Header().Get("Surrogate-Key") != "" {
			t.Error("Surrogate-Key reached the client")
		}
	}
	// left returns a digit for each that is still fresh, in parentheses if it
	// has to be validated first.
	return r, func() string {
		var left strings.Builder
		for i, u := range urls {
			before := r.askedCount()
			r.set(reply(304, ""))
			rec := r.get(u)
			switch {
			case r.askedCount() == before && rec.Body.String() == "old":
				fmt.Fprint(&left, i)
			case rec.Body.String() == "old":
				fmt.Fprintf(&left, "(%d)", i)
			}
		}
		return left.String()
	}
}

func TestPurge(t *testing.T) {
	must := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	for name, c := range map[string]struct {
		purge func(c *Cache, m PurgeMode)
		hard  string
		soft  string
	}{
		"url":                {func(c *Cache, m PurgeMode) { must(c.PurgeURL("http://A.example:80/x/1", m)) }, "0234", "0(1)234(5)"},
		"url with query":     {func(c *Cache, m PurgeMode) { must(c.PurgeURL("http://a.example/y?q", m)) }, "01245", "012(3)45"},
		"url without a path": {func(c *Cache, m PurgeMode) { must(c.PurgeURL("http://a.example", m)) }, "12345", "(0)12345"},
		"tag":                {func(c *Cache, m PurgeMode) { c.PurgeTag("all", m) }, "2345", "(0)(1)2345"},
		"two tags":           {func(c *Cache, m PurgeMode) { c.PurgeTag("all", m); c.PurgeTag("x", m) }, "345", "(0)(1)(2)345"},
		"unknown tag":        {func(c *Cache, m PurgeMode) { c.PurgeTag("al", m) }, "012345", "012345"},
		"prefix":             {func(c *Cache, m PurgeMode) { must(c.PurgePrefix("https://a.example/x/", m)) }, "034", "0(1)(2)34(5)"},
		"prefix of a host":   {func(c *Cache, m PurgeMode) { must(c.PurgePrefix("http://a.example", m)) }, "4", "(0)(1)(2)(3)4(5)"},
		"all":                {func(c *Cache, m PurgeMode) { c.PurgeAll(m) }, "", "(0)(1)(2)(3)(4)(5)"},
	} {
		t.Run(name, func(t *testing.T) {
			r, left := purgeRig(t, Options{})
			c.purge(r.cache, Hard)
			if got := left(); got != c.hard {
				t.Errorf("hard: left is %q, want %q", got, c.hard)
			}
			r, left = purgeRig(t, Options{})
			c.purge(r.cache, Soft)
			if got := left(); got != c.soft {
				t.Errorf("soft: left is %q, want %q", got, c.soft)
			}
			// What has been validated since is fresh again.
			if got := left(); got != "012345" {
				t.Errorf("soft, validated: left is %q", got)
			}
		})
	}
}

func TestSoftPurgeAllowsStale(t *testing.T) {
	r := newRig(t, Options{})
	r.set(reply(200, "old", "Cache-Control: max-age=60, stale-while-revalidate=10, stale-if-error=100", "Surrogate-Key: k"))
	r.get("/")
	r.cache.PurgeTag("k", Soft)
	r.kill()
	if rec := r.get("/"); rec.Body.String() != "old" || r.lastEvent().Outcome != Stale {
		t.Errorf("got %d %q, %v", rec.Code, rec.Body, r.lastEvent().Outcome)
	}
	r.cache.shared.background.Wait()
	r.cache.PurgeTag("k", Hard)
	if rec := r.get("/"); rec.Code != 0 {
		t.Errorf("after a hard purge got %d %q", rec.Code, rec.Body)
	}
}

// must-revalidate outlasts a soft purge although the response would be fresh.
func TestSoftPurgeOfMustRevalidate(t *testing.T) {
	r := newRig(t, Options{})
	r.set(reply(200, "old", "Cache-Control: max-age=60, must-revalidate", "Surrogate-Key: k"))
	r.get("/")
	r.cache.PurgeTag("k", Soft)
	r.kill()
	if rec := r.get("/"); rec.Code != 0 {
		t.Errorf("got %d %q", rec.Code, rec.Body)
	}
}

func TestSoftPurgeOfVariants(t *testing.T) {
	r := newRig(t, Options{})
	for _, v := range []string{"1", "2"} {
		r.set(reply(200, v, fresh, etag, "Vary: Foo"))
		r.get("/", "Foo: "+v)
	}
	r.cache.PurgeURL("http://example.com/", Soft)
	for _, v := range []string{"1", "2"} {
		r.set(reply(304, ""))
		before := r.askedCount()
		if rec := r.get("/", "Foo: "+v); rec.Body.String() != v || r.askedCount() == before {
			t.Errorf("variant %s: got %q, asked %v", v, rec.Body, r.askedCount() != before)
		}
		if r.get("/", "Foo: "+v); r.askedCount() != before+1 {
			t.Errorf("variant %s: not fresh after validation", v)
		}
	}
}

// The tables that purges leave behind are bounded: when they overflow, more is
// purged, never less.
func TestPurgeTablesAreBounded(t *testing.T) {
	p := newPurges(1000)
	entryWith := func(seq uint64, tags ...uint64) *entry {
		raw := appendEnvelope(nil, &meta{status: 200, seq: seq}, nil, tags)
		e := new(entry)
		if err := e.decode(raw); err != nil {
			t.Fatal(err)
		}
		return e
	}
	old := entryWith(1000, 5)
	const same = purgeBuckets // tags that share a bucket with 5
	for i := range uint64(bucketTags) {
		p.purgeTag(5+same*(i+1), Hard)
	}
	if p.check(old, nil) != notPurged {
		t.Fatal("purged by another tag although the table had room")
	}
	p.purgeTag(5+same*100, Hard)
	if p.check(old, nil) != hardPurged {
		t.Error("the overflow of a bucket purged nothing")
	}
	if p.check(entryWith(p.seq.Load(), 5), nil) != notPurged {
		t.Error("the overflow purged a response requested after it")
	}
	if p.check(entryWith(1000, 6), nil) != notPurged {
		t.Error("the overflow purged a tag of another bucket")
	}
	for i := range 3 * maxPrefixPurges {
		p.purgePrefix(fmt.Sprintf("h/%d", i), Soft)
	}
	if n := len(*p.prefixes.Load()); n > maxPrefixPurges {
		t.Errorf("%d prefixes remembered", n)
	}
	for i := range 3 * maxPrefixPurges {
		if p.check(entryWith(1000), []byte(fmt.Sprintf("h/%d", i))) != softPurged {
			t.Errorf("the purge of prefix %d has been forgotten", i)
		}
	}
}

// A hard purge outweighs a later soft one.
func TestHardPurgeLasts(t *testing.T) {
	r := newRig(t, Options{})
	r.set(reply(200, "old", "Cache-Control: max-age=60, stale-while-revalidate=60", "Surrogate-Key: a b"))
	r.get("/")
	r.cache.PurgeTag("a", Hard)
	r.cache.PurgeTag("a", Soft)
	r.cache.PurgeTag("b", Soft)
	r.set(reply(200, "new"))
	if rec := r.get("/"); rec.Body.String() != "new" {
		t.Errorf("got %q", rec.Body)
	}
}

func TestPurgeCoversFetchesInProgress(t *testing.T) {
	for name, purge := range map[string]func(c *Cache){
		"tag":      func(c *Cache) { c.PurgeTag("k", Hard) },
		"url":      func(c *Cache) { c.PurgeURL("http://example.com/", Hard) },
		"soft url": func(c *Cache) { c.PurgeURL("http://example.com/", Soft) },
		"all":      func(c *Cache) { c.PurgeAll(Hard) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{})
			r.h = r.cache.Handler(originFunc(func(n int) *response {
				if n == 1 {
					purge(r.cache)
					return reply(200, "old", fresh, "Surrogate-Key: k")
				}
				return reply(200, "new", fresh)
			}))
			r.get("/")
			if rec := r.get("/"); rec.Body.String() != "new" {
				t.Errorf("got %q", rec.Body)
			}
		})
	}
}

func TestWithOptionsSharesPurges(t *testing.T) {
	r, left := purgeRig(t, Options{})
	other := r.cache.WithOptions(Options{Name: "other", Now: r.clock.now})
	other.PurgeTag("all", Hard)
	if got := left(); got != "2345" {
		t.Errorf("left is %q", got)
	}
}

func TestPurgeHandler(t *testing.T) {
	post := func(r *rig, form url.Values) (int, purgeResult) {
		req := httptest.NewRequest("POST", "/purge", strings.NewReader(form.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		rec := httptest.NewRecorder()
		r.cache.PurgeHandler().ServeHTTP(rec, req)
		var result purgeResult
		if err := json.Unmarshal(rec.Body.Bytes(), &result); err != nil {
			t.Errorf("%v in %q", err, rec.Body)
		}
		return rec.Code, result
	}
	r, left := purgeRig(t, Options{})
	code, result := post(r, url.Values{"url": {"http://a.example/"}, "tag": {"y", "s"}, "prefix": {"http://b.example/"}})
	if result.Matched == nil || *result.Matched != 4 {
		t.Errorf("matched %v, want 4", result.Matched)
	}
	result.Matched = nil
	if want := (purgeResult{Mode: "hard", URLs: 1, Tags: 2, Prefixes: 1}); code != 200 || result != want {
		t.Errorf("got %d %+v", code, result)
	}
	if got := left(); got != "12" {
		t.Errorf("left is %q", got)
	}
	if code, result := post(r, url.Values{"all": {"true"}, "mode": {"soft"}}); code != 200 || !result.All || result.Mode != "soft" {
		t.Errorf("got %d %+v", code, result)
	}
	for _, form := range []url.Values{
		{"mode": {"medium"}, "all": {"true"}}, {}, {"mode": {"hard"}}, {"all": {"false"}}, {"all": {"1"}}, {"tag": {""}},
		{"tag": {"y", ""}}, {"url": {""}}, {"prefix": {""}}, {"tags": {"y"}}, {"tag": {"y"}, "dry": {"true"}},
		{"tag": {"y"}, "count": {"maybe"}}, {"url": {"/relative"}}, {"url": {"ftp://a.example/"}}, {"tag": {"y"}, "prefix": {"http://[::1"}},
		{"tag": {" "}}, {"tag": {"y", "\t"}}, {"tag": {"y"}, "mode": {"soft", "hard"}}, {"all": {"true", "false"}},
		{"prefix": {"http://a.example/?x"}}, {"prefix": {"http://a.example/?"}},
	} {
		r, left := purgeRig(t, Options{})
		if code, result := post(r, form); code != 400 || result.Error == "" {
			t.Errorf("%v: got %d %+v", form, code, result)
		}
		if got := left(); got != "012345" {
			t.Errorf("%v: refused, but left is %q", form, got)
		}
	}
	rec := httptest.NewRecorder()
	r.cache.PurgeHandler().ServeHTTP(rec, httptest.NewRequest("GET", "/?all=true", nil))
	if rec.Code != 405 || rec.Header().Get("Allow") != "POST" {
		t.Errorf("GET: got %d", rec.Code)
	}
}

// RFC 9875.
func TestCacheGroups(t *testing.T) {
	runStories(t, map[string]story{
		"invalidated by an unsafe method": {steps: []step{
			{url: "/a", origin: reply(200, "a", fresh, `Cache-Groups: "g", "h"`)},
			{url: "/b", origin: reply(200, "b", fresh, `Cache-Groups: "h";x`)},
			{url: "/c", origin: reply(200, "c", fresh, `Cache-Groups: "i"`)},
			{url: "http://other.example/a", origin: reply(200, "o", fresh, `Cache-Groups: "h"`)},
			{method: "POST", url: "/z", body: "x", origin: reply(200, "", `Cache-Group-Invalidation: "x", "h"`)},
			{url: "/a", origin: reply(200, "a2", fresh), want: "200 a2"},
			{url: "/b", origin: reply(200, "b2", fresh), want: "200 b2"},
			{url: "/c", want: "200 c"},
			{url: "http://other.example/a", want: "200 o"},
		}},
		"case matters": {steps: []step{
			{url: "/a", origin: reply(200, "a", fresh, `Cache-Groups: "G"`)},
			{method: "POST", body: "x", origin: reply(200, "", `Cache-Group-Invalidation: "g"`)},
			{url: "/a", want: "200 a"},
		}},
		"not by a failed request": {steps: []step{
			{url: "/a", origin: reply(200, "a", fresh, `Cache-Groups: "g"`)},
			{method: "POST", body: "x", origin: reply(500, "", `Cache-Group-Invalidation: "g"`)},
			{url: "/a", want: "200 a"},
		}},
		"not by a safe method": {steps: []step{
			{url: "/a", origin: reply(200, "a", fresh, `Cache-Groups: "g"`)},
			{url: "/b", origin: reply(200, "", `Cache-Group-Invalidation: "g"`)},
			{url: "/a", want: "200 a"},
		}},
		"invalid fields are ignored": {steps: []step{
			{url: "/a", origin: reply(200, "a", fresh, `Cache-Groups: g`)},
			{url: "/b", origin: reply(200, "b", fresh, `Cache-Groups: "g"`)},
			{method: "POST", body: "x", origin: reply(200, "", `Cache-Group-Invalidation: "g", h`)},
			{url: "/a", want: "200 a"},
			{url: "/b", want: "200 b"},
		}},
		"tags are not groups": {steps: []step{
			{url: "/a", origin: reply(200, "a", fresh, `Surrogate-Key: g`)},
			{method: "POST", body: "x", origin: reply(200, "", `Cache-Group-Invalidation: "g"`)},
			{url: "/a", want: "200 a"},
		}},
		"32 groups of 32 characters": {steps: []step{
			{url: "/a", origin: reply(200, "a", fresh, "Cache-Groups: "+manyGroups())},
			{method: "POST", body: "x", origin: reply(200, "", fmt.Sprintf("Cache-Group-Invalidation: %q", groupName(31)))},
			{url: "/a", origin: reply(200, "a2"), want: "200 a2"},
		}},
	})
}

func groupName(i int) string { return fmt.Sprintf("%02d%s", i, strings.Repeat("x", 30)) }

func manyGroups() string {
	var names []string
	for i := range 32 {
		names = append(names, fmt.Sprintf("%q", groupName(i)))
	}
	return strings.Join(names, ", ")
}
