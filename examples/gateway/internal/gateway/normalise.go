package gateway

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/larder-cache/larder/go/httpcache"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

// A request is brought into one form here, once, before anything decides by it: the
// routes, the limits, the cache's key and the upstream then see the same host, the same
// path, the same client and the same header, and none of them can be told another story
// than the others.
//
// # Host
//
// Lower case, without a trailing dot, without the scheme's default port, addresses in
// their shortest form (RFC 9110, 4.2.3; RFC 3986, 3.2.2). What is no host is refused. A
// request of HTTP/1.0 may have none.
//
// # Path
//
// The path goes upstream in the bytes in which it came. Only bytes that may not stand in
// a URI at all are percent-encoded, since something on the way would do it anyway. What
// then matters is who could read it otherwise than the routes do:
//
//   - Dot segments, written plainly or with encoded dots (RFC 3986, 6.2.2.2), and
//     doubled slashes. With several routes the client is redirected to the clean path.
//     With a single one they are passed on, unless they climb out of the upstream's base
//     path: that is a 400.
//   - Dot segments that are ones only to who decodes %2F or %5C first, takes a backslash
//     for a slash, or cuts parameters off ("..;x"). No honest client sends any. They are
//     a 400 wherever a route or a base path could be left by them.
//   - Other encoded slashes, backslashes and parameters are passed on, unless reading
//     them so leads to another route's path (see routes.go): that is a 400 too.
//
// Percent-encodings are decoded once: what an upstream that decodes twice makes of %252e
// is its own matter.
//
// # Forwarded fields
//
// X-Forwarded-For, -Host and -Proto are the gateway's to set. From a trusted proxy
// (trusted_proxies) it takes what they say of the client; from anybody else they, all
// other X-Forwarded- fields, Forwarded and X-Real-Ip are dropped. The client is the
// right-most address that is no trusted proxy's, and becomes the request's RemoteAddr,
// which limits, logs and traces read. A trace that somebody else began is joined only if
// a trusted proxy says so: the decision to sample it comes along.
//
// What the upstream is told of a client that comes by itself is all in the request's other
// parts. So it is written into the header only when it is to be sent or compared: most hits
// need none of it (see complete).
//
// # Other fields
//
// Fields for this hop only are removed (RFC 9110, 7.6.1), so that the cache compares what
// the upstream is sent. Names with an underscore are dropped unless allowed: CGI and its
// heirs cannot tell X_Forwarded_For from X-Forwarded-For. Via names this gateway, and a
// request that comes back with that name is in a loop (RFC 9110, 7.6.3).

// refusal is why a request goes no further.
type refusal struct {
	status int
	detail string
}

func (r *refusal) Error() string { return r.detail }

func bad(detail string) error { return &refusal{http.StatusBadRequest, detail} }

// redirection is where a client is to ask instead: a path with its query.
type redirection string

func (r redirection) Error() string { return "moved to " + string(r) }

// normaliser has what the configuration says about it. newNormaliser makes one.
type normaliser struct {
	trusted     config.Networks
	underscores bool
	// name is what Via calls this gateway; no other one has it.
	name  string
	via11 []string // what is added to it for HTTP/1.1
	// traced: what a traceparent says decides what is traced.
	traced bool
	// routed: there are routes that a path could lead around. contained: an upstream has a
	// base path that a path could lead out of.
	routed, contained bool
}

// newNormaliser returns the normaliser of a gateway of that name.
func newNormaliser(c *config.Config, name string, traced bool) *normaliser {
	return &normaliser{
		trusted: c.Trusted(), underscores: c.Server.UnderscoreHeaders,
		name: name, via11: []string{"1.1 " + name}, traced: traced,
		routed: !plain(c), contained: based(c),
	}
}

