package fields

import (
	"encoding/json"
	"testing"
)

// FuzzProject: a part of JSON is JSON, a part of the part is the part, and the canonical
// form of a selection is canonical. (`make fuzz` lets it look for more than its seeds.)
func FuzzProject(f *testing.F) {
	f.Add("a.b,c", `{"a":{"b":[1,{"x":2}],"c":3},"c":null}`)
	f.Add("n", `[{"n":1,"n":2},{"N":3},[]]`)
	f.Add("a\x00,é", `{"a\u0000":"\ud800","é":1e999}`)
	f.Fuzz(func(t *testing.T, text, in string) {
		selection, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(selection.String())
		if err != nil || again.String() != selection.String() {
			t.Fatalf("%q: %q is not canonical: %v, %v", text, selection, again, err)
		}
		part, ok := selection.Project(nil, []byte(in))
		// (The standard library gives up on what is nested 10,000 deep.)
		if json.Valid([]byte(in)) && !ok {
			t.Fatalf("%q: not projected", in)
		}
		if !ok || !json.Valid([]byte(in)) {
			return
		}
		if !json.Valid(part) {
			t.Fatalf("%q of %q is %q", text, in, part)
		}
		if twice, _ := selection.Project(nil, part); string(twice) != string(part) {
			t.Fatalf("%q of %q is %q, then %q", text, in, part, twice)
		}
	})
}
