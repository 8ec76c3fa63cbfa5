package httpcache

import (
	"net/http"
	"testing"
)

// RFC 9111, 3 and 5.2.2; RFC 9110, 9.3.3.

const fresh = "Cache-Control: max-age=60"

func TestStoring(t *testing.T) {
	uncached := func(header ...string) story { return twice(header, sec, false) }
	never := twice([]string{fresh, "Set-Cookie: a=b"}, sec, false)
	never.opt.NeverStoreSetCookie = true
	runStories(t, map[string]story{
		"no-store":                 uncached("Cache-Control: max-age=60, no-store"),
		"no-store in another line": uncached(fresh, "Cache-Control: No-Store"),
		"private":                  uncached("Cache-Control: max-age=60, private"),
		"public without lifetime is stored only with a validator": uncached("Cache-Control: public"),
		"private with fields": {steps: []step{
			{origin: reply(200, "one", `Cache-Control: max-age=60, private="x-user"`, "X-User: joe", "X-Other: 1"), has: []string{"X-User: joe"}},
			{after: sec, want: "200 one", has: []string{"!X-User", "X-Other: 1"}},
		}},
		"no-cache with fields": {steps: []step{
			{origin: reply(200, "one", `Cache-Control: max-age=60, no-cache="a, B"`, "A: 1", "B: 2", "C: 3")},
			{after: sec, want: "200 one", has: []string{"!A", "!B", "C: 3"}},
		}},
		"unsafe response header values are stored": twice([]string{fresh, "X-A: b=\"c\"; d"}, sec, true),
		"Content-Disposition does not matter":      twice([]string{fresh, "Content-Disposition: attachment"}, sec, true),
		"Pragma in a response does not matter":     twice([]string{fresh, "Pragma: no-cache"}, sec, true),
		"Set-Cookie with explicit freshness": {steps: []step{
			{origin: reply(200, "one", fresh, "Set-Cookie: a=b"), want: "200 one"},
			{after: sec, want: "200 one", has: []string{"Set-Cookie: a=b"}},
		}},
		"Set-Cookie without explicit freshness, not even to validate": {steps: []step{
			{origin: reply(200, "one", etag, "Set-Cookie: a=b")},
			{origin: reply(200, "two"), sent: []string{"!If-None-Match"}, want: "200 two"},
		}},
		"Set-Cookie never": never,
		"an older response stays if a newer one is no-store": {steps: []step{
			{origin: reply(200, "one", fresh), want: "200 one"},
			{with: []string{"Cache-Control: no-cache"}, origin: reply(200, "two", "Cache-Control: no-store"), want: "200 two"},
			{after: sec, want: "200 one"},
		}},
		"a newer response replaces an older": {steps: []step{
			{origin: reply(200, "one", fresh), want: "200 one"},
			{with: []string{"Cache-Control: no-cache"}, origin: reply(200, "two", fresh), want: "200 two"},
			{after: sec, want: "200 two"},
		}},
		"query is part of the key": {steps: []step{
			{url: "/?a=1", origin: reply(200, "one", fresh)},
			{url: "/?a=2", origin: reply(200, "two", fresh), want: "200 two"},
			{url: "/?a=1", want: "200 one"},
		}},
	})
	for _, status := range []int{200, 203, 204, 299, 300, 301, 302, 303, 307, 308, 400, 404, 410, 418, 499, 500, 502, 503, 504, 599} {
		t.Run("status "+statusWord(status)+" with explicit freshness", func(t *testing.T) {
			body := "x"
			if status == 204 {
				body = ""
			}
			runStory(t, story{steps: []step{
				{origin: reply(status, body, fresh, "Location: /x")},
				{after: sec, has: []string{"Location: /x", "Age: 1"}},
				{after: 60 * sec, origin: reply(200, "two"), want: "200 two"},
			}})
		})
	}
}

func TestMustUnderstand(t *testing.T) {
	runStories(t, map[string]story{
		"understood": twice([]string{"Cache-Control: max-age=60, no-store, must-understand"}, sec, true),
		"not understood": {steps: []step{
			{origin: reply(599, "", "Cache-Control: max-age=60, no-store, must-understand"), want: "599"},
			{after: sec, origin: reply(200, "two"), want: "200 two"},
		}},
		"not understood without no-store": {steps: []step{
			{origin: reply(599, "", "Cache-Control: max-age=60, must-understand"), want: "599"},
			{after: sec, origin: reply(200, "two"), want: "200 two"},
		}},
		"private all the same": twice([]string{"Cache-Control: max-age=60, must-understand, private"}, sec, false),
	})
}

func TestAuthorization(t *testing.T) {
	auth := []string{"Authorization: Basic Zm9vOmJhcg=="}
	with := func(cc string, hit bool) story {
		second := step{after: sec, want: "200 one"}
		if !hit {
			second = step{after: sec, origin: reply(200, "two"), want: "200 two"}
		}
		return story{steps: []step{
			{with: auth, origin: reply(200, "one", "Cache-Control: "+cc), sent: auth, want: "200 one"},
			second,
		}}
	}
	runStories(t, map[string]story{
		"max-age alone":   with("max-age=60", false),
		"public":          with("max-age=60, public", true),
		"s-maxage":        with("s-maxage=60", true),
		"must-revalidate": with("max-age=60, must-revalidate", true),
		"a response to an anonymous request is reused": {steps: []step{
			{origin: reply(200, "one", fresh)},
			{after: sec, with: auth, want: "200 one"},
		}},
		"Vary: Authorization keeps users apart": {steps: []step{
			{with: auth, origin: reply(200, "foo", "Cache-Control: public, max-age=60", "Vary: Authorization")},
			{with: []string{"Authorization: Basic x"}, origin: reply(200, "x", "Cache-Control: public, max-age=60", "Vary: Authorization"), want: "200 x"},
			{origin: reply(401, ""), want: "401"},
			{with: auth, want: "200 foo"},
		}},
	})
}