// apply brings r into its one form, in place. Its error is a *refusal or a redirection.
func (n *normaliser) apply(r *http.Request) error {
	via := r.Header["Via"]
	for _, line := range via {
		if strings.Contains(line, n.name) {
			return &refusal{http.StatusLoopDetected, "the request came through this gateway before"}
		}
	}
	from := sender{client: r.RemoteAddr, host: r.Host}
	trusted := false
	told := len(via) > 0 || n.traced // at once: see complete
	if told || len(n.trusted) > 0 {
		from.chain = hostOf(r.RemoteAddr)
		if trusted = n.trusted.Contain(from.chain); trusted {
			n.believe(&from, r.Header)
			told = true
		}
	}
	if connection := r.Header["Connection"]; connection != nil {
		hop(r.Header, connection)
	}
	for name := range r.Header {
		if n.drops(name, trusted) || name == "Upgrade" && r.Header["Connection"] == nil {
			delete(r.Header, name)
		}
	}
	host, err := normalHost(from.host, from.https)
	if err != nil {
		return bad("invalid Host: " + err.Error())
	}
	r.Host = host
	r.RemoteAddr = from.client
	// The host is in Host now; the scheme is what the client used, for the cache's key.
	r.URL.Host, r.URL.Scheme, r.URL.User = "", "", nil
	if from.https {
		r.URL.Scheme = "https"
	}
	if told {
		n.tell(r, &from, via)
	}
	normalPath(r.URL)
	return n.checkPath(r.URL)
}

// drops tells whether a field goes no further. Every request's names are looked at, so the
// cheapest test comes first.
func (n *normaliser) drops(name string, trusted bool) bool {
	switch name[0] {
	case 'X':
		if !trusted && (strings.HasPrefix(name, "X-Forwarded-") || name == "X-Real-Ip") {
			return true
		}
	case 'F':
		if name == "Forwarded" {
			return true
		}
	case 'K', 'P':
		switch name {
		case "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization":
			return true
		}
	case 'T', 'B':
		switch name {
		case "Traceparent", "Tracestate", "Baggage":
			return n.traced && !trusted
		}
	}
	return !n.underscores && strings.IndexByte(name, '_') >= 0
}

// sender is who asked for what, as far as it can be believed.
type sender struct {
	client string // for RemoteAddr
	chain  string // for X-Forwarded-For
	host   string
	https  bool
}

// believe takes from a trusted proxy's fields what they say of the client. Each proxy
// appends, so lists are read from the right: past the addresses of trusted proxies to the
// first that is none. What stands left of it the client may have made up.
func (n *normaliser) believe(s *sender, h http.Header) {
	addresses := list(h["X-Forwarded-For"])
	hops := 0 // how many of them are believed
	for hops < len(addresses) {
		ip, err := parseForwarded(addresses[len(addresses)-1-hops])
		if err != nil {
			break
		}
		s.client = ip.String()
		hops++
		if !n.trusted.ContainAddr(ip) {
			break
		}
	}
	believed := append(addresses[len(addresses)-hops:], s.chain)
	s.chain = strings.Join(believed, ", ")
	if host := counterpart(list(h["X-Forwarded-Host"]), hops); host != "" {
		s.host = host
	}
	switch strings.ToLower(counterpart(list(h["X-Forwarded-Proto"]), hops)) {
	case "https", "wss":
		s.https = true
	}
}

// counterpart returns the element that was written by the proxy which the client spoke
// to, of a field to which each of the believed proxies appended one, or only the last one
// wrote.
func counterpart(values []string, hops int) string {
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-min(max(hops, 1), len(values))]
}

// parseForwarded reads an address of X-Forwarded-For, which some write with a port.
func parseForwarded(text string) (netip.Addr, error) {
	if ip, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return ip.Unmap().WithZone(""), nil
	}
	ip, err := netip.ParseAddrPort(text)
	return ip.Addr().Unmap().WithZone(""), err
}

// list returns the elements of a comma-separated field.
func list(lines []string) []string {
	var out []string
	for _, line := range lines {
		for element := range strings.SplitSeq(line, ",") {
			if element = strings.TrimSpace(element); element != "" {
				out = append(out, element)
			}
		}
	}
	return out
}

// hostOf takes the port off an address.
func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

var (
	protoHTTP  = []string{"http"}
	protoHTTPS = []string{"https"}
)

// toldFields are the fields that tell sets.
var toldFields = [...]string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Via"}

// complete tells the upstream of the client, unless apply has done so, of a request that is
// in its one form. The cache has it done before it compares one of the fields and before it
// asks the upstream; what goes past a cache has it done by completed.
func (n *normaliser) complete(r *http.Request) {
	if r.Header["X-Forwarded-Proto"] == nil { // a client's own is dropped
		n.tell(r, &sender{chain: hostOf(r.RemoteAddr)}, nil)
	}
}

// completed is next for requests that may not have been completed.
func (n *normaliser) completed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.complete(r)
		next.ServeHTTP(w, r)
	})
}

