// Package jsontext looks at JSON from elsewhere before any parser does.
package jsontext

import "github.com/tidwall/gjson"

// MaxNesting is how deep arrays and objects may lie in each other in a text that is taken
// for JSON here. Parsers call themselves for each level, so what is nested deep enough, by
// whoever writes what an upstream gives back, exhausts the stack, and with it the process.
const MaxNesting = 1000

// Valid tells whether a text is JSON that is nested no deeper than MaxNesting.
func Valid(text []byte) bool { return shallow(text, MaxNesting) && gjson.ValidBytes(text) }

// shallow tells whether brackets outside of strings are nested at most limit deep. It is one
// pass without recursion, and takes any text.
func shallow(text []byte, limit int) bool {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			if depth++; depth > limit {
				return false
			}
		case '}', ']':
			depth = max(0, depth-1)
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		}
	}
	return true
}
