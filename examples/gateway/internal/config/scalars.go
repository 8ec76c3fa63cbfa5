package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// checkScalars looks at the durations and sizes of a file before it is decoded, because
// the decoder says neither where a wrong one stands nor what a right one looks like. What
// else is wrong with the file the decoder tells better.
func checkScalars(text []byte) error {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil
	}
	var p problems
	for _, document := range file.Docs {
		p.scalars(document.Body, reflect.TypeFor[Config](), "")
	}
	return errors.Join(p...)
}

// scalars checks a node that will be decoded into a type, and what is below it.
func (p *problems) scalars(node ast.Node, into reflect.Type, place string) {
	switch n := node.(type) {
	case *ast.AnchorNode:
		p.scalars(n.Value, into, place)
		return
	case *ast.TagNode:
		p.scalars(n.Value, into, place)
		return
	case *ast.MappingValueNode: // a mapping with one member
		p.member(n, indirect(into), place)
		return
	case *ast.MappingNode:
		for _, member := range n.Values {
			p.member(member, indirect(into), place)
		}
		return
	case *ast.SequenceNode:
		if into = indirect(into); into.Kind() == reflect.Slice {
			for i, element := range n.Values {
				p.scalars(element, into.Elem(), fmt.Sprintf("%s[%d]", place, i))
			}
		}
		return
	case ast.ScalarNode:
		p.scalar(n, indirect(into), place)
	}
}

func (p *problems) member(n *ast.MappingValueNode, into reflect.Type, place string) {
	key := n.Key.GetToken().Value
	inner := strings.TrimPrefix(place+"."+key, ".")
	switch into.Kind() {
	case reflect.Map:
		p.scalars(n.Value, into.Elem(), inner)
	case reflect.Struct:
		for i := range into.NumField() {
			if f := into.Field(i); f.Tag.Get("yaml") == key {
				p.scalars(n.Value, f.Type, inner)
			}
		}
	}
}

func (p *problems) scalar(n ast.ScalarNode, into reflect.Type, place string) {
	text := n.GetToken().Value
	var problem string
	switch into {
	case reflect.TypeFor[time.Duration]():
		if _, err := time.ParseDuration(text); err != nil || n.Type() != ast.StringType {
			problem = fmt.Sprintf("%q is no duration: write one such as 2s, 250ms or 5m", text)
		}
	case reflect.TypeFor[Size]():
		if _, err := ParseSize(text); err != nil {
			problem = err.Error()
		}
	}
	if problem != "" && n.Type() != ast.NullType {
		p.add(fmt.Sprintf("line %d, %s", n.GetToken().Position.Line, place), "%s", problem)
	}
}

func indirect(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}
