package field

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
		if got, ok := ParseDate(s, now); !ok || got != want {
			t.Errorf("%q: got %d, %v", s, got, ok)
		}
	}
	for s, want := range map[string]int64{
		"Thursday, 18-Aug-50 02:01:18 GMT": 2544400878, // 2050
		"Thursday, 18-Aug-77 02:01:18 GMT": 240717678,  // 1977: 2077 is over 50 years ahead
		"Sun, 21 Nov 2286 04:46:39 GMT":    10000039599,
		"Tue, 29 Feb 2028 00:00:60 GMT":    1835395259,
	} {
		if got, ok := ParseDate(s, now); !ok || got != want {
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
		if got, ok := ParseDate(s, now); ok {
			t.Errorf("%q: parsed as %d", s, got)
		}
	}
}

func TestParseResponse(t *testing.T) {
	for line, check := range map[string]func(d Response) bool{
		"":                             func(d Response) bool { return !d.Present },
		" , ,":                         func(d Response) bool { return !d.Present },
		"no-store":                     func(d Response) bool { return d.NoStore },
		"No-StOrE ,public":             func(d Response) bool { return d.NoStore && d.Public },
		"no-store=1":                   func(d Response) bool { return d.NoStore },
		"no-store foo":                 func(d Response) bool { return d.NoStore },
		`x="no-store"`:                 func(d Response) bool { return !d.NoStore && d.Present },
		`x="\"no-store", max-age=3`:    func(d Response) bool { return !d.NoStore && d.MaxAge == 3 },
		`x="a\", no-store`:             func(d Response) bool { return d.NoStore && d.Malformed && d.Unterminated },
		`x "a, no-store", max-age=3`:   func(d Response) bool { return d.NoStore && d.Malformed && d.MaxAge == 3 },
		"=5, max-age=3":                func(d Response) bool { return d.MaxAge == 3 },
		"max-age=3 4":                  func(d Response) bool { return d.MaxAge == Invalid },
		"max-age=3;x=y":                func(d Response) bool { return d.MaxAge == Invalid },
		`max-age="3`:                   func(d Response) bool { return d.MaxAge == Invalid && d.Malformed },
		`max-age=""`:                   func(d Response) bool { return d.MaxAge == Invalid },
		"max-age=99999999999999999999": func(d Response) bool { return d.MaxAge == MaxDelta },
		"max-age=x, max-age=3":         func(d Response) bool { return d.MaxAge == Invalid },
		"private":                      func(d Response) bool { return d.Private },
		`private="a, B"`: func(d Response) bool {
			return !d.Private && reflect.DeepEqual(d.PrivateFields, []string{"a", "B"})
		},
		"no-cache=a":             func(d Response) bool { return !d.NoCache && reflect.DeepEqual(d.NoCacheFields, []string{"a"}) },
		`no-cache="a b"`:         func(d Response) bool { return d.NoCache && d.NoCacheFields == nil },
		`no-cache=""`:            func(d Response) bool { return d.NoCache },
		`no-cache=`:              func(d Response) bool { return d.NoCache },
		`no-cache="a", no-cache`: func(d Response) bool { return d.NoCache && len(d.NoCacheFields) == 1 },
		"s-maxage=1, stale-while-revalidate=2, stale-if-error=3": func(d Response) bool {
			return d.SMaxAge == 1 && d.StaleWhileRevalidate == 2 && d.StaleIfError == 3 && d.MaxAge == Absent
		},
		"must-revalidate,proxy-revalidate,must-understand": func(d Response) bool {
			return d.MustRevalidate && d.ProxyRevalidate && d.MustUnderstand
		},
	} {
		if d := ParseResponse([]string{line}); !check(d) {
			t.Errorf("%q: got %+v", line, d)
		}
	}
}

func TestParseRequest(t *testing.T) {
	d := ParseRequest([]string{"no-cache, max-age=5", `min-fresh="6", max-stale=7, stale-if-error=8, only-if-cached, no-store`})
	want := Request{NoCache: true, NoStore: true, OnlyIfCached: true, MaxAge: 5, MinFresh: 6, MaxStale: 7, StaleIfError: 8}
	if d != want {
		t.Errorf("got %+v, want %+v", d, want)
	}
	if d := ParseRequest([]string{"max-stale"}); d.MaxStale != MaxDelta {
		t.Errorf("max-stale without a value: got %d", d.MaxStale)
	}
	if d := ParseRequest([]string{"max-stale=x, max-age=y"}); d.MaxStale >= 0 || d.MaxAge >= 0 {
		t.Errorf("invalid values: got %+v", d)
	}
}

func TestParseDictionary(t *testing.T) {
	members, err := ParseDictionary(`max-age=10, no-store, a=?0;x=1, b="q\"s";y, c=tok/en:x, d=(1 "2" tok);z=?1, e=1.5, f=:aGk=:, g=@-5, h=%"f%c3%bc", max-age=11`)
	if err != nil {
		t.Fatal(err)
	}
	want := []Member{
		{"max-age", Item{Integer, 11, ""}}, {"no-store", Item{Boolean, 1, ""}}, {"a", Item{Boolean, 0, ""}},
		{"b", Item{String, 0, `q"s`}}, {"c", Item{Token, 0, "tok/en:x"}}, {"d", Item{InnerList, 0, ""}},
		{"e", Item{Decimal, 0, ""}}, {"f", Item{Bytes, 0, ""}}, {"g", Item{Date, -5, ""}}, {"h", Item{Display, 0, ""}},
	}
	if !reflect.DeepEqual(members, want) {
		t.Errorf("got %+v, want %+v", members, want)
	}
	for _, s := range []string{
		"a=1,", ",a=1", "a=1,,b=2", "a =1", "a= 1", "A=1", "a=", "a=1 b=2", `a="x`, `a="\x"`, "a=\"\x01\"", "a=1.", "a=1.1234", "a=1234567890123456",
		"a=1234567890123.1", "a=-", "a=?2", "a=?", "a=:x", "a=:*:", "a=(1", "a=(1\"2\")", "a=(1,2)", "a;=1", "a=@1.5", `a=%"x`, `a=%"%C3"`, `a=%x`, "a=&", "max-age=10, &&&&&", "é=1",
	} {
		if m, err := ParseDictionary(s); err == nil {
			t.Errorf("%q: parsed as %+v", s, m)
		}
	}
}

func TestParseDictionaryFlood(t *testing.T) {
	var b strings.Builder
	for i := range MaxMembers {
		fmt.Fprintf(&b, "a%d, ", i)
	}
	if m, err := ParseDictionary(b.String() + "a0"); err != nil || len(m) != MaxMembers {
		t.Errorf("got %d members, %v", len(m), err)
	}
	if _, err := ParseDictionary(b.String() + "b"); err == nil {
		t.Error("one member more was accepted")
	}
}

func TestParseStringList(t *testing.T) {
	got, err := ParseStringList(`"a" , "b c";x=1,	"d\\"`)
	if err != nil || !reflect.DeepEqual(got, []string{"a", "b c", `d\`}) {
		t.Errorf("got %q, %v", got, err)
	}
	for _, s := range []string{`a`, `"a", b`, `("a")`, `"a",`, `1`} {
		if got, err := ParseStringList(s); err == nil {
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
		SplitList(c.lines, func(s string) bool { got = append(got, s); return true })
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.lines, got, c.want)
		}
	}
}
