package traffic

import "strings"

// Outcome says how a request was answered.
type Outcome uint8

// The outcomes, in the order that a dashboard shows them. None: the cache was
// not asked.
const (
	None Outcome = iota
	Hit
	Stale
	Revalidated
	Collapsed
	Miss
	Bypass
	outcomes
)

var outcomeNames = [outcomes]string{"none", "hit", "stale", "revalidated", "collapsed", "miss", "bypass"}

// String returns the outcome as it stands in logs and labels.
func (o Outcome) String() string { return outcomeNames[o] }

// Outcomes returns all of them.
func Outcomes() []Outcome {
	return []Outcome{None, Hit, Stale, Revalidated, Collapsed, Miss, Bypass}
}

// Saved tells whether the upstream was spared a whole response.
func (o Outcome) Saved() bool { return o >= Hit && o <= Collapsed }

// Stored tells whether the answer was there at once.
func (o Outcome) Stored() bool { return o == Hit || o == Stale }

// outcomeOf reads the last member of a Cache-Status field (RFC 9211), which is
// this process's cache.
func outcomeOf(values []string) Outcome {
	if len(values) == 0 {
		return None
	}
	member := values[len(values)-1]
	switch {
	case !strings.Contains(member, "; fwd="):
		if strings.Contains(member, "; ttl=-") {
			return Stale
		}
		return Hit
	case strings.Contains(member, "; collapsed"):
		return Collapsed
	case strings.Contains(member, "; fwd=stale; fwd-status=304"):
		// Other 304s are the answers to clients' own conditions, passed on.
		return Revalidated
	case strings.Contains(member, "; fwd=bypass"), strings.Contains(member, "; fwd=method"):
		return Bypass
	case strings.Contains(member, "; hit"):
		return Stale
	}
	return Miss
}
