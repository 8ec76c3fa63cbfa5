// Package fields lets clients ask for a part of a JSON response:
//
//	/airports/CDG?fields=name,iata_code
//	/search?q=paris&fields=total,items.name
//
// A selection is a list of paths separated by commas, each a list of member
// names separated by dots. It is applied to every element of the arrays on its
// way. What is not there is left out.
package fields

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/larder-cache/larder/examples/gateway/internal/jsontext"
)

// Limits of a selection.
const (
	maxPaths = 64
	maxDepth = 8
	maxText  = 2048
	// maxNesting is how deep arrays and objects are looked into; what lies deeper stays as
	// it is. Each level reads its text anew, so without a bound the work would be quadratic:
	// a second for 20 KB of brackets.
	maxNesting = 64
)

// ErrSelection means that a selection is not one.
var ErrSelection = errors.New("fields must be up to 64 names separated by commas, with up to 8 parts separated by dots")

// Selection is a tree of member names. A nil value selects the whole member.
type Selection map[string]Selection

// Parse reads a selection.
func Parse(text string) (Selection, error) {
	if len(text) > maxText {
		return nil, ErrSelection
	}
	paths := strings.Split(text, ",")
	if len(paths) > maxPaths {
		return nil, ErrSelection
	}
	root := Selection{}
	for _, path := range paths {
		names := strings.Split(strings.TrimSpace(path), ".")
		if len(names) > maxDepth || slices.Contains(names, "") {
			return nil, ErrSelection
		}
		root.add(names)
	}
	return root, nil
}

func (s Selection) add(names []string) {
	sub, known := s[names[0]]
	switch {
	case known && sub == nil: // the whole member is selected already
	case len(names) == 1:
		s[names[0]] = nil
	default:
		if sub == nil {
			sub = Selection{}
			s[names[0]] = sub
		}
		sub.add(names[1:])
	}
}

// String writes the selection in its one canonical form, so that selections
// that mean the same are the same URL to a cache.
func (s Selection) String() string {
	var paths []string
	s.paths("", &paths)
	slices.Sort(paths)
	return strings.Join(paths, ",")
}

func (s Selection) paths(prefix string, out *[]string) {
	for name, sub := range s {
		if sub == nil {
			*out = append(*out, prefix+name)
		} else {
			sub.paths(prefix+name+".", out)
		}
	}
}

// Project appends the selected part of a JSON text. Numbers, strings and the
// order of members stay as they are written. ok is false if it is no JSON, or nested
// deeper than jsontext.MaxNesting.
func (s Selection) Project(dst, text []byte) (out []byte, ok bool) {
	if !jsontext.Valid(text) {
		return dst, false
	}
	return s.project(dst, gjson.ParseBytes(text), 0), true
}

func (s Selection) project(dst []byte, value gjson.Result, depth int) []byte {
	open, end := byte('{'), byte('}')
	switch {
	case depth > maxNesting:
		return append(dst, value.Raw...)
	case value.IsArray():
		open, end = '[', ']'
	case !value.IsObject():
		return append(dst, value.Raw...) // nothing to select from
	}
	array := open == '['
	dst = append(dst, open)
	first := true
	value.ForEach(func(key, member gjson.Result) bool {
		sub := s
		if !array {
			var selected bool
			if sub, selected = s[key.String()]; !selected {
				return true
			}
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		if !array {
			dst = append(dst, key.Raw...)
			dst = append(dst, ':')
		}
		if sub == nil {
			dst = append(dst, member.Raw...)
		} else {
			dst = sub.project(dst, member, depth+1)
		}
		return true
	})
	return append(dst, end)
}

// Split takes the parameter "fields" out of a query and leaves the rest as it
// is written. given is false if it is not there.
func Split(rawQuery string) (rest, fields string, given bool) {
	if !strings.Contains(rawQuery, "fields") {
		return rawQuery, "", false
	}
	var kept []string
	for part := range strings.SplitSeq(rawQuery, "&") {
		name, value, _ := strings.Cut(part, "=")
		if name != "fields" {
			kept = append(kept, part)
			continue
		}
		text, err := url.QueryUnescape(value)
		if err != nil {
			text = "," // no selection: Parse refuses it
		}
		if given {
			fields += ","
		}
		fields += text
		given = true
	}
	return strings.Join(kept, "&"), fields, given
}
