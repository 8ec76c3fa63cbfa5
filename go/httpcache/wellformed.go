package httpcache

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/larder-cache/larder/go/httpcache/internal/field"
)

// ErrMalformedResponse is what CheckResponse's errors wrap.
var ErrMalformedResponse = errors.New("httpcache: malformed response")

// CheckResponse makes the header of a response fit to be read by name, or says why the response
// must not be used. Handlers and round trippers behind a Cache are checked by it; what reads
// responses before the cache does should call it first.
//
// net/http's client keeps a blank between a field's name and its colon as part of the name: in
// "Cache-Control : no-store", which everybody else reads as no-store, it finds no Cache-Control.
// So blanks are removed (RFC 9112, 5.1), and h is changed. Fields with blanks within their
// names are removed.
//
// The error wraps ErrMalformedResponse: if the status is neither within 200 to 599 nor 101, or
// if a field with such a blank frames the message (Transfer-Encoding, Content-Length,
// Connection), since then what has been read as its content is something else. To answer 502 is
// the caller's part.
//
// It costs one pass over the names, and allocates only if it changes something.
func CheckResponse(status int, h http.Header) error {
	if !finalStatus(status) && status != http.StatusSwitchingProtocols {
		return fmt.Errorf("%w: status %d is not within 200 to 599", ErrMalformedResponse, status)
	}
	return mendNames(h)
}

// finalStatus reports whether a status can be that of an answer. What is not
// within 200 to 599 no client can be expected to read, and net/http panics on some
// of it.
func finalStatus(status int) bool { return status >= 200 && status <= 599 }

// mendNames is CheckResponse for names alone.
func mendNames(h http.Header) error {
	for name := range h {
		if !strings.ContainsAny(name, " \t") {
			continue
		}
		if err := mendName(h, name); err != nil {
			return err
		}
	}
	return nil
}

// mendName reads a field whose name has blanks around it as the one that was meant.
func mendName(h http.Header, name string) error {
	values := h[name]
	delete(h, name)
	name = http.CanonicalHeaderKey(strings.Trim(name, " \t"))
	switch name {
	case "Transfer-Encoding", "Content-Length", "Connection":
		return fmt.Errorf("%w: blank before the colon of %s", ErrMalformedResponse, name)
	}
	if field.IsToken(name) {
		h[name] = append(h[name][:len(h[name]):len(h[name])], values...)
	}
	return nil
}
