package httpcache

import (
	"net/http"
	"strings"
	"testing"
)

// RFC 9111, 4.1.

func TestVary(t *testing.T) {
	vary := func(first, second []string, hit bool, names ...string) story {
		header := []string{fresh}
		for _, n := range names {
			header = append(header, "Vary: "+n)
		}
		s := step{with: second, want: "200 one"}
		if !hit {
			s = step{with: second, origin: reply(200, "two", fresh), want: "200 two"}
		}
		return story{steps: []step{{with: first, origin: reply(200, "one", header...)}, s}}
	}
	foo := func(v string) []string { return []string{"Foo: " + v} }
	three := []string{"Foo: 1", "Bar: abc", "Baz: 789"}
	runStories(t, map[string]story{
		"match":                     vary(foo("1"), foo("1"), true, "Foo"),
		"no match":                  vary(foo("1"), foo("2"), false, "Foo"),
		"absent now":                vary(foo("1"), nil, false, "Foo"),
		"absent then":               vary(nil, foo("1"), false, "Foo"),
		"absent in both":            vary([]string{"Foo: 1", "Baz: 2"}, []string{"Baz: 2", "Foo: 1"}, true, "Foo, Bar, Baz"),
		"empty is not absent":       vary(foo(""), nil, false, "Foo"),
		"other fields don't matter": vary([]string{"Foo: 1", "Other: 1"}, []string{"Foo: 1", "Other: 2"}, true, "Foo"),
		"case of names":             vary(foo("1"), foo("1"), true, "fOO"),
		"two lines":                 vary(three, []string{"Foo: 1", "Bar: x", "Baz: 789"}, false, "Foo", "Bar"),
		"three match":               vary(three, three, true, "Foo, Bar, Baz"),
		"three no match":            vary(three, []string{"Foo: 1", "Baz: 789", "Bar: abcde"}, false, "Foo, Bar, Baz"),
		"star":                      vary(nil, nil, false, "*"),
		"star twice":                vary(nil, nil, false, "*, *"),
		"star in two lines":         vary(nil, nil, false, "*", "*"),
		"star after empty":          vary(nil, nil, false, ", *"),
		"star after empty line":     vary(nil, nil, false, "", "*"),
		"star first":                vary(foo("1"), foo("1"), false, "*, Foo"),
		"star last":                 vary(foo("1"), foo("1"), false, "Foo, *"),
		"not a token":               vary(foo("1"), foo("1"), false, "F oo"),
		"empty Vary":                vary(foo("1"), foo("2"), true, ""),
	})
}

func TestVaryNormalisation(t *testing.T) {
	same := func(name string, a, b []string, hit bool) story {
		with := func(values []string) (out []string) {
			for _, v := range values {
				out = append(out, name+": "+v)
			}
			return out
		}
		s := step{with: with(b), want: "200 one"}
		if !hit {
			s = step{with: with(b), origin: reply(200, "two", fresh), want: "200 two"}
		}
		return story{steps: []step{{with: with(a), origin: reply(200, "one", fresh, "Vary: "+name)}, s}}
	}
	l := func(v ...string) []string { return v }
	runStories(t, map[string]story{
		"lines combine":            same("Foo", l("1, 2"), l("1", "2"), true),
		"whitespace":               same("Foo", l("1,2"), l(" 1 ,	2 "), true),
		"order of unknown lists":   same("Foo", l("1, 2"), l("2, 1"), false),
		"case of unknown lists":    same("Foo", l("a"), l("A"), false),
		"commas in quotes":         same("Foo", l(`"a, b"`), l(`"a,b"`), false),
		"language order":           same("Accept-Language", l("en, de"), l("de, en"), true),
		"language case":            same("Accept-Language", l("en, de"), l("eN, De"), true),
		"language space":           same("Accept-Language", l("en, de"), l("  en ,   de"), true),
		"language weight spelling": same("Accept-Language", l("en;q=0.5, de"), l("de;q=1.0,en; q=0.50"), true),
		"language weight differs":  same("Accept-Language", l("en;q=0.5, de"), l("en, de"), false),
		"encoding order":           same("Accept-Encoding", l("gzip, br"), l("br", "GZIP"), true),
		"accept parameters":        same("Accept", l("text/html;level=1;q=0.3, */*"), l("*/*, text/html;level=1; q=0.300"), true),
		"accept parameter's case":  same("Accept", l(`a/b;profile="x/Y"`), l(`a/b;profile="x/y"`), false),
		"accept parameter's space": same("Accept", l(`a/b;profile="x y"`), l(`a/b;profile="xy"`), false),
		"accept names' case":       same("Accept", l("A/b; Profile=Y"), l("a/B;profile=Y"), true),
		"quotes across lines":      same("Foo", l(`"a`, `b"`), l(`"a,b"`), false),
		"quotes across accepts":    same("Accept", l(`a/b;x="a`, `b"`), l(`a/b;x="a,b"`), false),
		"accept differs":           same("Accept", l("text/html"), l("text/plain"), false),
		"cookie is exact":          same("Cookie", l("a=b,c"), l("a=b, c"), false),
		"user agent is exact":      same("User-Agent", l("A (x, y)"), l("A (x,y)"), false),
	})
}

