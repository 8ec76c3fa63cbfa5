package httpcache

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

// This file parses Structured Fields (RFC 9651): the dictionaries of RFC 9213
// and the lists of RFC 9875. Syntax is checked in full, since a field that
// fails to parse must be ignored as a whole; parameters are then dropped, as
// neither specification gives any a meaning.

// maxMembers is how many members of a dictionary are accepted; RFC 9651 asks for
// 1024.
const maxMembers = 1024

var errStructured = errors.New("httpcache: invalid structured field")

// sfKind is the type of a bare item.
type sfKind uint8

const (
	sfInteger sfKind = iota
	sfDecimal
	sfString
	sfToken
	sfBytes
	sfBoolean
	sfDate
	sfDisplay
	sfInnerList
)

// sfItem is a member's value without its parameters.
type sfItem struct {
	kind sfKind
	num  int64  // of integers, booleans (0 or 1) and dates
	text string // of strings and tokens
}

type sfMember struct {
	key   string
	value sfItem
}

// parseDictionary parses a Dictionary. A key that appears again replaces the
// earlier value, in its place.
func parseDictionary(s string) ([]sfMember, error) {
	p := sfParser{s: strings.Trim(s, " ")}
	var members []sfMember
	for p.s != "" {
		key, err := p.key()
		if err != nil {
			return nil, err
		}
		value := sfItem{kind: sfBoolean, num: 1}
		if p.take('=') {
			value, err = p.itemOrList()
		} else {
			err = p.parameters()
		}
		if err != nil {
			return nil, err
		}
		if members = setMember(members, key, value); len(members) > maxMembers {
			return nil, errStructured
		}
		if err := p.comma(); err != nil {
			return nil, err
		}
	}
	return members, nil
}

func setMember(members []sfMember, key string, value sfItem) []sfMember {
	for i := range members {
		if members[i].key == key {
			members[i].value = value
			return members
		}
	}
	return append(members, sfMember{key, value})
}

