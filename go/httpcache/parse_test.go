package httpcache

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseHTTPDate(t *testing.T) {
	const want = 784111777 // Sun, 06 Nov 1994 08:49:37 GMT
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Unix()
	for _, s := range []string{
		"Sun, 06 Nov 1994 08:49:37 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994",
		"SUN, 06 NOV 1994 08:49:37 gmt",
	} {
		if got, ok := parseHTTPDate(s, now); !ok || got != want {
			t.Errorf("%q: got %d, %v", s, got, ok)
		}
	}
	for s, want := range map[string]int64{
		"Thursday, 18-Aug-50 02:01:18 GMT": 2544400878, // 2050
		"Thursday, 18-Aug-77 02:01:18 GMT": 240717678,  // 1977: 2077 is over 50 years ahead
		"Sun, 21 Nov 2286 04:46:39 GMT":    10000039599,
		"Tue, 29 Feb 2028 00:00:60 GMT":    1835395259,
	} {
		if got, ok := parseHTTPDate(s, now); !ok || got != want {
			t.Errorf("%q: got %d, %v, want %d", s, got, ok, want)
		}
	}
	for _, s := range []string{
		"", "0", "-1", "foo", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37 AEST",
		"Sun, 06 Nov 94 08:49:37 GMT", "Sun 06 Nov 1994 08:49:37 GMT", "Sun, 06  Nov 1994 08:49:37 GMT", "Sun, 06-Nov-1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08.49.37 GMT", "Sun, 06 Nov 1994 8:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT",
		"Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT", "Xyz, 06 Nov 1994 08:49:37 GMT",
		"Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nov 19-4 08:49:37 GMT", " Sun, 06 Nov 1994 08:49:37 GMT",
		"Sunday Nov  6 08:49:37 1994", "Sun Nov 6 08:49:37 1994", "Sun Nov  6 08:49:37 94  ", strings.Repeat("Sunday, ", 1000),
	} {
		if got, ok := parseHTTPDate(s, now); ok {
			t.Errorf("%q: parsed as %d", s, got)
		}
	}
}

func TestParseResponseDirectives(t *testing.T) {
	for line, check := range map[string]func(d responseDirectives) bool{
		"":                             func(d responseDirectives) bool { return !d.present },
		" , ,":                         func(d responseDirectives) bool { return !d.present },
		"no-store":                     func(d responseDirectives) bool { return d.noStore },
		"No-StOrE ,public":             func(d responseDirectives) bool { return d.noStore && d.public },
		"no-store=1":                   func(d responseDirectives) bool { return d.noStore },
		"no-store foo":                 func(d responseDirectives) bool { return d.noStore },
		`x="no-store"`:                 func(d responseDirectives) bool { return !d.noStore && d.present },
		`x="\"no-store", max-age=3`:    func(d responseDirectives) bool { return !d.noStore && d.maxAge == 3 },
		`x="a\", no-store`:             func(d responseDirectives) bool { return !d.noStore && d.malformed },
		`x "a, no-store", max-age=3`:   func(d responseDirectives) bool { return !d.noStore && d.maxAge == 3 },
		"=5, max-age=3":                func(d responseDirectives) bool { return d.maxAge == 3 },
		"max-age=3 4":                  func(d responseDirectives) bool { return d.maxAge == invalid },
		"max-age=3;x=y":                func(d responseDirectives) bool { return d.maxAge == invalid },
		`max-age="3`:                   func(d responseDirectives) bool { return d.maxAge == invalid && d.malformed },
		`max-age=""`:                   func(d responseDirectives) bool { return d.maxAge == invalid },
		"max-age=99999999999999999999": func(d responseDirectives) bool { return d.maxAge == maxDelta },
		"max-age=x, max-age=3":         func(d responseDirectives) bool { return d.maxAge == invalid },
		"private":                      func(d responseDirectives) bool { return d.private },
		`private="a, B"`: func(d responseDirectives) bool {
			return !d.private && reflect.DeepEqual(d.unstored, []string{"a", "B"})
		},
		"no-cache=a":             func(d responseDirectives) bool { return !d.noCache && reflect.DeepEqual(d.unstored, []string{"a"}) },
		`no-cache="a b"`:         func(d responseDirectives) bool { return d.noCache && d.unstored == nil },
		`no-cache=""`:            func(d responseDirectives) bool { return d.noCache },
		`no-cache=`:              func(d responseDirectives) bool { return d.noCache },
		`no-cache="a", no-cache`: func(d responseDirectives) bool { return d.noCache && len(d.unstored) == 1 },
		"s-maxage=1, stale-while-revalidate=2, stale-if-error=3": func(d responseDirectives) bool {
			return d.sMaxAge == 1 && d.staleWhileRevalidate == 2 && d.staleIfError == 3 && d.maxAge == absent
		},
		"must-revalidate,proxy-revalidate,must-understand": func(d responseDirectives) bool {
			return d.mustRevalidate && d.proxyRevalidate && d.mustUnderstand
		},
	} {
		if d := parseResponseDirectives([]string{line}); !check(d) {
			t.Errorf("%q: got %+v", line, d)
		}
	}
}

