package httpcache

import "net/http"

// What handlers of this process tell the cache around them stands in the header of
// their responses, under names with a colon, as those with http.TrailerPrefix: such
// a name cannot come off a wire, for there it ends at the colon, and net/http
// writes none to one. They pass through whatever wraps a ResponseWriter. Sources end at
// the cache; that an error is ours is told to a cache further out, too.
const (
	processPrefix     = "Larder:"
	gatewayErrorField = processPrefix + "Gateway-Error"
	sourceField       = processPrefix + "Source"
)

// GatewayError marks the response whose header h is, before it is written, as an
// error that this process made: the origin was not reached, or not allowed to be.
// An error of an origin is given to the request it was made for, for it may quote
// it. One that is marked is given to all requests that waited for the same fetch.
// It is never stored. Marks of responses with a status below 500 mean nothing.
func GatewayError(h http.Header) { h[gatewayErrorField] = []string{""} }

func isGatewayError(h http.Header) bool { return len(h[gatewayErrorField]) > 0 }

// AddSource tells, in the header h of a response before it is written, that the
// response was made from a resource, or, if it answers an unsafe method, that the
// resource has changed. id is any text that identifies the resource among all
// that pass through the cache, such as an upstream's name and a path there. A
// stored response is purged with each of its sources: when a response to an unsafe
// method names one, and by PurgeSource.
func AddSource(h http.Header, id string) {
	h[sourceField] = append(h[sourceField], "i"+id)
}

// AddSourceOf is AddSource for what a cache on the same responses answers to r:
// for a response that was made from that. PurgeURL of r's URL, and unsafe requests
// for it, then purge the response too.
func AddSourceOf(h http.Header, r *http.Request) {
	if key, ok := new(Cache).appendKey(nil, r); ok { // in no partition
		h[sourceField] = append(h[sourceField], "s"+string(key))
	}
}
