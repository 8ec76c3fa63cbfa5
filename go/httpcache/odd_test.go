package httpcache

import "testing"

// What other tests have no place for: combinations that real origins and
// clients send.

func TestOddResponses(t *testing.T) {
	auth := "Authorization: Basic eDp5"
	runStories(t, map[string]story{
		"many variants, one URI": manyVariants(),
		"Authorization with s-maxage and no max-age": {steps: []step{
			{with: []string{auth}, origin: reply(200, "one", "Cache-Control: s-maxage=60"), want: "200 one"},
			{after: sec, want: "200 one"},
		}},
		"private among directives that permit": twice([]string{"Cache-Control: public, s-maxage=60, private"}, sec, false),
		"no-store in a quoted string is none":  twice([]string{`Cache-Control: max-age=60, x="no-store, private"`}, sec, true),
		"304 without validators updates": {steps: []step{
			{origin: reply(200, "one", "Cache-Control: max-age=1", etag)},
			{after: 2 * sec, origin: reply(304, "", fresh, "X-New: 1"), want: "200 one", has: []string{"X-New: 1"}},
			{after: 2 * sec, want: "200 one", has: []string{"X-New: 1"}},
		}},
		"QUERY is not answered from GET, nor stored": {steps: []step{
			{origin: reply(200, "one", fresh)},
			{method: "QUERY", body: "a", origin: reply(200, "two", fresh), want: "200 two"},
			{method: "QUERY", body: "b", origin: reply(200, "three", fresh), want: "200 three"},
			{method: "HEAD", want: "200"},
		}},
		"501 with Last-Modified is fresh by heuristics": twiceStatus(501, []string{"Last-Modified: {-36000s}", "Date: {0s}"}),
		"several ranges get the whole": {steps: []step{
			{origin: reply(200, "0123456789", fresh)},
			{with: []string{"Range: bytes=0-1,4-5"}, want: "200 0123456789"},
		}},
		"host case and default port are one": {steps: []step{
			{url: "http://example.com/", origin: reply(200, "one", fresh)},
			{url: "http://EXAMPLE.com:80/", want: "200 one"},
		}},
		// Where other caches go by the first line of a field, or by the last.
		"Vary in two lines, the first differs": {steps: []step{
			{with: []string{"A: 1", "B: 1"}, origin: reply(200, "one", fresh, "Vary: A", "Vary: B")},
			{with: []string{"A: 2", "B: 1"}, origin: reply(200, "two", fresh, "Vary: A", "Vary: B"), want: "200 two"},
			{with: []string{"A: 1", "B: 2"}, origin: reply(200, "three", fresh, "Vary: A", "Vary: B"), want: "200 three"},
			{with: []string{"A: 1", "B: 1"}, want: "200 one"},
		}},
		"no-store in the second line":      twice([]string{"Cache-Control: max-age=60", "Cache-Control: no-store"}, sec, false),
		"max-age=60, max-age=0: the first": twice([]string{"Cache-Control: max-age=60, max-age=0"}, 59*sec, true),
		"max-age=0, max-age=60: the first": twice([]string{"Cache-Control: max-age=0, max-age=60"}, sec, false),
		"max-age=1.5 is none":              twice([]string{"Cache-Control: max-age=1.5"}, 0, false),
		"Expires: 0 alone is the past":     twice([]string{"Expires: 0", "Last-Modified: {-36000s}"}, sec, false),
		"the stored tag is sent, not the client's": {steps: []step{
			{origin: reply(200, "one", "Cache-Control: max-age=1", etag)},
			{after: 2 * sec, with: []string{`If-None-Match: "mine"`}, origin: reply(304, "", fresh), sent: []string{`If-None-Match: "a"`}, want: "200 one"},
		}},
		"what Connection names is not replayed": {steps: []step{
			{origin: reply(200, "one", fresh, "Connection: X-Hop", "X-Hop: 1")},
			{want: "200 one", has: []string{"!X-Hop", "!Connection"}},
		}},
		`no-cache="Set-Cookie" is stored without it`: {steps: []step{
			{origin: reply(200, "one", `Cache-Control: max-age=60, no-cache="Set-Cookie"`, "Set-Cookie: a=b")},
			{want: "200 one", has: []string{"!Set-Cookie"}},
		}},
		"query order matters": {steps: []step{
			{url: "/?a=1&b=2", origin: reply(200, "one", fresh)},
			{url: "/?b=2&a=1", origin: reply(200, "two", fresh), want: "200 two"},
		}},
		"percent encoding is kept apart": {steps: []step{
			{url: "/a%2Fb", origin: reply(200, "one", fresh)},
			{url: "/a/b", origin: reply(200, "two", fresh), want: "200 two"},
			{url: "/a%2Fb", want: "200 one"},
		}},
	})
}

// manyVariants asks for more variants than any table of this package holds.
func manyVariants() story {
	var s story
	for i := range 300 {
		s.steps = append(s.steps, step{
			with:   []string{"X-Kind: " + statusWord(100+i)},
			origin: reply(200, "v"+statusWord(100+i), fresh, "Vary: X-Kind"), want: "200 v" + statusWord(100+i),
		})
	}
	for i := range 300 {
		s.steps = append(s.steps, step{with: []string{"X-Kind: " + statusWord(100+i)}, want: "200 v" + statusWord(100+i)})
	}
	return s
}

func twiceStatus(status int, header []string) story {
	return story{steps: []step{
		{origin: reply(status, "", header...), want: statusWord(status)},
		{after: sec, want: statusWord(status)},
	}}
}
