package jsontext

import (
	"strings"
	"testing"
)

func TestValidIsBoundedInDepth(t *testing.T) {
	nest := func(n int) string { return strings.Repeat(`{"a":[`, n/2) + strings.Repeat(`]}`, n/2) }
	for text, want := range map[string]bool{
		`{}`: true, ` [1, "]]]]"] `: true, `"\"[[[["`: true, `{`: false, ``: false, `]`: false, `"\`: false,
		nest(MaxNesting):     true,
		nest(MaxNesting + 2): false,
		`"` + strings.Repeat("[", 2*MaxNesting) + `"`:                       true,
		strings.Repeat("]", MaxNesting) + strings.Repeat("[", 2*MaxNesting): false,
	} {
		if got := Valid([]byte(text)); got != want {
			t.Errorf("%.40q...: %v", text, got)
		}
	}
}

func TestShallow(t *testing.T) {
	for text, depth := range map[string]int{
		`[[[]]]`: 3, `{"a":[{"[":"]"}]}`: 3, `"[[["`: 0, `"\\"[`: 1, `"\"["`: 0, `[][][]`: 1, `]][[`: 2,
	} {
		if !shallow([]byte(text), depth) || depth > 0 && shallow([]byte(text), depth-1) {
			t.Errorf("%s is not found to be %d deep", text, depth)
		}
	}
}
