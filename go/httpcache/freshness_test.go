package httpcache

import "testing"

// RFC 9111, 4.2 and 5.2.2.

func TestFreshnessLifetime(t *testing.T) {
	runStories(t, map[string]story{
		"none":                         twice(nil, sec, false),
		"max-age":                      twice([]string{"Cache-Control: max-age=10"}, 9*sec, true),
		"max-age reached":              twice([]string{"Cache-Control: max-age=10"}, 10*sec, false),
		"max-age zero":                 twice([]string{"Cache-Control: max-age=0"}, 0, false),
		"max-age beyond 31 bits":       twice([]string{"Cache-Control: max-age=99999999999"}, 3600*sec, true),
		"max-age leading zeros":        twice([]string{"Cache-Control: max-age=0060"}, 59*sec, true),
		"max-age quoted":               twice([]string{`Cache-Control: max-age="60"`}, 59*sec, true),
		"max-age case":                 twice([]string{"Cache-Control: MaX-aGe=60"}, 59*sec, true),
		"max-age with extension":       twice([]string{"Cache-Control: foo, bar=baz, max-age=60"}, 59*sec, true),
		"max-age negative":             twice([]string{"Cache-Control: max-age=-60"}, sec, false),
		"max-age letters":              twice([]string{"Cache-Control: max-age=60a"}, sec, false),
		"max-age decimal":              twice([]string{"Cache-Control: max-age=60.0"}, sec, false),
		"max-age single quotes":        twice([]string{"Cache-Control: max-age='60'"}, sec, false),
		"max-age space before equals":  twice([]string{"Cache-Control: max-age =60"}, sec, false),
		"max-age space after equals":   twice([]string{"Cache-Control: max-age= 60"}, sec, false),
		"max-age without value":        twice([]string{"Cache-Control: max-age"}, sec, false),
		"max-age within quoted string": twice([]string{`Cache-Control: x="max-age=60", max-age=1`}, 2*sec, false),
		"max-age twice, first counts":  twice([]string{"Cache-Control: max-age=1, max-age=60"}, 2*sec, false),
		"max-age twice, two lines":     twice([]string{"Cache-Control: max-age=60", "Cache-Control: max-age=1"}, 2*sec, true),
		"unterminated quoted string":   twice([]string{`Cache-Control: max-age=60, x="no-store`}, sec, false),
		"s-maxage":                     twice([]string{"Cache-Control: s-maxage=60"}, 59*sec, true),
		"s-maxage over longer max-age": twice([]string{"Cache-Control: max-age=60, s-maxage=1"}, 2*sec, false),
		"s-maxage over max-age zero":   twice([]string{"Cache-Control: max-age=0, s-maxage=60", "Expires: {-10s}"}, 59*sec, true),
		"s-maxage invalid":             twice([]string{"Cache-Control: s-maxage=x, max-age=60"}, sec, false),
		"Expires":                      twice([]string{"Expires: {60s}", "Date: {0s}"}, 59*sec, true),
		"Expires in the past":          twice([]string{"Expires: {-60s}", "Date: {0s}"}, 0, false),
		"Expires now":                  twice([]string{"Expires: {0s}", "Date: {0s}"}, 0, false),
		"Expires before Date":          twice([]string{"Expires: {300s}", "Date: {400s}"}, 0, false),
		"Expires without Date":         twice([]string{"Expires: {60s}"}, 59*sec, true),
		"Expires with invalid Date":    twice([]string{"Expires: {60s}", "Date: foo"}, 59*sec, true),
		"Expires invalid":              twice([]string{"Expires: 0", "Date: {0s}"}, sec, false),
		"Expires twice":                twice([]string{"Expires: {60s}", "Expires: {60s}"}, sec, false),
		"max-age over past Expires":    twice([]string{"Expires: {-60s}", "Cache-Control: max-age=60"}, 59*sec, true),
		"max-age over invalid Expires": twice([]string{"Expires: 0", "Cache-Control: max-age=60"}, 59*sec, true),
		"max-age zero over Expires":    twice([]string{"Expires: {60s}", "Cache-Control: max-age=0"}, sec, false),
	})
}

