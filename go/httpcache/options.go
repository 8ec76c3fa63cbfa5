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
	// CDN-Cache-Control, or none with Private; an empty list means none. Those that are
	// meant for this cache alone are removed from responses: Surrogate-Control, and whose
	// names start with "Larder-".
	TargetedFields []string

	// TagFields are the response fields that carry tags for PurgeTag, separated by
	// blanks, commas or both (SplitTags). Nil means Surrogate-Key; an empty list
	// means none. They are removed from responses.
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

	// NeverStoreSetCookie refuses to store responses with a Set-Cookie field, unless
	// private="Set-Cookie" or no-cache="Set-Cookie" keeps that field from being stored.
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
	// an application another host, scheme, path or method: Forwarded (but for
	// addresses), X-Forwarded-Host, X-Forwarded-Proto, X-Original-Url and their
	// like (see DefaultImpliedVary); an empty list means none. At most 64 count.
	//
	// Add Origin if the next hop answers it with Access-Control-Allow-Origin but says
	// Vary: Origin only then, as many do: what was stored for a request without Origin
	// would answer those with one, which browsers then refuse.
	ImpliedVary []string

	// BackgroundTimeout bounds each background revalidation, and for how long a fetch
	// goes on that all of its clients have left: it does if its response may be
	// stored, or isn't known yet; one whose body keeps coming, up to ten times as
	// long. Zero means 30 seconds.
	BackgroundTimeout time.Duration

	// MaxBackground bounds the fetches in the background: revalidations, beyond
	// which stale responses are served without one, and, counted apart, fetches
	// without clients, beyond which they are cancelled. Zero means 128.
	MaxBackground int

	// Observe, if not nil, is called once for every request that a Handler or
	// Transport has answered, or whose client has left while it waited, by the
	// goroutine that answered it.
	Observe func(r *http.Request, e Event)

	// Now is the wall clock, for tests. Nil means time.Now. It says what Date and Expires of a
	// response mean when it is received; how old a stored response is, Elapsed says.
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

	// Elapsed is a monotonic clock, for tests: the time since some moment, which never goes
	// back. The age of stored responses is measured by it, so that setting the wall clock
	// neither makes them younger nor ends their lives. Nil means the system's; or, with Now,
	// what Now has gone forward in all.
	Elapsed func() time.Duration

	// AddedBehind are request fields that handlers or round trippers behind the cache add
	// or change, by what the cache can't see: credentials, or the client's address. A
	// response that varies on one of them is not stored; and if Authorization or Cookie
	// is among them, every request counts as having one. Nil means X-Forwarded-For, which
	// httputil.ReverseProxy adds; an empty list means none.
	AddedBehind []string

	// IgnoreQuery are the query parameters that make no difference to what the next hop
	// answers: "gclid", or "utm_*" for all that begin so. They are left out of the key,
	// for requests as for purges and invalidation by URL; the next hop gets the query as it
	// is. Names are compared as they are written in URLs, byte by byte. A parameter with a
	// semicolon in it is never ignored, for some servers take what follows for another one.
	IgnoreQuery []string

	// Private makes this the cache of one user, such as a client of an API (Transport): it
	// stores what is private, what answers requests with Authorization or Cookie, and what
	// has Set-Cookie, and it ignores s-maxage and proxy-revalidate (RFC 9111, 5.2.2). All
	// who use it then must be that user, or be kept apart by Partition.
	Private bool

	// BodyIdleTimeout cuts a response whose body brings nothing for so long, other than
	// a text/event-stream: its clients see it end early (or get a stale response, or a
	// 504, if they have seen nothing of it), and it is not stored. Time during which
	// no client takes the body does not count, and neither do requests that pass by
	// the cache. Zero means 30 seconds; negative means never.
	BodyIdleTimeout time.Duration

	// JoinTimeout is for how long a fetch that brings nothing, neither its header nor
	// more of its body, is joined by other requests. Then the next one starts another,
	// which takes its place. Zero means 5 seconds; negative means that no request
	// joins another's fetch.
	JoinTimeout time.Duration

	// LockTimeout bounds for how long a request waits for the header of another one's
	// fetch, before it goes forward by itself. It should be longer than the next
	// hop's own timeout, or all who wait for a hop that is down will knock there one
	// by one. Zero means one minute; negative means that no request waits.
	//
	// Who waits for a response that then turns out not to be sharable has waited for
	// nothing: with a slow next hop, two requests in place of one. It happens once an
	// hour for a URI, for so long it is remembered; a route none of whose responses
	// can be shared, such as long polls, is better not put behind the cache.
	LockTimeout time.Duration

	// StaleTimeout bounds for how long a request waits for the next hop when a stale
	// response is at hand that may be served if the next hop fails (stale-if-error,
	// StaleIfUnreachable). The fetch goes on meanwhile, and is stored. Until it has
	// brought something, requests for the same URI get the stale response at once,
	// and the next hop is tried again in the background every ten seconds. Zero
	// means 2 seconds; negative means that they wait for the next hop's own timeout.
	StaleTimeout time.Duration
}

// DefaultImpliedVary is used when Options.ImpliedVary is nil.
var DefaultImpliedVary = []string{
	"Forwarded",
	"Front-End-Https",
	"X-Forwarded-Host",
	"X-Forwarded-Path",
	"X-Forwarded-Port",
	"X-Forwarded-Prefix",
	"X-Forwarded-Proto",
	"X-Forwarded-Protocol",
	"X-Forwarded-Scheme",
	"X-Forwarded-Server",
	"X-Forwarded-Ssl",
	"X-Forwarded-Uri",
	"X-Host",
	"X-Http-Host-Override",
	"X-Http-Method",
	"X-Http-Method-Override",
	"X-Method-Override",
	"X-Original-Host",
	"X-Original-Uri",
	"X-Original-Url",
	"X-Rewrite-Url",
	"X-Script-Name",
	"X-Scheme",
	"X-Url-Scheme",
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
	// Status is what the client got, or StatusClientClosedRequest if it left before
	// there was anything to get.
	Status int
	// Aborted tells that the client has not got the whole response: it left, or the
	// next hop broke off.
	Aborted bool
	// Bytes is the number of body bytes given to the client's connection.
	Bytes int64
	// Stored tells that this request's fetch was stored.
	Stored bool
}

// StatusClientClosedRequest is the Event's status of a request whose client left
// while it waited. No client ever sees it.
const StatusClientClosedRequest = 499

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
	if o.TargetedFields == nil && !o.Private {
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
	if o.AddedBehind == nil {
		o.AddedBehind = []string{"X-Forwarded-For"}
	}
	o.AddedBehind = canonical(o.AddedBehind)
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
	o.BodyIdleTimeout = orDefault(o.BodyIdleTimeout, 30*time.Second)
	o.JoinTimeout = orDefault(o.JoinTimeout, 5*time.Second)
	o.LockTimeout = orDefault(o.LockTimeout, time.Minute)
	o.StaleTimeout = orDefault(o.StaleTimeout, 2*time.Second)
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