// parseStringList parses a List whose members must all be Strings.
func parseStringList(s string) ([]string, error) {
	p := sfParser{s: strings.Trim(s, " ")}
	var out []string
	for p.s != "" {
		item, err := p.itemOrList()
		if err != nil {
			return nil, err
		}
		if item.kind != sfString {
			return nil, errStructured
		}
		out = append(out, item.text)
		if err := p.comma(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// sfParser consumes its string from the front.
type sfParser struct{ s string }

func (p *sfParser) take(c byte) bool {
	if p.s == "" || p.s[0] != c {
		return false
	}
	p.s = p.s[1:]
	return true
}

// comma passes over the separator of members; another member must follow it.
func (p *sfParser) comma() error {
	p.s = strings.TrimLeft(p.s, " \t")
	if p.s == "" {
		return nil
	}
	if !p.take(',') {
		return errStructured
	}
	p.s = strings.TrimLeft(p.s, " \t")
	if p.s == "" {
		return errStructured
	}
	return nil
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func (p *sfParser) key() (string, error) {
	n := 0
	for n < len(p.s) {
		c := p.s[n]
		first := isLower(c) || c == '*'
		if !first && (n == 0 || !isDigit(c) && c != '_' && c != '-' && c != '.') {
			break
		}
		n++
	}
	key := p.s[:n]
	p.s = p.s[n:]
	if n == 0 {
		return "", errStructured
	}
	return key, nil
}

func (p *sfParser) itemOrList() (sfItem, error) {
	if p.take('(') {
		return p.innerList()
	}
	item, err := p.bareItem()
	if err == nil {
		err = p.parameters()
	}
	return item, err
}

func (p *sfParser) innerList() (sfItem, error) {
	for {
		p.s = strings.TrimLeft(p.s, " ")
		if p.take(')') {
			return sfItem{kind: sfInnerList}, p.parameters()
		}
		if _, err := p.bareItem(); err != nil {
			return sfItem{}, err
		}
		if err := p.parameters(); err != nil {
			return sfItem{}, err
		}
		if p.s == "" || p.s[0] != ' ' && p.s[0] != ')' {
			return sfItem{}, errStructured
		}
	}
}

func (p *sfParser) parameters() error {
	for p.take(';') {
		p.s = strings.TrimLeft(p.s, " ")
		if _, err := p.key(); err != nil {
			return err
		}
		if p.take('=') {
			if _, err := p.bareItem(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *sfParser) bareItem() (sfItem, error) {
	if p.s == "" {
		return sfItem{}, errStructured
	}
	switch c := p.s[0]; {
	case c == '-' || isDigit(c):
		return p.number()
	case c == '"':
		return p.str()
	case c == ':':
		return p.bytes()
	case c == '?':
		return p.boolean()
	case c == '@':
		p.s = p.s[1:]
		item, err := p.number()
		if err == nil && item.kind != sfInteger {
			err = errStructured
		}
		item.kind = sfDate
		return item, err
	case c == '%':
		return p.display()
	case c == '*' || isLower(lower(c)):
		n := 1
		for n < len(p.s) && (tokenChars[p.s[n]] || p.s[n] == ':' || p.s[n] == '/') {
			n++
		}
		item := sfItem{kind: sfToken, text: p.s[:n]}
		p.s = p.s[n:]
		return item, nil
	}
	return sfItem{}, errStructured
}

// number parses an Integer of up to 15 digits or a Decimal of up to 12 and 3.
func (p *sfParser) number() (sfItem, error) {
	n := 0
	if p.s != "" && p.s[0] == '-' {
		n++
	}
	start := n
	for n < len(p.s) && isDigit(p.s[n]) {
		n++
	}
	whole := n - start
	if whole == 0 || whole > 15 {
		return sfItem{}, errStructured
	}
	if n < len(p.s) && p.s[n] == '.' {
		n++
		fraction := n
		for n < len(p.s) && isDigit(p.s[n]) {
			n++
		}
		if whole > 12 || n == fraction || n-fraction > 3 {
			return sfItem{}, errStructured
		}
		p.s = p.s[n:]
		return sfItem{kind: sfDecimal}, nil
	}
	v, err := strconv.ParseInt(p.s[:n], 10, 64)
	if err != nil {
		return sfItem{}, errStructured
	}
	p.s = p.s[n:]
	return sfItem{kind: sfInteger, num: v}, nil
}

func (p *sfParser) str() (sfItem, error) {
	var b strings.Builder
	for i := 1; i < len(p.s); i++ {
		switch c := p.s[i]; {
		case c == '"':
			p.s = p.s[i+1:]
			return sfItem{kind: sfString, text: b.String()}, nil
		case c == '\\':
			i++
			if i == len(p.s) || p.s[i] != '"' && p.s[i] != '\\' {
				return sfItem{}, errStructured
			}
			b.WriteByte(p.s[i])
		case c < 0x20 || c > 0x7e:
			return sfItem{}, errStructured
		default:
			b.WriteByte(c)
		}
	}
	return sfItem{}, errStructured
}

func (p *sfParser) bytes() (sfItem, error) {
	end := strings.IndexByte(p.s[1:], ':')
	if end < 0 {
		return sfItem{}, errStructured
	}
	enc := strings.TrimRight(p.s[1:1+end], "=")
	if _, err := base64.RawStdEncoding.DecodeString(enc); err != nil {
		return sfItem{}, errStructured
	}
	p.s = p.s[end+2:]
	return sfItem{kind: sfBytes}, nil
}

func (p *sfParser) boolean() (sfItem, error) {
	if len(p.s) < 2 || p.s[1] != '0' && p.s[1] != '1' {
		return sfItem{}, errStructured
	}
	item := sfItem{kind: sfBoolean, num: int64(p.s[1] - '0')}
	p.s = p.s[2:]
	return item, nil
}

// display passes over a Display String: percent-encoded UTF-8 in quotes.
func (p *sfParser) display() (sfItem, error) {
	if !strings.HasPrefix(p.s, `%"`) {
		return sfItem{}, errStructured
	}
	for i := 2; i < len(p.s); i++ {
		switch c := p.s[i]; {
		case c == '"':
			p.s = p.s[i+1:]
			return sfItem{kind: sfDisplay}, nil
		case c == '%':
			if i+2 >= len(p.s) || !isLowerHex(p.s[i+1]) || !isLowerHex(p.s[i+2]) {
				return sfItem{}, errStructured
			}
			i += 2
		case c < 0x20 || c > 0x7e:
			return sfItem{}, errStructured
		}
	}
	return sfItem{}, errStructured
}

func isLowerHex(c byte) bool { return isDigit(c) || 'a' <= c && c <= 'f' }