func TestHeuristicFreshness(t *testing.T) {
	hour := []string{"Last-Modified: {-3600s}", "Date: {0s}"}
	off := twice(hour, sec, false)
	off.opt.HeuristicMax = -1
	capped := twice([]string{"Last-Modified: {-36000s}", "Date: {0s}"}, 700*sec, false)
	capped.opt.HeuristicMax = 600 * sec
	byDefault := twice(nil, 59*sec, true)
	byDefault.opt.DefaultTTL = 60 * sec
	withCookie := story{steps: []step{
		{origin: reply(200, "one", hour...), with: []string{"Cookie: a=b"}, want: "200 one"},
		{after: sec, origin: reply(200, "two"), want: "200 two"},
	}}
	runStories(t, map[string]story{
		"a tenth":                              twice(hour, 359*sec, true),
		"no longer than a tenth":               twice(hour, 361*sec, false),
		"switched off":                         off,
		"capped":                               capped,
		"default TTL":                          byDefault,
		"not with Set-Cookie":                  twice(append([]string{"Set-Cookie: a=b"}, hour...), sec, false),
		"not for a request with Cookie":        withCookie,
		"not with Pragma: no-cache":            twice(append([]string{"Pragma: no-cache"}, hour...), sec, false),
		"not with Last-Modified in the future": twice([]string{"Last-Modified: {3600s}", "Date: {0s}"}, sec, false),
		"not over explicit expiration":         twice(append([]string{"Expires: 0"}, hour...), sec, false),
	})
	for _, status := range []int{200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501} {
		t.Run("status "+statusWord(status), func(t *testing.T) {
			want := statusWord(status)
			runStory(t, story{steps: []step{
				{origin: reply(status, "", hour...), want: want},
				{after: sec, want: want},
			}})
		})
	}
	for _, status := range []int{201, 202, 302, 303, 307, 400, 403, 500, 502, 503, 504, 599} {
		t.Run("no status "+statusWord(status), func(t *testing.T) {
			want := statusWord(status)
			runStory(t, story{steps: []step{
				{origin: reply(status, "", hour...), want: want},
				{after: sec, origin: reply(200, "two"), want: "200 two"},
			}})
		})
	}
	t.Run("any status with public", func(t *testing.T) {
		runStory(t, story{steps: []step{
			{origin: reply(599, "", append([]string{"Cache-Control: public"}, hour...)...), want: "599"},
			{after: sec, want: "599"},
		}})
	})
}

func TestAge(t *testing.T) {
	fresh := func(later int, header ...string) story {
		return twice(append([]string{"Cache-Control: max-age=3600", "Date: {0s}"}, header...), sec*1, later == 1)
	}
	runStories(t, map[string]story{
		"counts from Age":              fresh(0, "Age: 3600"),
		"invalid Age ignored":          fresh(1, "Age: abc"),
		"negative Age ignored":         fresh(1, "Age: -7200"),
		"decimal Age ignored":          fresh(1, "Age: 7200.0"),
		"Age with parameter ignored":   fresh(1, "Age: 7200;foo=bar"),
		"large Age":                    fresh(0, "Age: 2147483648"),
		"huge Age":                     fresh(0, "Age: 99999999999999999999"),
		"first of a list, old":         fresh(0, "Age: 7200, 0"),
		"first of a list, young":       fresh(1, "Age: 0, 7200"),
		"first of two lines, old":      fresh(0, "Age: 7200", "Age: 0"),
		"first of two lines, young":    fresh(1, "Age: 0", "Age: 7200"),
		"apparent age from Date":       twice([]string{"Cache-Control: max-age=3600", "Date: {-3600s}"}, sec, false),
		"Date in the future is no age": twice([]string{"Cache-Control: max-age=60", "Date: {3600s}"}, 59*sec, true),
		"slow Date and Age":            twice([]string{"Expires: {10s}", "Date: {-10s}", "Age: 25"}, 0, false),
		"fast Date and Age":            twice([]string{"Expires: {20s}", "Date: {10s}", "Age: 15"}, 0, false),
		"sent, and grows": {steps: []step{
			{origin: reply(200, "one", "Cache-Control: max-age=600", "Date: {0s}", "Age: 30"), has: []string{"Age: 30"}},
			{after: 3 * sec, want: "200 one", has: []string{"Age: 33"}},
			{after: 4 * sec, want: "200 one", has: []string{"Age: 37"}},
		}},
		"Date stays": {steps: []step{
			{origin: reply(200, "one", "Cache-Control: max-age=600", "Date: {0s}")},
			{after: 3 * sec, want: "200 one", has: []string{"Date: {-3s}", "Age: 3"}},
		}},
		"Date is added": {steps: []step{
			{origin: reply(200, "one", "Cache-Control: max-age=600")},
			{after: 3 * sec, want: "200 one", has: []string{"Date: {-3s}"}},
		}},
	})
}

// The time the response took counts as age, since it may have been generated at
// the start of it.
func TestAgeOfSlowResponse(t *testing.T) {
	r := newRig(t, Options{})
	r.set(reply(200, "one", "Cache-Control: max-age=10"))
	r.h = r.cache.Handler(slowOrigin{r, 6 * sec})
	r.get("/")
	r.clock.advance(3 * sec)
	if rec := r.get("/"); rec.Header().Get("Age") != "9" {
		t.Errorf("Age is %q, want 9", rec.Header().Get("Age"))
	}
}

// A clock that is set back must neither make responses younger than they
// arrived nor give a negative Age.
func TestClockSetBack(t *testing.T) {
	r := newRig(t, Options{})
	r.set(reply(200, "one", "Cache-Control: max-age=60", "Age: 5"))
	r.get("/")
	r.clock.advance(-3600 * sec)
	rec := r.get("/")
	if got := rec.Header().Get("Age"); got != "5" {
		t.Errorf("Age is %q, want 5", got)
	}
}
