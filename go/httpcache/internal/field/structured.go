// Structured Fields (RFC 9651): the dictionaries of RFC 9213 and the lists of RFC 9875.
// Syntax is checked in full, since a field that fails to parse must be ignored as a whole;
// parameters are then dropped, as neither specification gives any a meaning.

package field

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

// MaxMembers is how many members of a dictionary are accepted; RFC 9651 asks for
// 1024.
const MaxMembers = 1024

var errStructured = errors.New("invalid structured field")

// Kind is the type of a bare item (RFC 9651, 3.3), or InnerList.
type Kind uint8

// The types.
const (
	Integer Kind = iota
	Decimal
	String
	Token
	Bytes
	Boolean
	Date
	Display
	InnerList
)

// Item is a member's value without its parameters.
type Item struct {
	Kind Kind
	Num  int64  // of integers, booleans (0 or 1) and dates
	Text string // of strings and tokens
}

// Member is a key of a Dictionary and what it is set to.
type Member struct {
	Key   string
	Value Item
}

// ParseDictionary parses a Dictionary. A key that appears again replaces the
// earlier value, in its place.
func ParseDictionary(s string) ([]Member, error) {
	p := sfParser{s: strings.Trim(s, " ")}
	var members []Member
	for p.s != "" {
		key, err := p.key()
		if err != nil {
			return nil, err
		}
		value := Item{Kind: Boolean, Num: 1}
		if p.take('=') {
			value, err = p.itemOrList()
		} else {
			err = p.parameters()
		}
		if err != nil {
			return nil, err
		}
		if members = setMember(members, key, value); len(members) > MaxMembers {
			return nil, errStructured
		}
		if err := p.comma(); err != nil {
			return nil, err
		}
	}
	return members, nil
}

func setMember(members []Member, key string, value Item) []Member {
	for i := range members {
		if members[i].Key == key {
			members[i].Value = value
			return members
		}
	}
	return append(members, Member{key, value})
}

// ParseStringList parses a List whose members must all be Strings.
func ParseStringList(s string) ([]string, error) {
	p := sfParser{s: strings.Trim(s, " ")}
	var out []string
	for p.s != "" {
		item, err := p.itemOrList()
		if err != nil {
			return nil, err
		}
		if item.Kind != String {
			return nil, errStructured
		}
		out = append(out, item.Text)
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

// IsDigit reports whether c is an ASCII digit.
func IsDigit(c byte) bool { return '0' <= c && c <= '9' }

func (p *sfParser) key() (string, error) {
	n := 0
	for n < len(p.s) {
		c := p.s[n]
		first := isLower(c) || c == '*'
		if !first && (n == 0 || !IsDigit(c) && c != '_' && c != '-' && c != '.') {
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

func (p *sfParser) itemOrList() (Item, error) {
	if p.take('(') {
		return p.innerList()
	}
	item, err := p.bareItem()
	if err == nil {
		err = p.parameters()
	}
	return item, err
}

func (p *sfParser) innerList() (Item, error) {
	for {
		p.s = strings.TrimLeft(p.s, " ")
		if p.take(')') {
			return Item{Kind: InnerList}, p.parameters()
		}
		if _, err := p.bareItem(); err != nil {
			return Item{}, err
		}
		if err := p.parameters(); err != nil {
			return Item{}, err
		}
		if p.s == "" || p.s[0] != ' ' && p.s[0] != ')' {
			return Item{}, errStructured
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

func (p *sfParser) bareItem() (Item, error) {
	if p.s == "" {
		return Item{}, errStructured
	}
	switch c := p.s[0]; {
	case c == '-' || IsDigit(c):
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
		if err == nil && item.Kind != Integer {
			err = errStructured
		}
		item.Kind = Date
		return item, err
	case c == '%':
		return p.display()
	case c == '*' || isLower(Lower(c)):
		n := 1
		for n < len(p.s) && (tokenChars[p.s[n]] || p.s[n] == ':' || p.s[n] == '/') {
			n++
		}
		item := Item{Kind: Token, Text: p.s[:n]}
		p.s = p.s[n:]
		return item, nil
	}
	return Item{}, errStructured
}

// number parses an Integer of up to 15 digits or a Decimal of up to 12 and 3.
func (p *sfParser) number() (Item, error) {
	n := 0
	if p.s != "" && p.s[0] == '-' {
		n++
	}
	start := n
	for n < len(p.s) && IsDigit(p.s[n]) {
		n++
	}
	whole := n - start
	if whole == 0 || whole > 15 {
		return Item{}, errStructured
	}
	if n < len(p.s) && p.s[n] == '.' {
		n++
		fraction := n
		for n < len(p.s) && IsDigit(p.s[n]) {
			n++
		}
		if whole > 12 || n == fraction || n-fraction > 3 {
			return Item{}, errStructured
		}
		p.s = p.s[n:]
		return Item{Kind: Decimal}, nil
	}
	v, err := strconv.ParseInt(p.s[:n], 10, 64)
	if err != nil {
		return Item{}, errStructured
	}
	p.s = p.s[n:]
	return Item{Kind: Integer, Num: v}, nil
}

func (p *sfParser) str() (Item, error) {
	var b strings.Builder
	for i := 1; i < len(p.s); i++ {
		switch c := p.s[i]; {
		case c == '"':
			p.s = p.s[i+1:]
			return Item{Kind: String, Text: b.String()}, nil
		case c == '\\':
			i++
			if i == len(p.s) || p.s[i] != '"' && p.s[i] != '\\' {
				return Item{}, errStructured
			}
			b.WriteByte(p.s[i])
		case c < 0x20 || c > 0x7e:
			return Item{}, errStructured
		default:
			b.WriteByte(c)
		}
	}
	return Item{}, errStructured
}

func (p *sfParser) bytes() (Item, error) {
	end := strings.IndexByte(p.s[1:], ':')
	if end < 0 {
		return Item{}, errStructured
	}
	enc := strings.TrimRight(p.s[1:1+end], "=")
	if _, err := base64.RawStdEncoding.DecodeString(enc); err != nil {
		return Item{}, errStructured
	}
	p.s = p.s[end+2:]
	return Item{Kind: Bytes}, nil
}

func (p *sfParser) boolean() (Item, error) {
	if len(p.s) < 2 || p.s[1] != '0' && p.s[1] != '1' {
		return Item{}, errStructured
	}
	item := Item{Kind: Boolean, Num: int64(p.s[1] - '0')}
	p.s = p.s[2:]
	return item, nil
}

// display passes over a Display String: percent-encoded UTF-8 in quotes.
func (p *sfParser) display() (Item, error) {
	if !strings.HasPrefix(p.s, `%"`) {
		return Item{}, errStructured
	}
	for i := 2; i < len(p.s); i++ {
		switch c := p.s[i]; {
		case c == '"':
			p.s = p.s[i+1:]
			return Item{Kind: Display}, nil
		case c == '%':
			if i+2 >= len(p.s) || !isLowerHex(p.s[i+1]) || !isLowerHex(p.s[i+2]) {
				return Item{}, errStructured
			}
			i += 2
		case c < 0x20 || c > 0x7e:
			return Item{}, errStructured
		}
	}
	return Item{}, errStructured
}

func isLowerHex(c byte) bool { return IsDigit(c) || 'a' <= c && c <= 'f' }
