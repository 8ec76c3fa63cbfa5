package field

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The grammar of RFC 9111, 5.2, as a regular expression.
const (
	tokenExp     = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
	quotedExp    = `"(?:[^"\\]|\\.)*"`
	directiveExp = `(` + tokenExp + `)(?:=(` + tokenExp + `|` + quotedExp + `))?`
)

var (
	wellFormed = regexp.MustCompile(`(?s)^[ \t,]*(?:` + directiveExp + `(?:[ \t]*,[ \t,]*` + directiveExp + `)*)?[ \t,]*$`)
	directive  = regexp.MustCompile(`(?s)` + directiveExp)
	aToken     = regexp.MustCompile(tokenExp)
)

// member is a pattern of a whole member of a name.
func member(name, value string) *regexp.Regexp {
	return regexp.MustCompile(`(?is)(?:^|,)[ \t]*` + name + value + `[ \t]*(?:,|$)`)
}

var (
	anyValue = `(?:=(?:` + tokenExp + `|` + quotedExp + `))?`
	grants   = map[string]*regexp.Regexp{
		"public":                 member("public", anyValue),
		"must-understand":        member("must-understand", anyValue),
		"max-age":                member("max-age", `="?[0-9]+"?`),
		"s-maxage":               member("s-maxage", `="?[0-9]+"?`),
		"stale-while-revalidate": member("stale-while-revalidate", `="?[0-9]+"?`),
		"stale-if-error":         member("stale-if-error", `="?[0-9]+"?`),
	}
)

// FuzzCacheControl compares the scanner with a reading by regular expressions: all of what is
// well-formed, and for the rest that nothing is granted that no well-formed member grants, and
// that every restriction that is named restricts.
func FuzzCacheControl(f *testing.F) {
	for _, s := range []string{
		"max-age=3", `no-cache="a, b"`, `x="\"`, "a=b c", "public; max-age=30", `max-age="5", no-store`, `x="a\", no-store`,
		"must-understand, no-store ;", `private="Set-Cookie", MAX-AGE=9`, "=,;\"", `stale-if-error=4 , stale-while-revalidate=x`,
		`max-age=1, max-age=2`, "s-maxage=99999999999999999999", `public="x" y`, "\"no-store\"",
	} {
		f.Add(s, "no-cache")
		f.Add("max-age=60, public", s)
	}
	f.Fuzz(func(t *testing.T, s, more string) {
		d := ParseResponse([]string{s})
		checkResponse(t, s, d)
		checkLines(t, s, more, d)
		r := ParseRequest([]string{s})
		if r.NoStore != d.NoStore || r.NoCache && !d.NoCache && len(d.NoCacheFields) == 0 {
			t.Fatalf("%q: as a request's %+v, as a response's %+v", s, r, d)
		}
	})
}

func checkResponse(t *testing.T, s string, d Response) {
	if !wellFormed.MatchString(s) {
		if !d.Malformed {
			t.Fatalf("%q is not well-formed: %+v", s, d)
		}
		granted := map[string]bool{
			"public": d.Public, "must-understand": d.MustUnderstand, "max-age": d.MaxAge >= 0, "s-maxage": d.SMaxAge >= 0,
			"stale-while-revalidate": d.StaleWhileRevalidate >= 0, "stale-if-error": d.StaleIfError >= 0,
		}
		for name, yes := range granted {
			if yes && !grants[name].MatchString(s) {
				t.Fatalf("%q grants %s: %+v", s, name, d)
			}
		}
		if !strings.ContainsAny(s, `"=`) {
			checkNamed(t, s, d, aToken.FindAllString(s, -1))
		}
		return
	}
	want := noResponse()
	for _, m := range directive.FindAllStringSubmatchIndex(s, -1) {
		name := strings.ToLower(s[m[2]:m[3]])
		value, given := "", m[4] >= 0
		if given {
			value = s[m[4]:m[5]]
		}
		want.Present = true
		set(&want, name, value, given)
	}
	// No names and an empty list of them are the same.
	if fmt.Sprint(d) != fmt.Sprint(want) {
		t.Fatalf("%q: got %+v, want %+v", s, d, want)
	}
}

// set is the slow reading of one well-formed member.
func set(d *Response, name, value string, given bool) {
	unquoted := value
	if strings.HasPrefix(value, `"`) {
		unquoted = value[1 : len(value)-1]
	}
	number := func(v *int64) {
		if *v != Absent {
			return
		}
		*v = Invalid
		if regexp.MustCompile(`^[0-9]+$`).MatchString(unquoted) {
			n, err := strconv.ParseUint(unquoted, 10, 63)
			if *v = int64(n); err != nil || *v > MaxDelta {
				*v = MaxDelta
			}
		}
	}
	names := func(all *bool, list *[]string) {
		text := regexp.MustCompile(`(?s)\\(.)`).ReplaceAllString(unquoted, "$1")
		if !strings.HasPrefix(value, `"`) {
			text = unquoted
		}
		var found []string
		for _, n := range strings.Split(text, ",") {
			if n = strings.Trim(n, " \t"); n == "" {
				continue
			} else if aToken.FindString(n) != n {
				found = nil
				given = false
				break
			}
			found = append(found, n)
		}
		*all = *all || !given || len(found) == 0
		*list = append(*list, found...)
	}
	switch name {
	case "no-store":
		d.NoStore = true
	case "public":
		d.Public = true
	case "must-revalidate":
		d.MustRevalidate = true
	case "proxy-revalidate":
		d.ProxyRevalidate = true
	case "must-understand":
		d.MustUnderstand = true
	case "no-cache":
		names(&d.NoCache, &d.NoCacheFields)
	case "private":
		names(&d.Private, &d.PrivateFields)
	case "max-age":
		number(&d.MaxAge)
	case "s-maxage":
		number(&d.SMaxAge)
	case "stale-while-revalidate":
		number(&d.StaleWhileRevalidate)
	case "stale-if-error":
		number(&d.StaleIfError)
	}
}

