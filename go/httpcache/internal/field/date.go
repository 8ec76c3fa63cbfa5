// Dates (RFC 9110, 5.6.7).

package field

import (
	"net/http"
	"strings"
	"time"
)

// ParseDate parses an HTTP-date (RFC 9110, 5.6.7) in any of its three
// formats and returns it in seconds since 1970. Names are accepted in any case;
// beyond that nothing is forgiven: an invalid date must not make a response
// fresh. now resolves the two-digit years of RFC 850.
func ParseDate(s string, now int64) (int64, bool) {
	switch {
	case len(s) == 29 && s[3] == ',':
		return parseIMFDate(s)
	case len(s) == 24 && s[3] == ' ':
		return parseAsctime(s)
	default:
		return parseRFC850(s, now)
	}
}

// parseIMFDate parses "Sun, 06 Nov 1994 08:49:37 GMT".
func parseIMFDate(s string) (int64, bool) {
	var d dateParser
	d.weekday(s[:3], true)
	d.literal(s[3:5], ", ")
	d.day = d.digits(s[5:7])
	d.literal(s[7:8], " ")
	d.month(s[8:11])
	d.literal(s[11:12], " ")
	d.year = d.digits(s[12:16])
	d.literal(s[16:17], " ")
	d.clock(s[17:25])
	d.gmt(s[25:])
	return d.unix()
}

// parseRFC850 parses "Sunday, 06-Nov-94 08:49:37 GMT".
func parseRFC850(s string, now int64) (int64, bool) {
	comma := strings.IndexByte(s, ',')
	if comma < 0 || len(s)-comma != len(", 06-Nov-94 08:49:37 GMT") {
		return 0, false
	}
	var d dateParser
	d.weekday(s[:comma], false)
	s = s[comma:]
	d.literal(s[:2], ", ")
	d.day = d.digits(s[2:4])
	d.literal(s[4:5], "-")
	d.month(s[5:8])
	d.literal(s[8:9], "-")
	d.year = d.digits(s[9:11])
	d.literal(s[11:12], " ")
	d.clock(s[12:20])
	d.gmt(s[20:])

	// A date that appears to be more than 50 years ahead is in the past.
	current := time.Unix(now, 0).UTC().Year()
	d.year += current - current%100
	if d.year > current+50 {
		d.year -= 100
	}
	return d.unix()
}

// parseAsctime parses "Sun Nov  6 08:49:37 1994".
func parseAsctime(s string) (int64, bool) {
	var d dateParser
	d.weekday(s[:3], true)
	d.literal(s[3:4], " ")
	d.month(s[4:7])
	d.literal(s[7:8], " ")
	if s[8] == ' ' {
		d.day = d.digits(s[9:10])
	} else {
		d.day = d.digits(s[8:10])
	}
	d.literal(s[10:11], " ")
	d.clock(s[11:19])
	d.literal(s[19:20], " ")
	d.year = d.digits(s[20:24])
	return d.unix()
}

const months = "janfebmaraprmayjunjulaugsepoctnovdec"

var weekdays = [7]string{
	"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
}

// dateParser collects the parts of a date; any mismatch sets bad.
type dateParser struct {
	year, mon, day    int
	hour, minute, sec int
	bad               bool
}

func (d *dateParser) literal(s, want string) { d.bad = d.bad || s != want }

func (d *dateParser) gmt(s string) { d.bad = d.bad || !strings.EqualFold(s, " GMT") }

func (d *dateParser) digits(s string) int {
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			d.bad = true
			return 0
		}
		n = n*10 + int(s[i]-'0')
	}
	return n
}

// weekday checks the name of a day, but not that it is the right one.
func (d *dateParser) weekday(s string, short bool) {
	for _, day := range weekdays {
		if short {
			day = day[:3]
		}
		if strings.EqualFold(s, day) {
			return
		}
	}
	d.bad = true
}

func (d *dateParser) month(s string) {
	for i := 0; i < len(months); i += 3 {
		if strings.EqualFold(s, months[i:i+3]) {
			d.mon = i/3 + 1
			return
		}
	}
	d.bad = true
}

func (d *dateParser) clock(s string) {
	d.hour = d.digits(s[0:2])
	d.literal(s[2:3], ":")
	d.minute = d.digits(s[3:5])
	d.literal(s[5:6], ":")
	d.sec = d.digits(s[6:8])
}

func (d *dateParser) unix() (int64, bool) {
	if d.bad || d.hour > 23 || d.minute > 59 || d.sec > 60 || d.day < 1 {
		return 0, false
	}
	t := time.Date(d.year, time.Month(d.mon), d.day, d.hour, d.minute, min(d.sec, 59), 0, time.UTC)
	if t.Day() != d.day { // the 31st of a shorter month
		return 0, false
	}
	return t.Unix(), true
}

// FormatDate renders seconds since 1970 as an IMF-fixdate.
func FormatDate(unix int64) string {
	return time.Unix(unix, 0).UTC().Format(http.TimeFormat)
}
