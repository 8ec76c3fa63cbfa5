package upstream

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// errResponse means that a target answered with what is no response that may be passed on.
var errResponse = errors.New("the response is malformed")

// check makes of what the transport accepts what the rest of the gateway may rely on, or
// refuses it: statuses are 200 to 599 (or 101), and names of fields are names.
func check(resp *http.Response) error {
	if s := resp.StatusCode; s != http.StatusSwitchingProtocols && (s < 200 || s > 599) {
		return fmt.Errorf("%w: status %03d", errResponse, s)
	}
	return mendNames(resp.Header)
}

// mendNames takes the blanks off the ends of field names (RFC 9112, 5.1): "Cache-Control :"
// comes from the transport as a field of another name, which nothing here would find. Where
// the field says how long the body is, the transport has taken it for longer or shorter
// already, and the response is refused. Fields whose names are none are dropped, as
// net/http would when it writes them.
func mendNames(h http.Header) error {
	for name, values := range h {
		if httpguts.ValidHeaderFieldName(name) {
			continue
		}
		delete(h, name)
		mended := http.CanonicalHeaderKey(strings.Trim(name, " \t"))
		switch {
		case mended == "Transfer-Encoding" || mended == "Content-Length":
			return fmt.Errorf("%w: a blank before the colon of %s", errResponse, mended)
		case httpguts.ValidHeaderFieldName(mended):
			h[mended] = append(h[mended], values...)
		}
	}
	return nil
}