func TestParseRequestDirectives(t *testing.T) {
	d := parseRequestDirectives([]string{"no-cache, max-age=5", `min-fresh="6", max-stale=7, stale-if-error=8, only-if-cached, no-store`})
	want := requestDirectives{noCache: true, noStore: true, onlyIfCached: true, maxAge: 5, minFresh: 6, maxStale: 7, staleIfError: 8}
	if d != want {
		t.Errorf("got %+v, want %+v", d, want)
	}
	if d := parseRequestDirectives([]string{"max-stale"}); d.maxStale != maxDelta {
		t.Errorf("max-stale without a value: got %d", d.maxStale)
	}
	if d := parseRequestDirectives([]string{"max-stale=x, max-age=y"}); d.maxStale >= 0 || d.maxAge >= 0 {
		t.Errorf("invalid values: got %+v", d)
	}
}

func TestParseDictionary(t *testing.T) {
	members, err := parseDictionary(`max-age=10, no-store, a=?0;x=1, b="q\"s";y, c=tok/en:x, d=(1 "2" tok);z=?1, e=1.5, f=:aGk=:, g=@-5, h=%"f%c3%bc", max-age=11`)
	if err != nil {
		t.Fatal(err)
	}
	want := []sfMember{
		{"max-age", sfItem{sfInteger, 11, ""}}, {"no-store", sfItem{sfBoolean, 1, ""}}, {"a", sfItem{sfBoolean, 0, ""}},
		{"b", sfItem{sfString, 0, `q"s`}}, {"c", sfItem{sfToken, 0, "tok/en:x"}}, {"d", sfItem{sfInnerList, 0, ""}},
		{"e", sfItem{sfDecimal, 0, ""}}, {"f", sfItem{sfBytes, 0, ""}}, {"g", sfItem{sfDate, -5, ""}}, {"h", sfItem{sfDisplay, 0, ""}},
	}
	if !reflect.DeepEqual(members, want) {
		t.Errorf("got %+v, want %+v", members, want)
	}
	for _, s := range []string{
		"a=1,", ",a=1", "a=1,,b=2", "a =1", "a= 1", "A=1", "a=", "a=1 b=2", `a="x`, `a="\x"`, "a=\"\x01\"", "a=1.", "a=1.1234", "a=1234567890123456",
		"a=1234567890123.1", "a=-", "a=?2", "a=?", "a=:x", "a=:*:", "a=(1", "a=(1\"2\")", "a=(1,2)", "a;=1", "a=@1.5", `a=%"x`, `a=%"%C3"`, `a=%x`, "a=&", "max-age=10, &&&&&", "é=1",
	} {
		if m, err := parseDictionary(s); err == nil {
			t.Errorf("%q: parsed as %+v", s, m)
		}
	}
}

func TestParseDictionaryFlood(t *testing.T) {
	var b strings.Builder
	for i := range maxMembers {
		fmt.Fprintf(&b, "a%d, ", i)
	}
	if m, err := parseDictionary(b.String() + "a0"); err != nil || len(m) != maxMembers {
		t.Errorf("got %d members, %v", len(m), err)
	}
	if _, err := parseDictionary(b.String() + "b"); err == nil {
		t.Error("one member more was accepted")
	}
}