func TestVaryLanguageSelection(t *testing.T) {
	german := reply(200, "deutsch", fresh, "Vary: Accept-Language", "Content-Language: de")
	runStories(t, map[string]story{
		"the preferred language": {steps: []step{
			{with: []string{"Accept-Language: en, de"}, origin: german},
			{with: []string{"Accept-Language: fr;q=0.5, de;q=1.0"}, want: "200 deutsch"},
		}},
		"not a less preferred one": {steps: []step{
			{with: []string{"Accept-Language: en, de"}, origin: german},
			{with: []string{"Accept-Language: fr, de;q=0.9"}, origin: reply(200, "français", fresh, "Vary: Accept-Language"), want: "200 français"},
		}},
		"not one of several": {steps: []step{
			{with: []string{"Accept-Language: en, de"}, origin: german},
			{with: []string{"Accept-Language: de, fr"}, origin: reply(200, "français", fresh, "Vary: Accept-Language"), want: "200 français"},
		}},
		"other fields must still match": {steps: []step{
			{with: []string{"Accept-Language: en, de", "Foo: 1"}, origin: reply(200, "deutsch", fresh, "Vary: Accept-Language, Foo", "Content-Language: de")},
			{with: []string{"Accept-Language: de", "Foo: 2"}, origin: reply(200, "zwei", fresh), want: "200 zwei"},
		}},
	})
}

func TestVariantsLiveTogether(t *testing.T) {
	v := func(body, names string) *response { return reply(200, body, fresh, "Vary: "+names) }
	runStories(t, map[string]story{
		"same set": {steps: []step{
			{with: []string{"Foo: 1"}, origin: v("one", "Foo")},
			{with: []string{"Foo: 2"}, origin: v("two", "Foo")},
			{with: []string{"Foo: 1"}, want: "200 one"},
			{with: []string{"Foo: 2"}, want: "200 two"},
		}},
		"different sets": {steps: []step{
			{with: []string{"Foo: 1", "Bar: 1"}, origin: v("one", "Foo")},
			{with: []string{"Foo: 2", "Bar: 1"}, origin: v("two", "Foo, Bar")},
			{with: []string{"Foo: 1", "Bar: 9"}, want: "200 one"},
			{with: []string{"Foo: 2", "Bar: 1"}, want: "200 two"},
			{with: []string{"Foo: 2", "Bar: 2"}, origin: v("three", "Foo, Bar"), want: "200 three"},
		}},
		"invalidation takes all, and none comes back": {steps: []step{
			{with: []string{"Foo: 1"}, origin: v("one", "Foo")},
			{with: []string{"Foo: 2"}, origin: v("two", "Foo")},
			{method: "DELETE", origin: reply(204, "")},
			{with: []string{"Foo: 1"}, origin: v("new one", "Foo"), want: "200 new one"},
			{with: []string{"Foo: 2"}, origin: v("new two", "Foo"), want: "200 new two"},
		}},
		"the most recent way of varying wins": {steps: []step{
			{with: []string{"Foo: 1"}, origin: v("one", "Foo")},
			{with: []string{"Foo: 2"}, origin: reply(200, "all", fresh), want: "200 all"},
			{with: []string{"Foo: 1"}, want: "200 all"},
		}},
	})
}

func TestIndexKeepsFewSets(t *testing.T) {
	var x index
	for _, name := range []string{"A", "B", "C", "D", "E", "B"} {
		x.add(appendSet(nil, []string{name}), nil)
	}
	var got []string
	rest := x.sets
	for range x.n {
		var s []byte
		s, rest = cutSet(rest)
		got = append(got, string(s[2:]))
	}
	if strings.Join(got, "") != "BEDC" {
		t.Errorf("sets are %q, want B E D C", got)
	}
	// Sets that clients can bring about go first.
	x.add(appendSet(nil, []string{"F"}), []string{"D"})
	if !x.hasSet(appendSet(nil, []string{"C"})) || x.hasSet(appendSet(nil, []string{"D"})) {
		t.Errorf("sets are %q, want all but D", x.sets)
	}
}

// A request must be compared by the names of a set whatever else it carries.
func TestVariantKeysAreInjective(t *testing.T) {
	set := appendSet(nil, []string{"A", "B"})
	seen := map[string]int{}
	for i, h := range []http.Header{
		{}, {"A": {""}}, {"B": {""}}, {"A": {"x"}}, {"B": {"x"}}, {"A": {"x"}, "B": {""}}, {"A": {"x,B"}}, {"A": {"x"}, "B": {"B"}},
		{"A": {"x\x00"}}, {"A": {"x", "y"}}, {"A": {"xy"}},
	} {
		key, ok := appendVariantKey(nil, []byte("k"), 7, set, h, "")
		if !ok {
			t.Fatal("too long")
		}
		if j, dup := seen[string(key)]; dup {
			t.Errorf("headers %d and %d have one key", i, j)
		}
		seen[string(key)] = i
	}
}