// late are the fields that complete sets, for a cache.
func (n *normaliser) late() httpcache.LateFields {
	return httpcache.LateFields{Names: toldFields[:], Add: n.complete}
}

// tell sets the fields that the upstream is told of the client.
func (n *normaliser) tell(r *http.Request, s *sender, via []string) {
	h := r.Header
	values := &[2]string{s.chain, r.Host}
	h["X-Forwarded-For"] = values[0:1:1]
	if r.Host != "" {
		h["X-Forwarded-Host"] = values[1:2:2]
	} else {
		delete(h, "X-Forwarded-Host")
	}
	if h["X-Forwarded-Proto"] = protoHTTP; s.https {
		h["X-Forwarded-Proto"] = protoHTTPS
	}
	if own := n.via(r); len(via) == 0 {
		h["Via"] = own
	} else {
		h["Via"] = []string{strings.Join(via, ", ") + ", " + own[0]}
	}
}

// via is what this gateway adds to Via. Most requests have nothing else there, and share it.
func (n *normaliser) via(r *http.Request) []string {
	if r.ProtoMajor == 1 && r.ProtoMinor == 1 {
		return n.via11
	}
	return []string{protocol(r) + " " + n.name}
}

func protocol(r *http.Request) string {
	switch {
	case r.ProtoMajor == 1 && r.ProtoMinor == 0:
		return "1.0"
	case r.ProtoMajor == 2:
		return "2.0"
	}
	return "1.1"
}

// hop removes what Connection says is for this hop. Only an upgrade is left, which the proxy
// passes on where it may.
func hop(h http.Header, connection []string) {
	if len(connection) == 1 && (connection[0] == "keep-alive" || connection[0] == "close") {
		delete(h, "Connection")
		return
	}
	upgrade := false
	for _, name := range list(connection) {
		switch name = http.CanonicalHeaderKey(name); name {
		case "Upgrade":
			upgrade = true
		case "Te": // TE: trailers is passed on, whatever Connection says
		default:
			delete(h, name)
		}
	}
	if delete(h, "Connection"); upgrade && len(h["Upgrade"]) > 0 {
		h["Connection"] = []string{"Upgrade"}
	}
}

var (
	errHostBytes = errors.New("a character that no host has")
	errHostForm  = errors.New("neither a name nor an address, perhaps with a port")
)

// maxName is the length of the longest name in the DNS.
const maxName = 253

// normalHost returns a host in its one form.
func normalHost(text string, https bool) (string, error) {
	if isNormal(text) {
		return text, nil
	}
	if text == "" {
		return "", nil
	}
	host, port := text, ""
	if i := strings.LastIndexByte(text, ':'); i > strings.LastIndexByte(text, ']') {
		host, port = text[:i], text[i+1:]
	}
	if len(host) > maxName || len(port) > 5 || strings.Trim(port, "0123456789") != "" {
		return "", errHostForm
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		ip, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		if err != nil || !ip.Is6() || ip.Zone() != "" || !strings.HasSuffix(inner, "]") {
			return "", errHostForm
		}
		host = "[" + ip.String() + "]"
	} else {
		host = strings.ToLower(strings.TrimSuffix(host, "."))
		if !isName(host) {
			return "", errHostBytes
		}
	}
	port = strings.TrimLeft(port, "0")
	if port == "" || port == "80" && !https || port == "443" && https {
		return host, nil
	}
	return host + ":" + port, nil
}

// isNormal tells quickly that nothing has to be done about most hosts: a name, perhaps with
// a port that is no scheme's.
func isNormal(host string) bool {
	for i := range len(host) {
		switch c := host[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-':
		case c == '.' && i > 0 && i < len(host)-1 && host[i-1] != '.' && host[i+1] != ':':
		case c == ':' && i > 0:
			return i <= maxName && isOtherPort(host[i+1:])
		default:
			return false
		}
	}
	return len(host) <= maxName
}

// isOtherPort tells whether a port is written in the shortest way, and no scheme's.
func isOtherPort(port string) bool {
	if port == "" || len(port) > 5 || port[0] == '0' || port == "80" || port == "443" {
		return false
	}
	for i := range len(port) {
		if port[i] < '0' || port[i] > '9' {
			return false
		}
	}
	return true
}

// isName tells whether a lower-case host is a name of letters, digits, hyphens and
// underscores, in labels that are not empty.
func isName(host string) bool {
	for label := range strings.SplitSeq(host, ".") {
		if label == "" {
			return false
		}
		for i := range len(label) {
			switch c := label[i]; {
			case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			default:
				return false
			}
		}
	}
	return true
}

