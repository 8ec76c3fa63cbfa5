package httpcache

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/larder-cache/larder/go/httpcache/internal/field"
)

// RFC 9110, 14 Range Requests, answered from stored responses (RFC 9111, 3.3
// and 3.4 say when they may be).

// byteRange is a range of positions, both included.
type byteRange struct{ first, last int64 }

func (r byteRange) length() int64 { return r.last - r.first + 1 }

type rangeResult uint8

const (
	rangeIgnored       rangeResult = iota // answer with the whole
	rangeOK                               // answer with the range
	rangeUnsatisfiable                    // answer with 416
)

// parseRange reads a Range field against a representation of total bytes.
// Units other than bytes, malformed fields and several ranges are ignored,
// which every client must be prepared for (section 14.2).
func parseRange(lines []string, total int64) (byteRange, rangeResult) {
	if len(lines) != 1 {
		return byteRange{}, rangeIgnored
	}
	unit, spec, ok := strings.Cut(lines[0], "=")
	if !ok || !strings.EqualFold(field.TrimOWS(unit), "bytes") {
		return byteRange{}, rangeIgnored
	}
	first, last, ok := strings.Cut(field.TrimOWS(spec), "-")
	if !ok || strings.Contains(spec, ",") {
		return byteRange{}, rangeIgnored
	}
	first, last = field.TrimOWS(first), field.TrimOWS(last)
	if first == "" {
		n, ok := parsePosition(last)
		switch {
		case !ok:
			return byteRange{}, rangeIgnored
		case n == 0 || total == 0:
			return byteRange{}, rangeUnsatisfiable
		}
		return byteRange{total - min(n, total), total - 1}, rangeOK
	}
	r := byteRange{last: total - 1}
	if r.first, ok = parsePosition(first); !ok {
		return byteRange{}, rangeIgnored
	}
	if last != "" {
		n, ok := parsePosition(last)
		if !ok || n < r.first {
			return byteRange{}, rangeIgnored
		}
		r.last = min(n, total-1)
	}
	if r.first >= total {
		return byteRange{}, rangeUnsatisfiable
	}
	return r, rangeOK
}

// parsePosition parses digits; values beyond any body are cut to a bound.
func parsePosition(s string) (int64, bool) {
	const bound = 1 << 59 // ten times as much is an int64 yet
	if s == "" {
		return 0, false
	}
	var v int64
	for i := 0; i < len(s); i++ {
		if !field.IsDigit(s[i]) {
			return 0, false
		}
		if v < bound {
			v = v*10 + int64(s[i]-'0')
		}
	}
	return min(v, bound), true
}

// rangeApplies evaluates If-Range (RFC 9110, 13.1.5): a strong entity tag must
// be equal, a date must be that of a Last-Modified that is strong, being at
// least a second older than Date (8.8.2.2).
func rangeApplies(e *entry, info *requestInfo, h http.Header, now int64) bool {
	if info.has&hasIfRange == 0 {
		return true
	}
	lines := h["If-Range"]
	if len(lines) != 1 {
		return false
	}
	if v := lines[0]; strings.HasPrefix(v, `"`) || strings.HasPrefix(v, "W/") {
		return v == e.strongETag()
	}
	date, ok := field.ParseDate(lines[0], now/1000)
	return ok && e.lastModified == date && e.date-date >= 1
}

// contentRange is a parsed Content-Range of bytes; total is -1 if unknown.
type contentRange struct {
	byteRange
	total int64
}

// parseContentRange parses "bytes 0-9/100" or "bytes 0-9/*" (section 14.4).
func parseContentRange(lines []string) (c contentRange, ok bool) {
	if len(lines) != 1 {
		return c, false
	}
	unit, rest, found := strings.Cut(lines[0], " ")
	if !found || !strings.EqualFold(unit, "bytes") {
		return c, false
	}
	span, total, found := strings.Cut(rest, "/")
	if !found {
		return c, false
	}
	first, last, found := strings.Cut(span, "-")
	if !found {
		return c, false
	}
	var ok1, ok2 bool
	c.first, ok1 = parsePosition(first)
	c.last, ok2 = parsePosition(last)
	if !ok1 || !ok2 || c.last < c.first {
		return c, false
	}
	c.total = -1
	if total != "*" {
		if c.total, ok = parsePosition(total); !ok || c.total <= c.last {
			return c, false
		}
	}
	return c, true
}

func formatContentRange(r byteRange, total int64) string {
	size := "*"
	if total >= 0 {
		size = strconv.FormatInt(total, 10)
	}
	return "bytes " + strconv.FormatInt(r.first, 10) + "-" + strconv.FormatInt(r.last, 10) + "/" + size
}

// selectRange finds the bytes of an entry that answer the request's Range. The
// entry is a whole response with status 200, or a part; of a part only ranges
// within it can be answered.
func selectRange(e *entry, info *requestInfo, r *http.Request, now int64) (byteRange, rangeResult) {
	if r.Method != http.MethodGet || info.has&hasRange == 0 || !rangeApplies(e, info, r.Header, now) {
		return byteRange{}, rangeIgnored
	}
	total := int64(len(e.body))
	if !e.isWhole() {
		if e.total < 0 && !absolute(r.Header["Range"]) {
			return byteRange{}, rangeIgnored
		}
		total = e.total
		if total < 0 {
			total = e.first + int64(len(e.body))
		}
	} else if e.status != http.StatusOK {
		return byteRange{}, rangeIgnored
	}
	br, result := parseRange(r.Header["Range"], total)
	if !e.isWhole() && (result != rangeOK || br.first < e.first || br.last >= e.first+int64(len(e.body))) {
		return byteRange{}, rangeIgnored
	}
	return br, result
}

// absolute reports whether a range gives both of its positions, so that it can
// be found in a part of a representation of unknown length.
func absolute(lines []string) bool {
	if len(lines) != 1 {
		return false
	}
	_, spec, _ := strings.Cut(lines[0], "=")
	first, last, _ := strings.Cut(spec, "-")
	return field.TrimOWS(first) != "" && field.TrimOWS(last) != ""
}
