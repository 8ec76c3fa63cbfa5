// Package httpcache is a shared HTTP cache by RFC 9111 whose responses live in
// a larder.Cache. One line puts it in front of a handler, a reverse proxy
// included:
//
//	cache, err := larder.New(larder.Options{MaxBytes: 256 << 20})
//	...
//	hc := httpcache.New(cache, httpcache.Options{})
//	http.ListenAndServe(addr, hc.Handler(proxy))
//
// and Transport does the same for an http.Client.
//
// # What it does
//
//   - RFC 9111: storing, freshness, Age, Vary, validation, invalidation by
//     unsafe methods, the directives of requests and responses.
//   - RFC 5861: stale-while-revalidate and stale-if-error.
//   - RFC 9110, section 14: ranges of stored responses, and stored parts.
//   - RFC 9211: the Cache-Status field tells how each response came about.
//   - RFC 9213: targeted fields, Larder-Cache-Control before CDN-Cache-Control.
//   - RFC 9875: Cache-Groups and Cache-Group-Invalidation; Surrogate-Key tags.
//   - Request collapsing: however many clients ask for an absent response at
//     once, it is fetched once. A response that cannot be shared releases them
//     all as soon as its header is known. No wait is without bounds, and none is
//     for a next hop that is silent when a stale response may be served
//     (Options.BodyIdleTimeout, JoinTimeout, LockTimeout, StaleTimeout).
//   - What is made for one request stays with it: fields that private or no-cache
//     name, and errors, but for those that this process makes (GatewayError).
//   - A fetch goes on when its clients leave, if it may be stored.
//   - Purges by URL, tag, prefix, source and all, hard and soft, that reach what was
//     made from a resource (AddSource) and tell what they have touched.
//
// Parsers are in internal/field, which knows nothing of caches. What to store, for whom and
// for how long is decided in storing.go and freshness.go, by two clocks (clock.go).
//
// Each section has a file of its own; docs/http-caching.md lists every
// requirement with its test, and docs/security.md what hostile clients try.
//
// # How a request flows
//
// A request is classified in one pass over its header (request.go), turned into
// a key (key.go) and looked up (lookup.go). Whether what is found may be given without
// asking anyone is for one predicate to say (reuse.go). A usable response is written from
// its envelope (envelope.go, serve.go): nothing is parsed, the body is written
// as it was stored. Everything else goes through a flight (flight.go): one
// goroutine runs the next handler, any number of requests read what it writes.
//
// # Memory
//
// Responses are bounded by the larder.Cache. Beside them the package keeps, per
// New: fixed tables of about 300 KiB, the headers of responses that are asked
// for again and again, at most 3 MiB of them, the flights in progress (each
// holds one response of at most Options.MaxBodyBytes), and what purges of tags
// and sources leave behind, at most 1.8 MiB each however many there are.
package httpcache
