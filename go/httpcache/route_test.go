package httpcache

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// routed is twice for a route with a policy.
func routed(t *testing.T, o HandlerOptions, header []string, with []string, hit bool) {
	t.Helper()
	r := newRig(t, Options{})
	r.h = r.cache.HandlerWith(http.HandlerFunc(r.origin), o)
	r.set(reply(200, "one", r.expand(header)...))
	r.get("/", with...)
	r.clock.advance(59 * sec)
	r.set(reply(200, "two"))
	if rec := r.get("/"); (rec.Body.String() == "one") != hit {
		t.Errorf("%q: got %q, %q", header, rec.Body, rec.Header()["Cache-Status"])
	}
}

func TestRouteTTL(t *testing.T) {
	l := func(v ...string) []string { return v }
	cookie := l("Cookie: a=b")
	for name, c := range map[string]struct {
		header, with  []string
		ttl, override bool
	}{
		"nothing said":                  {nil, nil, true, true},
		"Last-Modified":                 {l("Last-Modified: {-10s}"), nil, true, true},
		"public":                        {l("Cache-Control: public"), nil, true, true},
		"max-age":                       {l("Cache-Control: max-age=5"), nil, false, true},
		"longer max-age":                {l("Cache-Control: max-age=600"), nil, true, true},
		"Expires":                       {l("Expires: {5s}"), nil, false, true},
		"invalid Expires":               {l("Expires: 0"), nil, false, true},
		"no-cache":                      {l("Cache-Control: no-cache"), nil, false, true},
		"no-store":                      {l("Cache-Control: no-store"), nil, false, false},
		"private":                       {l("Cache-Control: private"), nil, false, false},
		"private, max-age":              {l("Cache-Control: private, max-age=600"), nil, false, false},
		"malformed":                     {l("Cache-Control: foo bar"), nil, false, false},
		"malformed no-store":            {l("Cache-Control: max-age=60; no-store"), nil, false, false},
		"Pragma":                        {l("Pragma: no-cache"), nil, false, false},
		"Set-Cookie":                    {l("Set-Cookie: a=b"), nil, false, false},
		"cookie":                        {nil, cookie, false, false},
		"cookie, no-cache":              {l("Cache-Control: no-cache"), cookie, false, false},
		"cookie, public":                {l("Cache-Control: public"), cookie, false, true},
		"cookie, max-age":               {l("Cache-Control: max-age=5"), cookie, false, true},
		"Authorization":                 {nil, l("Authorization: x"), false, false},
		"CDN no-store":                  {l("CDN-Cache-Control: no-store"), nil, false, false},
		"CDN max-age":                   {l("CDN-Cache-Control: max-age=5"), nil, false, false},
		"CDN private, public otherwise": {l("CDN-Cache-Control: private", "Cache-Control: public"), nil, false, false},
		"ours":                          {l("Larder-Cache-Control: no-store"), nil, false, false},
		"ours, malformed":               {l("Larder-Cache-Control: no-store;"), nil, false, false},
		"another cache's":               {l("Foo-CDN-Cache-Control: no-store"), nil, false, false},
		"Surrogate-Control":             {l("Surrogate-Control: no-store"), nil, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			routed(t, HandlerOptions{DefaultTTL: 60 * sec}, c.header, c.with, c.ttl)
			routed(t, HandlerOptions{TTLOverride: 60 * sec}, c.header, c.with, c.override)
		})
	}
	t.Run("errors", func(t *testing.T) {
		for _, status := range []int{404, 410, 500, 501, 503} {
			for _, o := range []HandlerOptions{{DefaultTTL: 60 * sec}, {TTLOverride: 60 * sec}} {
				r := newRig(t, Options{})
				r.h = r.cache.HandlerWith(http.HandlerFunc(r.origin), o)
				r.set(reply(status, ""))
				r.get("/")
				r.set(reply(200, "two"))
				if rec := r.get("/"); rec.Code != 200 {
					t.Errorf("%d was stored under %+v", status, o)
				}
			}
		}
	})
}

// What has the policy is the route, not the Cache.
func TestRoutesShareResponses(t *testing.T) {
	r := newRig(t, Options{})
	plain := r.h
	r.h = r.cache.HandlerWith(http.HandlerFunc(r.origin), HandlerOptions{DefaultTTL: 60 * sec})
	r.set(reply(200, "one"))
	r.get("/")
	r.h = plain
	if rec := r.get("/"); rec.Body.String() != "one" {
		t.Errorf("another route got %q", rec.Body)
	}
	r.set(reply(200, "two"))
	r.get("/other")
	r.set(reply(200, "three"))
	if rec := r.get("/other"); rec.Body.String() != "three" {
		t.Errorf("the policy of one route applied to another: %q", rec.Body)
	}
}