// normalPath makes RawPath what is sent upstream: the path as it came, but for bytes that
// may not stand in a URI (RFC 3986, 3.3).
func normalPath(u *url.URL) {
	if u.Path == "" {
		u.Path = "/"
	}
	if u.RawPath == "" || u.EscapedPath() == u.RawPath {
		return
	}
	const hex = "0123456789ABCDEF"
	var out strings.Builder
	for i := range len(u.RawPath) {
		switch c := u.RawPath[i]; {
		case isPathByte(c):
			out.WriteByte(c)
		default:
			out.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	u.RawPath = out.String()
}

func isPathByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("/-._~!$&'()*+,;=:@%[]", c) >= 0
}

// checkPath refuses and redirects what could be read in another way than it is here.
func (n *normaliser) checkPath(u *url.URL) error {
	if !n.routed && !n.contained {
		return nil
	}
	escaped := u.EscapedPath()
	p := inspect(escaped)
	switch {
	case p.hidden:
		return bad("the path has dot segments behind encoded slashes, backslashes or parameters")
	case n.routed && p.unclean:
		to := cleanPath(escaped)
		if u.RawQuery != "" || u.ForceQuery {
			to += "?" + u.RawQuery
		}
		return redirection(to)
	case p.climbs:
		return bad("the path leads out of the root")
	}
	return nil
}

// pathForm is what a path has in it.
type pathForm struct {
	unclean bool // dot segments or doubled slashes
	climbs  bool // more steps up than down, at some place
	hidden  bool // dot segments for some readers only
}

// inspect looks at a percent-encoded path. A doubled slash is no step down: some read it
// as a single one.
func inspect(escaped string) (p pathForm) {
	depth := 0
	rest := strings.TrimPrefix(escaped, "/")
	for more := true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		switch decoded := decode(segment); decoded {
		case "":
			p.unclean = p.unclean || more
		case ".":
			p.unclean = true
		case "..":
			p.unclean = true
			depth--
			p.climbs = p.climbs || depth < 0
		default:
			depth++
			p.hidden = p.hidden || hidesDots(decoded)
		}
	}
	return p
}

// hidesDots tells whether a decoded segment is or has dot segments in another reading.
func hidesDots(segment string) bool {
	if strings.IndexByte(segment, '.') < 0 {
		return false
	}
	for piece := range strings.FieldsFuncSeq(segment, isSlash) {
		name, _, _ := strings.Cut(piece, ";")
		if name == "." || name == ".." {
			return true
		}
	}
	return false
}

func isSlash(c rune) bool { return c == '/' || c == '\\' }

// decode undoes percent-encodings. What is none stays.
func decode(segment string) string {
	if strings.IndexByte(segment, '%') < 0 {
		return segment
	}
	if decoded, err := url.PathUnescape(segment); err == nil {
		return decoded
	}
	return segment
}

// cleanPath removes dot segments (RFC 3986, 5.2.4) and doubled slashes; every other
// segment stays encoded as it is.
func cleanPath(escaped string) string {
	var kept []string
	rest := strings.TrimPrefix(escaped, "/")
	folder := false // the path ends with a slash
	for more := true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		folder = true
		switch decode(segment) {
		case "", ".":
		case "..":
			kept = kept[:max(0, len(kept)-1)]
		default:
			kept, folder = append(kept, segment), false
		}
	}
	if folder && len(kept) > 0 {
		kept = append(kept, "")
	}
	return "/" + strings.Join(kept, "/")
}

// otherReadings returns the paths that an upstream might take a clean one for: one that
// decodes it as a whole, one that takes backslashes for slashes as well, and one that
// cuts parameters off besides.
func otherReadings(escaped string) []string {
	if !strings.ContainsAny(escaped, `%;\`) {
		return nil
	}
	decoded := decode(escaped)
	slashes := strings.ReplaceAll(decoded, `\`, "/")
	var bare strings.Builder
	for segment := range strings.SplitAfterSeq(slashes, "/") {
		name, _, cut := strings.Cut(segment, ";")
		if bare.WriteString(name); cut && strings.HasSuffix(segment, "/") {
			bare.WriteByte('/')
		}
	}
	return []string{mergeSlashes(decoded), mergeSlashes(slashes), mergeSlashes(bare.String())}
}

func mergeSlashes(path string) string {
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return path
}
