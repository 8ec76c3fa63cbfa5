package rueidisx

import "strings"

// Cached reports whether replies of a command are cached, by the name that rueidis gives it: the
// command and its arguments but for the key, joined without anything between. They are if no
// other command that rueidis caches can have the name, arguments that a server refuses aside:
//
//   - commands of a key alone: GET, HGETALL, SMEMBERS, TTL and the like; also MGET, which is a GET
//     of each key;
//   - commands with one more argument: HGET, SISMEMBER, ZSCORE, LINDEX and the like;
//   - commands with two integers that the name can be divided into in one way only: LRANGE k 0 -1
//     is LRANGE0-1, but LRANGE k 1 23 could be LRANGE k 12 3.
//
// One name is left to two: HGET k ALL is called what HGETALL k is called. Attach keeps the former
// past the cache.
func Cached(name string) bool {
	switch name {
	case "GET", "STRLEN", "HGETALL", "HKEYS", "HVALS", "HLEN", "LLEN", "SCARD", "SMEMBERS", "ZCARD",
		"TYPE", "TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME":
		return true
	}
	for _, command := range oneArgument {
		if strings.HasPrefix(name, command) {
			return true
		}
	}
	for _, command := range twoIntegers {
		if rest, ok := strings.CutPrefix(name, command); ok {
			return divisions(rest) == 1
		}
	}
	return false
}

// None of these, nor of those above, begins like one of these: but for HGET.
var (
	oneArgument = []string{"HGET", "HEXISTS", "HSTRLEN", "SISMEMBER", "ZSCORE", "LINDEX", "GETBIT"}
	twoIntegers = []string{"GETRANGE", "LRANGE", "ZREVRANGE", "ZRANGE"}
)

// divisions is in how many ways a text can be divided into two integers.
func divisions(text string) int {
	ways := 0
	for i := 1; i < len(text); i++ {
		if integer(text[:i]) && integer(text[i:]) {
			ways++
		}
	}
	return ways
}

// integer reports whether a server takes a text for an integer: no plus, no zeros before it.
func integer(text string) bool {
	digits := strings.TrimPrefix(text, "-")
	if text == "0" {
		return true
	}
	if digits == "" || digits[0] == '0' {
		return false
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return false
		}
	}
	return true
}