func TestPartitions(t *testing.T) {
	user := func(r *http.Request) string { return r.Header.Get("X-User") }
	r := newRig(t, Options{Partition: user})
	alice, bob := "X-User: alice", "X-User: bob"
	r.set(reply(200, "alice's", fresh))
	r.get("/?a", alice)
	r.set(reply(200, "bob's", fresh))
	if rec := r.get("/?a", bob); rec.Body.String() != "bob's" {
		t.Fatalf("bob got %q", rec.Body)
	}
	r.set(reply(200, "anyone's", fresh))
	if rec := r.get("/?a"); rec.Body.String() != "anyone's" {
		t.Fatalf("without a partition: %q", rec.Body)
	}
	if rec := r.get("/?a", alice); rec.Body.String() != "alice's" {
		t.Fatalf("alice then got %q", rec.Body)
	}
	// Whoever changes the URI changes it for all.
	r.set(reply(204, ""))
	r.do(r.request("PUT", "/?a", []string{bob}, ""))
	r.set(reply(200, "new", fresh))
	for _, with := range [][]string{{alice}, {bob}, nil} {
		if rec := r.get("/?a", with...); rec.Body.String() != "new" {
			t.Errorf("%q got %q after a PUT", with, rec.Body)
		}
	}
	r.set(reply(200, "newer", fresh))
	r.cache.PurgeURL("http://example.com/?a", Hard)
	for _, with := range [][]string{{alice}, {bob}, nil} {
		if rec := r.get("/?a", with...); rec.Body.String() != "newer" {
			t.Errorf("%q got %q after a purge", with, rec.Body)
		}
	}
}

func TestResponseDirectives(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	header := func(lines ...string) http.Header {
		h := http.Header{}
		for _, line := range lines {
			name, value, _ := strings.Cut(line, ":")
			h.Add(name, strings.TrimSpace(value))
		}
		return h
	}
	for _, c := range []struct {
		lines []string
		left  time.Duration
		check func(d Directives) bool
	}{
		{nil, 0, func(d Directives) bool { return !d.Present && !d.Explicit && d.Storable(200) }},
		{[]string{"Cache-Control: max-age=60"}, time.Minute, func(d Directives) bool { return d.Explicit && !d.AllowsAuthorization() }},
		{[]string{"Cache-Control: max-age=60", "Age: 20"}, 40 * sec, func(d Directives) bool { return d.Explicit }},
		{[]string{"Cache-Control: max-age=60", "Age: 80"}, 0, func(d Directives) bool { return d.Explicit }},
		{[]string{"Cache-Control: max-age=60", "Date: Sun, 01 Mar 2026 11:59:30 GMT"}, 30 * sec, nil},
		{[]string{"Expires: Sun, 01 Mar 2026 12:01:00 GMT", "Date: Sun, 01 Mar 2026 12:00:00 GMT"}, time.Minute, nil},
		{[]string{"Cache-Control: max-age=60, s-maxage=5"}, 5 * sec, func(d Directives) bool { return d.AllowsAuthorization() }},
		{[]string{"Cache-Control: max-age=60", "CDN-Cache-Control: no-store"}, 0, func(d Directives) bool { return d.Targeted && !d.Storable(200) }},
		{[]string{"Cache-Control: no-store", "Larder-Cache-Control: max-age=9"}, 9 * sec, func(d Directives) bool { return d.Targeted && d.Storable(200) }},
		{[]string{"Cache-Control: max-age=60, no-store; x"}, time.Minute, func(d Directives) bool { return d.Malformed && !d.Storable(200) }},
		{[]string{"Cache-Control: max-age=60, private; x"}, time.Minute, func(d Directives) bool { return !d.Storable(200) }},
		{[]string{"Cache-Control: public, x y"}, 0, func(d Directives) bool { return !d.AllowsAuthorization() }},
		{[]string{"Cache-Control: no-cache, max-age=60"}, 0, func(d Directives) bool { return d.NoCache }},
		{[]string{"Cache-Control: no-store, must-understand, max-age=1"}, sec, func(d Directives) bool { return d.Storable(200) && !d.Storable(299) }},
		{[]string{`Cache-Control: max-age=60, private="X-User", no-cache="Set-Cookie"`}, time.Minute, func(d Directives) bool { return !d.Private && len(d.Unstored) == 2 }},
		{[]string{"Cache-Control: max-age=1, must-revalidate, stale-if-error=3"}, sec, func(d Directives) bool {
			return d.MustRevalidate && d.StaleIfError == 3*sec && d.StaleWhileRevalidate < 0
		}},
	} {
		d := responseDirectives(header(c.lines...), nil, now)
		if got := d.Lifetime(now); got != c.left || c.check != nil && !c.check(d) {
			t.Errorf("%q: %v left, %+v", c.lines, got, d)
		}
		if got := d.Lifetime(now.Add(c.left / 2)); got != c.left-c.left/2 {
			t.Errorf("%q: later %v left", c.lines, got)
		}
	}
}