// RFC 9111, 3.1.
func TestStoredFields(t *testing.T) {
	hop := []string{
		"Connection: a, keep-alive", "A: 1", "Keep-Alive: timeout=5", "Proxy-Authenticate: Basic", "Proxy-Authentication-Info: x",
		"Proxy-Authorization: x", "Proxy-Connection: close", "Te: trailers", "Trailer: X-T", "Transfer-Encoding: chunked", "Upgrade: h2c",
	}
	runStory(t, story{steps: []step{
		{origin: reply(200, "one", append([]string{fresh, "B: 2", "Content-Foo: 3", "Clear-Site-Data: cookies", "Etag: \"x\""}, hop...)...)},
		{after: sec, want: "200 one", has: []string{
			"!Connection", "!A", "!Keep-Alive", "!Proxy-Authenticate", "!Proxy-Authentication-Info", "!Proxy-Authorization",
			"!Proxy-Connection", "!Te", "!Trailer", "!Transfer-Encoding", "!Upgrade",
			"B: 2", "Content-Foo: 3", "Clear-Site-Data: cookies", `Etag: "x"`, "Content-Length: 3",
		}},
	}})
}

func TestMultipleFieldLines(t *testing.T) {
	r := newRig(t, Options{})
	r.set(reply(200, "one", fresh, "Link: <a>", "Link: <b>", "X-One: 1", "Set-Cookie: a=b", "Set-Cookie: c=d"))
	r.get("/")
	h := r.get("/").Header()
	for name, want := range map[string]int{"Link": 2, "X-One": 1, "Set-Cookie": 2} {
		if got := h.Values(name); len(got) != want {
			t.Errorf("%s has values %q, want %d", name, got, want)
		}
	}
}

// RFC 9110, 9.3.3.
func TestStoringPOST(t *testing.T) {
	post := func(header ...string) story {
		return story{steps: []step{
			{method: "POST", url: "/x?y", body: "content", origin: reply(200, "made", header...), want: "200 made"},
			{after: sec, url: "/x?y", origin: reply(200, "got"), want: "200 got"},
		}}
	}
	stored := post(fresh, "Content-Location: /x?y")
	stored.steps[1] = step{after: sec, url: "/x?y", want: "200 made", has: []string{"Cache-Control: max-age=60"}}
	absolute := post(fresh, "Content-Location: http://example.com/x?y")
	absolute.steps[1] = stored.steps[1]
	runStories(t, map[string]story{
		"with explicit freshness and Content-Location": stored,
		"absolute Content-Location":                    absolute,
		"without freshness":                            post("Content-Location: /x?y"),
		"heuristic freshness is not enough":            post("Content-Location: /x?y", "Last-Modified: {-3600s}"),
		"without Content-Location":                     post(fresh),
		"other Content-Location":                       post(fresh, "Content-Location: /other"),
		"Content-Location of another host":             post(fresh, "Content-Location: http://evil.example/x?y"),
		"never answered from the cache": {steps: []step{
			{url: "/x", origin: reply(200, "got", fresh)},
			{method: "POST", url: "/x", body: "c", origin: reply(200, "made"), want: "200 made"},
		}},
	})
}

func TestUnknownMethodsPass(t *testing.T) {
	for _, method := range []string{"OPTIONS", "TRACE", "PROPFIND", "FOO"} {
		runStory(t, story{steps: []step{
			{method: method, origin: reply(200, "one", fresh), want: "200 one", has: []string{"Cache-Status: larder; fwd=method; fwd-status=200"}},
			{method: method, origin: reply(200, "two", fresh), want: "200 two"},
			{origin: reply(200, "three", fresh), want: "200 three"},
		}})
	}
}

func TestHeaderTooLargeToStore(t *testing.T) {
	many := []string{fresh}
	for range maxFields + 1 {
		many = append(many, "X-Many: 1")
	}
	long := []string{fresh, "X-Long: " + string(make([]byte, 0)) + longString(maxFieldText+1)}
	runStories(t, map[string]story{
		"too many field lines": twice(many, sec, false),
		"too much text":        twice(long, sec, false),
	})
}

func longString(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'x'
	}
	return string(b)
}

var _ = http.StatusOK

// A response to POST lies where its URI's others do, in the partition of its request.
func TestStoringPOSTInAPartition(t *testing.T) {
	r := newRig(t, Options{Partition: func(*http.Request) string { return "upstream" }})
	r.set(reply(200, "posted", "Cache-Control: max-age=60", "Content-Location: /x"))
	r.do(r.request(http.MethodPost, "/x", nil, "content"))
	r.set(reply(200, "asked again"))
	if got := r.get("/x").Body.String(); got != "posted" {
		t.Errorf("GET after POST: %q, want what the POST brought", got)
	}
}
