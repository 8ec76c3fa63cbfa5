package httpcache

import (
	"net/http"
	"time"
)

// Options configures a Cache. The zero value is a correct shared cache.
type Options struct {
	// Name is this cache's identifier in the Cache-Status field (RFC 9211).
	// Empty means "larder".
	Name string

	// TargetedFields are the targeted cache-control fields (RFC 9213) this cache
	// obeys, most specific first. Nil means Larder-Cache-Control, then
	// CDN-Cache-Control; an empty list means none. The first of the list is
	// taken to be ours alone and is removed from responses if its name starts
	// with "Larder-".
	TargetedFields []string

	// TagFields are the response fields that carry space-separated tags for
	// PurgeTag. Nil means Surrogate-Key; an empty list means none. They are
	// removed from responses.
	TagFields []string

	// MaxBodyBytes is the largest response body stored. Larger bodies are
	// streamed past the cache. Zero means 8 MiB.
	MaxBodyBytes int64

	// DefaultTTL is the freshness lifetime of responses other than errors that
	// may be given a heuristic one (RFC 9111, 4.2.2) but have no Last-Modified
	// to derive it from. Zero means none: they are stored only to be validated.
	DefaultTTL time.Duration

	// HeuristicMax bounds heuristic freshness, which is a tenth of the time
	// between Last-Modified and Date. Zero means 24 hours; negative switches
	// heuristics off.
	HeuristicMax time.Duration

	// StaleWhileRevalidate and StaleIfError are the windows (RFC 5861) of
	// responses that state none themselves. Zero means none.
	StaleWhileRevalidate time.Duration
	StaleIfError         time.Duration

	// StaleIfUnreachable is for how long a response that states no
	// stale-if-error may be served stale while the next hop cannot be reached:
	// when it answers 502, 503 or 504, aborts, or fails (RFC 9111, 4.2.4 permits
	// that to a disconnected cache). Zero means one minute; negative switches
	// it off.
	StaleIfUnreachable time.Duration

	// KeepStale is for how long a stale response with a validator is kept, so
	// that it can be revalidated rather than transferred again. Zero means one
	// hour; negative means not at all.
	KeepStale time.Duration

	// NeverStoreSetCookie refuses to store responses with a Set-Cookie field.
	// RFC 9111, 7.3 lets a shared cache store them when they are explicitly
	// fresh, and by default they are; without explicit freshness they never
	// are.
	NeverStoreSetCookie bool

	// IgnoreRequestDirectives makes the cache ignore Cache-Control and Pragma
	// of requests, other than no-store and only-if-cached, so that clients
	// cannot force work on the next hop.
	IgnoreRequestDirectives bool

	// ImpliedVary are request fields that are known to change what next hops
	// answer although responses do not name them in Vary. A response is reused
	// only for requests that agree on them. Nil means the usual ways to tell
	// an application another host, scheme, path or method: Forwarded (host and
	// proto), X-Forwarded-Host, X-Forwarded-Proto, X-Original-Url and their
	// like (see DefaultImpliedVary); an empty list means none.
	ImpliedVary []string

	// BackgroundTimeout bounds each background revalidation. Zero means 30
	// seconds.
	BackgroundTimeout time.Duration

	// MaxBackground bounds the background revalidations in progress; beyond
	// it, stale responses are served without one. Zero means 128.
	MaxBackground int

	// Observe, if not nil, is called once for every request that a Handler or
	// Transport has answered, by the goroutine that answered it.
	Observe func(r *http.Request, e Event)

	// Now is the clock, for tests. Nil means time.Now.
	Now func() time.Time

	// Partition, if not nil, returns what keeps the request's responses apart from those of
	// other requests for the same URI: it becomes part of the key. Requests with the same
	// partition share responses; "" is the partition of those that need none. Purges and
	// invalidation reach all partitions.
	//
	// It is needed wherever a RoundTripper or handler behind the cache adds credentials that
	// the cache can't see (see the example of Transport), and must then tell apart whatever
	// they tell apart. It is called for every request, by many goroutines.
	Partition func(*http.Request) string
}

// DefaultImpliedVary is used when Options.ImpliedVary is nil.
var DefaultImpliedVary = []string{
	"Forwarded",
	"X-Forwarded-Host",
	"X-Forwarded-Port",
	"X-Forwarded-Prefix",
	"X-Forwarded-Proto",
	"X-Forwarded-Scheme",
	"X-Forwarded-Server",
	"X-Host",
	"X-Http-Method",
	"X-Http-Method-Override",
	"X-Method-Override",
	"X-Original-Host",
	"X-Original-Url",
	"X-Rewrite-Url",
}

// Outcome says how a request was answered.
type Outcome uint8

// The outcomes. Bypass: the cache had no part in the answer. Miss: nothing
// usable was stored. Hit: answered from the cache, fresh. Stale: answered from
// the cache, stale. Revalidated: answered from the cache after the next hop
// confirmed the response. Collapsed: answered from the fetch of another
// request made at the same time.
const (
	Bypass Outcome = iota
	Miss
	Hit
	Stale
	Revalidated
	Collapsed
)

// String returns the outcome in lower case, as for a metric's label.
func (o Outcome) String() string {
	switch o {
	case Miss:
		return "miss"
	case Hit:
		return "hit"
	case Stale:
		return "stale"
	case Revalidated:
		return "revalidated"
	case Collapsed:
		return "collapsed"
	default:
		return "bypass"
	}
}

// Event describes one answered request to Options.Observe.
type Event struct {
	Outcome Outcome
	Status  int
	// Bytes is the number of body bytes given to the client's connection.
	Bytes int64
	// Stored tells that this request's fetch was stored.
	Stored bool
}

const (
	defaultMaxBody    = 8 << 20
	maxWindow         = 10 * 365 * 24 * time.Hour
	defaultBackground = 128
)

// withDefaults returns o with every zero value replaced.
func (o Options) withDefaults() Options {
	if o.Name == "" {
		o.Name = "larder"
	}
	if o.TargetedFields == nil {
		o.TargetedFields = []string{"Larder-Cache-Control", "CDN-Cache-Control"}
	}
	o.TargetedFields = canonical(o.TargetedFields)
	if o.TagFields == nil {
		o.TagFields = []string{"Surrogate-Key"}
	}
	o.TagFields = canonical(o.TagFields)
	if o.ImpliedVary == nil {
		o.ImpliedVary = DefaultImpliedVary
	}
	o.ImpliedVary = canonical(o.ImpliedVary)
	if o.MaxBodyBytes <= 0 {
		o.MaxBodyBytes = defaultMaxBody
	}
	o.HeuristicMax = orDefault(o.HeuristicMax, 24*time.Hour)
	o.StaleIfUnreachable = orDefault(o.StaleIfUnreachable, time.Minute)
	o.KeepStale = orDefault(o.KeepStale, time.Hour)
	o.StaleWhileRevalidate = min(max(o.StaleWhileRevalidate, 0), maxWindow)
	o.StaleIfError = min(max(o.StaleIfError, 0), maxWindow)
	o.DefaultTTL = min(max(o.DefaultTTL, 0), maxWindow)
	if o.BackgroundTimeout <= 0 {
		o.BackgroundTimeout = 30 * time.Second
	}
	if o.MaxBackground <= 0 {
		o.MaxBackground = defaultBackground
	}
	return o
}

// orDefault replaces zero by def and bounds the rest to 0 .. maxWindow.
func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return min(max(d, 0), maxWindow)
}

func canonical(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = http.CanonicalHeaderKey(n)
	}
	return out
}
