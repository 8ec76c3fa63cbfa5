package httpcache

import (
	"net/http"
	"strings"

	"github.com/larder-cache/larder/go/httpcache/internal/field"
)

// RFC 9875, HTTP Cache Groups.

// appendGroups appends the hashes of the groups that a response of origin
// belongs to (section 2). A field that does not parse is ignored.
func appendGroups(dst []uint64, origin string, lines []string) []uint64 {
	if len(lines) == 0 {
		return dst
	}
	groups, err := field.ParseStringList(strings.Join(lines, ", "))
	if err != nil {
		return dst
	}
	for _, g := range groups {
		dst = append(dst, groupTag(origin, g))
	}
	return dst
}

// groupTag identifies a group; groups of different origins are different
// (section 2.1).
func groupTag(origin, group string) uint64 { return hashTag("g" + origin + "\x00" + group) }

// invalidateGroups obeys the Cache-Group-Invalidation field of a response to an
// unsafe method (section 3), before the response is passed on.
func (c *Cache) invalidateGroups(origin string, h http.Header) {
	lines := h["Cache-Group-Invalidation"]
	if len(lines) == 0 {
		return
	}
	groups, err := field.ParseStringList(strings.Join(lines, ", "))
	if err != nil {
		return
	}
	for _, g := range groups {
		c.shared.purges.purgeTag(groupTag(origin, g), Hard)
		c.told(orderGroup, Hard, origin+"\x00"+g)
	}
}
