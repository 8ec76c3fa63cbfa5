package httpcache

import (
	"net/http"
	"time"

	"github.com/larder-cache/larder/go/httpcache/internal/field"
)

// Directives are what the fields of a response tell a shared cache that obeys certain
// targeted fields: for those who make responses of other responses, and must not promise more
// than those did. It is a value; methods may be called by any number of goroutines.
type Directives struct {
	// Present: there is at least one directive, known or not.
	Present bool
	// Targeted: they are those of a targeted field (RFC 9213), and Cache-Control and Expires
	// count for nothing.
	Targeted bool
	// Malformed: a member breaks the grammar. It grants nothing; what it seems to forbid is
	// forbidden.
	Malformed bool

	// NoStore: with MustUnderstand it counts only for statuses that are not understood, see
	// Storable.
	NoStore         bool
	NoCache         bool // of the whole response
	Private         bool // of the whole response
	Public          bool
	MustRevalidate  bool
	ProxyRevalidate bool
	MustUnderstand  bool

	// StaleWhileRevalidate and StaleIfError are the windows (RFC 5861) that the response
	// states; negative if it states none.
	StaleWhileRevalidate time.Duration
	StaleIfError         time.Duration

	// Unstored names the fields that no-cache="..." and private="..." keep from being given
	// to anyone but the request that fetched them.
	Unstored []string

	// Explicit: the response states its lifetime, by max-age, s-maxage or Expires.
	Explicit bool

	lifetime int64 // ms
	age      int64 // ms at received
	received time.Time
	shared   bool
}

// ResponseDirectives reads the fields of a response, received now, as the cache does when it
// decides about storing: the first valid one of the targeted fields, or else Cache-Control,
// and Expires, Date and Age. nil stands for the fields that a Cache obeys by default.
func ResponseDirectives(h http.Header, targeted []string) Directives {
	return responseDirectives(h, targeted, time.Now())
}

func responseDirectives(h http.Header, targeted []string, now time.Time) Directives {
	targeted = Options{TargetedFields: targeted}.withDefaults().TargetedFields
	f, isTargeted := effectiveDirectives(h, targeted)
	ms := now.UnixMilli()
	date := now.Unix()
	if lines := h["Date"]; len(lines) > 0 {
		if t, ok := field.ParseDate(lines[0], date); ok {
			date = t
		}
	}
	d := Directives{
		Present: f.Present, Targeted: isTargeted, Malformed: f.Malformed,
		NoStore: f.NoStore, NoCache: f.NoCache, Private: f.Private, Public: f.Public,
		MustRevalidate: f.MustRevalidate, ProxyRevalidate: f.ProxyRevalidate,
		MustUnderstand:       f.MustUnderstand,
		StaleWhileRevalidate: statedWindow(f.StaleWhileRevalidate),
		StaleIfError:         statedWindow(f.StaleIfError),
		Unstored:             append(f.NoCacheFields, f.PrivateFields...),
		age:                  initialAge(h, date, ms, 0),
		received:             now,
		shared:               allowsAuthorization(&f),
	}
	d.lifetime, d.Explicit = lifetime(&f, isTargeted, h, date, now.Unix())
	return d
}

func statedWindow(seconds int64) time.Duration {
	if seconds == field.Absent {
		return -1
	}
	return min(time.Duration(max(seconds, 0))*time.Second, maxWindow)
}

// Lifetime returns for how long after now the response is fresh for a shared cache: its
// lifetime less its age. Zero if it is stale, says no-cache, or states no lifetime.
func (d Directives) Lifetime(now time.Time) time.Duration {
	if d.NoCache || !d.Explicit {
		return 0
	}
	passed := max(now.Sub(d.received), 0)
	return max(msDuration(d.lifetime-d.age)-passed, 0)
}

// Storable reports whether a shared cache may store a response with the status, as far as
// no-store, private and must-understand go (RFC 9111, 3).
func (d Directives) Storable(status int) bool {
	switch {
	case d.Private, d.MustUnderstand && !understood(status):
		return false
	case d.NoStore:
		return d.MustUnderstand && !d.Malformed
	}
	return true
}

// AllowsAuthorization reports whether a response to a request with Authorization may be given
// to others: public, must-revalidate or s-maxage say so (RFC 9111, 3.5).
func (d Directives) AllowsAuthorization() bool { return d.shared }
