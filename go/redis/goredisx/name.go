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
	db := strings.IndexByte(name, 0)
	if db < 0 {
		return 0, false
	}
	digits := strings.IndexByte(name[db+1:], ':')
	if digits < 0 {
		return 0, false
	}
	user := db + 1 + digits + 1
	n, ok := number(name[db+1 : user-1])
	if !ok || n >= len(name)-user || name[user+n] != 0 {
		return 0, false
	}
	return user + n + 1, true
}

// number reads a decimal number of at most nine digits, and only as it is commonly written: so
// that a name that is put together again is the same.
func number(text string) (n int, ok bool) {
	if len(text) == 0 || len(text) > 9 || text[0] == '0' && len(text) > 1 {
		return 0, false
	}
	for i := range len(text) {
		digit := text[i] - '0'
		if digit > 9 {
			return 0, false
		}
		n = 10*n + int(digit)
	}
	return n, true
}

// line is the number in the line that begins at a place of a command, after the kind of line, and
// where the next one begins.
func line(command string, at int, kind byte) (n, next int, ok bool) {
	if at >= len(command) || command[at] != kind {
		return 0, 0, false
	}
	end := strings.IndexByte(command[at:], '\r')
	if end < 0 || at+end+2 > len(command) || command[at+end+1] != '\n' {
		return 0, 0, false
	}
	n, ok = number(command[at+1 : at+end])
	return n, at + end + 2, ok
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

// depends reports whether a reply of that name depends on these keys: its one.
func depends(n *nearcache.Name, keys []string) bool {
	if len(keys) != 1 {
		return false
	}
	key := keys[0]
	return len(key) == len(n.Prefix)+len(n.Key) &&
		key[:len(n.Prefix)] == n.Prefix && key[len(n.Prefix):] == n.Key
}
