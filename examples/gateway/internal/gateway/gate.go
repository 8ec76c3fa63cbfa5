package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

// Who may see the admin pages, and purge; and pprof, which always has an address of its own.
//
// With a token: whoever shows it, wherever from. Nobody else.
//
// Without one, on the main address: clients on this machine that ask for it by a name of its
// own and did not come through a proxy. Another site's page that makes a browser ask (DNS
// rebinding) uses that site's name. What a proxy on this machine passes on comes from this
// machine too; it is known by the fields that proxies add, or by HTTP/1.0, which nginx speaks
// unless told otherwise. One that adds none and asks by a name of this machine looks like a
// person here: behind such a one, set a token or an address of their own.
//
// Without one, on an address of their own: whoever reaches it, by an address, localhost or
// one of admin.hosts.

// gate tells why a request is not let in; "" lets it in.
type gate func(*http.Request) string

// admit serves what a gate lets in.
func admit(g gate, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch why := g(r); why {
		case "":
			next.ServeHTTP(w, r)
		case needsToken:
			w.Header().Set("WWW-Authenticate",
				`Basic realm="larder gateway: the token is the password", charset="UTF-8"`)
			http.Error(w, why, http.StatusUnauthorized)
		default:
			http.Error(w, why, http.StatusForbidden)
		}
	})
}

const needsToken = "the admin token is needed, as a bearer token or as Basic credentials' password"

// mainGate is for the main address.
func mainGate(c *config.Config) gate {
	if secret := c.Admin.Secret(); secret != "" {
		return tokenGate(secret)
	}
	trusted := c.Trusted()
	return func(r *http.Request) string {
		if !isLoopback(r.RemoteAddr) || !isLoopback(r.Host) || isProxied(r) ||
			trusted.Contain(hostOf(r.RemoteAddr)) {
			return "only for this machine, and not through a proxy: set admin.listen or admin.token to serve it elsewhere"
		}
		return ""
	}
}

// ownGate is for an address of their own.
func ownGate(c *config.Config) gate {
	if secret := c.Admin.Secret(); secret != "" {
		return tokenGate(secret)
	}
	return func(r *http.Request) string {
		host := strings.ToLower(strings.Trim(hostOf(r.Host), "[]"))
		if _, err := netip.ParseAddr(host); err == nil || host == "localhost" ||
			slices.Contains(c.Admin.Hosts, host) {
			return ""
		}
		return "not under this name: ask by address, or set admin.hosts or admin.token"
	}
}

// tokenGate lets in who shows the token. Comparing takes the same time whatever is wrong.
func tokenGate(secret string) gate {
	want := sha256.Sum256([]byte(secret))
	return func(r *http.Request) string {
		shown, _ := bearer(r)
		if _, password, ok := r.BasicAuth(); ok {
			shown = password
		}
		got := sha256.Sum256([]byte(shown))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			return needsToken
		}
		return ""
	}
}

func bearer(r *http.Request) (token string, ok bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	return strings.TrimSpace(token), true
}

// isProxied tells whether a request bears a proxy's marks.
func isProxied(r *http.Request) bool {
	for name := range r.Header {
		name = http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
		if slices.Contains(proxyMarks, name) || strings.HasPrefix(name, "X-Forwarded-") ||
			strings.HasPrefix(name, "X-Envoy-") {
			return true
		}
	}
	return !r.ProtoAtLeast(1, 1)
}

// proxyMarks are what proxies, balancers and CDNs add to requests, besides X-Forwarded-*.
var proxyMarks = []string{
	"Via", "Forwarded", "Cdn-Loop", "X-Forwarded", "X-Real-Ip", "X-Client-Ip", "Client-Ip",
	"X-Cluster-Client-Ip", "X-Original-Forwarded-For", "X-Original-Host", "X-Amzn-Trace-Id",
	"True-Client-Ip", "Cf-Connecting-Ip", "Fastly-Client-Ip", "X-Appengine-User-Ip",
	"X-Azure-Clientip", "X-Proxyuser-Ip", "X-Request-Start",
}

func isLoopback(address string) bool {
	host := address
	if h, _, err := net.SplitHostPort(address); err == nil {
		host = h
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return ip != nil && ip.IsLoopback()
}
