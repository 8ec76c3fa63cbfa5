package respond

import "net/http"

// Fields that carry something from one part of the gateway to another, through the cache and
// into what it stores. No client sees them, and an upstream's are not believed.
const (
	// InternalControl is the upstream's Larder-Cache-Control, which the cache obeys and takes
	// out: what is made of a stored response must obey it as well.
	InternalControl = "X-Larder-Internal-Control"
	// InternalSources names what an answer was made from (see httpcache.AddSource), which the
	// cache takes out as well: what is made of it again was made from the same.
	InternalSources = "X-Larder-Internal-Sources"
	// InternalError marks an error as the gateway's own: it tells nothing of who asked.
	InternalError = "X-Larder-Internal-Error"
)

// Keep returns a modifier of upstreams' responses that does as next does, and lets what is
// made of the responses know what they said to this cache. next may be nil.
func Keep(next func(*http.Response) error) func(*http.Response) error {
	return func(resp *http.Response) error {
		delete(resp.Header, InternalControl)
		delete(resp.Header, InternalSources)
		delete(resp.Header, InternalError)
		if next != nil {
			if err := next(resp); err != nil {
				return err
			}
		}
		if own := resp.Header["Larder-Cache-Control"]; len(own) > 0 {
			resp.Header[InternalControl] = own
		}
		return nil
	}
}