func TestParseStringList(t *testing.T) {
	got, err := parseStringList(`"a" , "b c";x=1,	"d\\"`)
	if err != nil || !reflect.DeepEqual(got, []string{"a", "b c", `d\`}) {
		t.Errorf("got %q, %v", got, err)
	}
	for _, s := range []string{`a`, `"a", b`, `("a")`, `"a",`, `1`} {
		if got, err := parseStringList(s); err == nil {
			t.Errorf("%q: parsed as %q", s, got)
		}
	}
}

func TestSplitList(t *testing.T) {
	for _, c := range []struct {
		lines []string
		want  []string
	}{
		{nil, nil},
		{[]string{"", " , ,"}, nil},
		{[]string{"a,b", " c "}, []string{"a", "b", "c"}},
		{[]string{`"a,b", c`}, []string{`"a,b"`, "c"}},
		{[]string{`"a\",b", c`}, []string{`"a\",b"`, "c"}},
		{[]string{`"a, b`, "c"}, []string{`"a, b`, "c"}},
	} {
		var got []string
		splitList(c.lines, func(s string) bool { got = append(got, s); return true })
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.lines, got, c.want)
		}
	}
}

func TestParseRange(t *testing.T) {
	for s, want := range map[string]struct {
		first, last int64
		result      rangeResult
	}{
		"bytes=0-4":                    {0, 4, rangeOK},
		"bytes=5-":                     {5, 9, rangeOK},
		"bytes=-3":                     {7, 9, rangeOK},
		"bytes=-30":                    {0, 9, rangeOK},
		"bytes=8-100":                  {8, 9, rangeOK},
		"BYTES=0-0":                    {0, 0, rangeOK},
		"bytes=0-99999999999999999999": {0, 9, rangeOK},
		"bytes=10-":                    {0, 0, rangeUnsatisfiable},
		"bytes=-0":                     {0, 0, rangeUnsatisfiable},
		"bytes=99999999999999999999-":  {0, 0, rangeUnsatisfiable},
		"bytes=4-3":                    {0, 0, rangeIgnored},
		"bytes=a-b":                    {0, 0, rangeIgnored},
		"bytes=-":                      {0, 0, rangeIgnored},
		"bytes=":                       {0, 0, rangeIgnored},
		"bytes=0-1,3-4":                {0, 0, rangeIgnored},
		"lines=0-1":                    {0, 0, rangeIgnored},
		"bytes 0-1":                    {0, 0, rangeIgnored},
		"bytes=+0-1":                   {0, 0, rangeIgnored},
		"bytes=0-1-2":                  {0, 0, rangeIgnored},
	} {
		br, result := parseRange([]string{s}, 10)
		if result != want.result || result == rangeOK && (br.first != want.first || br.last != want.last) {
			t.Errorf("%q: got %+v, %d", s, br, result)
		}
	}
}

func TestParseWeight(t *testing.T) {
	for s, want := range map[string]int{"q=1": 1000, "q=0": 0, "Q=0.5": 500, "q=0.123": 123, "q=1.000": 1000, "q=0.": 0} {
		if got, ok := parseWeight(s); !ok || got != want {
			t.Errorf("%q: got %d, %v", s, got, ok)
		}
	}
	for _, s := range []string{"", "q", "q=", "q=2", "q=1.5", "q=.5", "q=0.1234", "q=0,5", "x=1", "q=-1"} {
		if got, ok := parseWeight(s); ok {
			t.Errorf("%q: got %d", s, got)
		}
	}
}

func FuzzDirectives(f *testing.F) {
	for _, s := range []string{"max-age=3", `no-cache="a, b"`, `x="\"`, "a=b c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d := parseResponseDirectives([]string{s})
		for _, v := range []int64{d.maxAge, d.sMaxAge, d.staleIfError, d.staleWhileRevalidate} {
			if v < invalid || v > maxDelta {
				t.Fatalf("%q: %d", s, v)
			}
		}
		for _, n := range d.unstored {
			if !isToken(n) {
				t.Fatalf("%q: field name %q", s, n)
			}
		}
		parseRequestDirectives([]string{s})
		parseDictionary(s)
		parseHTTPDate(s, 0)
	})
}
