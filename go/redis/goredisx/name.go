package goredisx

import (
	"strconv"
	"strings"

	"github.com/larder-cache/larder/go/redis/internal/nearcache"
)

// go-redis names what it caches by a scope (database and user), and the command as it goes over the
// wire; keys of the server have the same scope before them. Nearly all commands have their key as
// their first argument, so that the name of a reply tells the key it depends on.

// getCommand stands for "get" of the key: shorter, and not a beginning of any command on the wire.
const getCommand = "get"

// getHead is how GET of a key goes over the wire, up to the length of the key.
const getHead = "*2\r\n$3\r\nget\r\n"

// scopeOf is what go-redis puts before the names of a database and a user.
func scopeOf(db int, username string) string {
	return strconv.Itoa(db) + "\x00" + strconv.Itoa(len(username)) + ":" + username + "\x00"
}

// scopeLen is the length of the scope that a name begins with.
func scopeLen(name string) (int, bool) {
	_, at, ok := number(name, 0, 0)
	if !ok {
		return 0, false
	}
	user, at, ok := number(name, at, ':')
	if !ok || user >= len(name)-at || name[at+user] != 0 {
		return 0, false
	}
	return at + user + 1, true
}

// number reads the decimal number at a place, of at most nine digits, and says where what follows
// its end is. It takes numbers only as they are commonly written: so that a name that is put
// together again is the same.
func number(text string, at int, end byte) (n, next int, ok bool) {
	begin := at
	for ; at < len(text); at++ {
		digit := text[at] - '0'
		if digit > 9 {
			digits := at - begin
			ok = text[at] == end && digits > 0 && digits < 10 && (digits == 1 || text[begin] != '0')
			return n, at + 1, ok
		}
		n = 10*n + int(digit)
	}
	return 0, 0, false
}

// line is the number in the line that begins at a place of a command, after the kind of line, and
// where the next one begins.
func line(command string, at int, kind byte) (n, next int, ok bool) {
	if at >= len(command) || command[at] != kind {
		return 0, 0, false
	}
	n, at, ok = number(command, at+1, '\r')
	if !ok || at >= len(command) || command[at] != '\n' {
		return 0, 0, false
	}
	return n, at + 1, true
}

// narrow takes the name of a reply apart, if its command's first argument may be its one key.
func narrow(name string, area uint32) (n nearcache.Name, ok bool) {
	scope, ok := scopeLen(name)
	if !ok {
		return n, false
	}
	arguments, at, ok := line(name, scope, '*')
	if !ok || arguments < 2 {
		return n, false
	}
	word, at, ok := line(name, at, '$')
	if !ok || word > len(name)-at-2 {
		return n, false
	}
	before := at + word + 2
	key, at, ok := line(name, before, '$')
	if !ok || key > len(name)-at-2 {
		return n, false
	}
	n.Area, n.Prefix, n.Key = area, name[:scope], name[at:at+key]
	n.Head, n.Tail = name[scope:before], name[at+key:]
	if n.Head == getHead && n.Tail == "\r\n" {
		n.Head, n.Tail = getCommand, ""
	}
	return n, true
}

// beginning is what the names of GET begin with in one scope: nearly all names that a cache sees
// have the same, and needn't be read number by number.
type beginning struct {
	text  string
	scope int // bytes of it
}

// beginningOf is the beginning that a name has, nil if it isn't that of a GET.
func beginningOf(n *nearcache.Name) *beginning {
	if n.Head != getCommand {
		return nil
	}
	return &beginning{n.Prefix + getHead, len(n.Prefix)}
}

// narrow is what the function of that name says of a name that begins so; false of all others.
func (b *beginning) narrow(name string, area uint32) (n nearcache.Name, ok bool) {
	if b == nil || !strings.HasPrefix(name, b.text) {
		return n, false
	}
	key, at, ok := line(name, len(b.text), '$')
	if !ok || len(name) != at+key+2 || name[at+key:] != "\r\n" {
		return n, false
	}
	n.Area, n.Prefix, n.Key, n.Head = area, name[:b.scope], name[at:at+key], getCommand
	return n, true
}

// depends reports whether a reply of that name depends on these keys: its one.
func depends(n *nearcache.Name, keys []string) bool {
	if len(keys) != 1 {
		return false
	}
	key := keys[0]
	return len(key) == len(n.Prefix)+len(n.Key) &&
		key[:len(n.Prefix)] == n.Prefix && key[len(n.Prefix):] == n.Key
}