func checkNamed(t *testing.T, s string, d Response, tokens []string) {
	for name, yes := range map[string]bool{
		"no-store": d.NoStore, "no-cache": d.NoCache, "private": d.Private,
		"must-revalidate": d.MustRevalidate, "proxy-revalidate": d.ProxyRevalidate,
		"max-age": d.MaxAge != Absent, "s-maxage": d.SMaxAge != Absent,
	} {
		if !yes && slices.ContainsFunc(tokens, func(s string) bool { return strings.EqualFold(s, name) }) {
			t.Fatalf("%q names %s: %+v", s, name, d)
		}
	}
}

// checkLines: another line takes no restriction away.
func checkLines(t *testing.T, s, more string, d Response) {
	both := ParseResponse([]string{s, more})
	if d.NoStore && !both.NoStore || d.NoCache && !both.NoCache || d.Private && !both.Private || d.Malformed && !both.Malformed ||
		d.MustRevalidate && !both.MustRevalidate || d.MaxAge != Absent && both.MaxAge != d.MaxAge || d.SMaxAge != Absent && both.SMaxAge != d.SMaxAge ||
		!slices.Equal(both.PrivateFields[:len(d.PrivateFields)], d.PrivateFields) {
		t.Fatalf("%q: %+v, and with %q %+v", s, d, more, both)
	}
	// Two lines are one with a comma between (RFC 9110, 5.3).
	if joined := ParseResponse([]string{s + "," + more}); !d.Unterminated && !reflect.DeepEqual(joined, both) {
		t.Fatalf("%q and %q: %+v, joined %+v", s, more, both, joined)
	}
}

// FuzzStructured writes what it has read in the canonical way of RFC 9651, 4.1, which must be
// read as the same.
func FuzzStructured(f *testing.F) {
	f.Add(`a=1, b="q\"s";y, c=tok/en:x, d=(1 "2" tok);z=?1, e=1.5, f=:aGk=:, g=@-5, h=%"f%c3%bc", a=11`)
	f.Add(`"a" , "b c";x=1,	"d\\"`)
	f.Add(`max-age=10, no-store=?0,*x.y_z-1`)
	f.Add("a,")
	f.Add("a;b;c=?0 , d")
	f.Fuzz(func(t *testing.T, s string) {
		if members, err := ParseDictionary(s); err == nil {
			text := writeDictionary(members)
			again, err := ParseDictionary(text)
			if err != nil || !reflect.DeepEqual(members, again) {
				t.Fatalf("%q: %+v; written as %q: %+v, %v", s, members, text, again, err)
			}
			checkTargeted(t, s, members)
		}
		if list, err := ParseStringList(s); err == nil {
			var quoted []string
			for _, v := range list {
				quoted = append(quoted, quote(v))
			}
			text := strings.Join(quoted, ", ")
			again, err := ParseStringList(text)
			if err != nil || !slices.Equal(list, again) {
				t.Fatalf("%q: %q; written as %q: %q, %v", s, list, text, again, err)
			}
		}
	})
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func writeDictionary(members []Member) string {
	var out []string
	for _, m := range members {
		v := m.Value
		text := map[Kind]string{
			Integer: fmt.Sprint(v.Num), Decimal: "1.5", String: quote(v.Text), Token: v.Text, Bytes: ":aGk=:",
			Boolean: fmt.Sprintf("?%d", v.Num), Date: fmt.Sprintf("@%d", v.Num), Display: `%"x"`, InnerList: "(1 2)",
		}[v.Kind]
		out = append(out, m.Key+"="+text)
	}
	return strings.Join(out, ", ")
}

// checkTargeted compares the directives of a targeted field with its members.
func checkTargeted(t *testing.T, s string, members []Member) {
	d, ok := ParseTargeted(s)
	if !ok {
		return
	}
	for _, m := range members {
		v := m.Value
		wrong := false
		switch m.Key {
		case "no-store":
			wrong = v.Kind != Boolean || d.NoStore != (v.Num == 1)
		case "private":
			wrong = v.Kind == Boolean && d.Private != (v.Num == 1) || v.Kind == Integer
		case "no-cache":
			wrong = v.Kind == Boolean && d.NoCache != (v.Num == 1) || v.Kind == Integer
		case "max-age":
			wrong = v.Kind != Integer || v.Num < 0 || d.MaxAge != min(v.Num, MaxDelta)
		}
		if wrong {
			t.Fatalf("%q: %+v", s, d)
		}
	}
}
