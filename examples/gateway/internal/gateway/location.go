package gateway

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

// locations leads what an upstream says of its own URLs back through the gateway: a
// Location or Content-Location that names one of the upstream's targets, or lies below its
// base path, is written as the client would ask for it, without a host. So redirects don't
// tell clients of hosts that they can't reach, and the cache sees that what was created by
// a POST is one of its own. What names another host stays.
type locations struct {
	targets []*url.URL
	prefix  string // was taken off on the way there
}

func newLocations(u *config.Upstream, prefix string) *locations {
	l := &locations{prefix: strings.TrimSuffix(prefix, "/")}
	for _, text := range u.Targets {
		if target, err := url.Parse(text); err == nil && target.Host != "" {
			l.targets = append(l.targets, target)
		}
	}
	return l
}

// apply maps the fields of one response.
func (l *locations) apply(resp *http.Response) {
	for _, name := range [...]string{"Location", "Content-Location"} {
		if old := resp.Header.Get(name); old != "" {
			if mapped, ok := l.mapped(old, resp.Request); ok {
				resp.Header.Set(name, mapped)
			}
		}
	}
}

// mapped returns a reference as the client would write it; ok is false if it stays.
func (l *locations) mapped(reference string, sent *http.Request) (mapped string, ok bool) {
	u, err := url.Parse(reference)
	if err != nil || u.Opaque != "" || u.User != nil ||
		u.Host == "" && !strings.HasPrefix(u.EscapedPath(), "/") {
		return "", false
	}
	base, ours := l.base(u, sent)
	if !ours || u.Host == "" && base == "" && l.prefix == "" {
		return "", false
	}
	rest, below := strings.CutPrefix(u.EscapedPath(), base)
	if !below || rest != "" && rest[0] != '/' {
		return "", false
	}
	path := l.prefix + rest
	if path == "" {
		path = "/"
	}
	if strings.HasPrefix(path, "//") {
		path = "/." + path // two slashes would begin with a host (RFC 3986, 4.2)
	}
	if u.RawQuery != "" || u.ForceQuery {
		path += "?" + u.RawQuery
	}
	if u.Fragment != "" {
		path += "#" + u.EscapedFragment()
	}
	return path, true
}

// base returns the base path of the target that a reference names, or that was asked; ours
// is false for another host's.
func (l *locations) base(u *url.URL, sent *http.Request) (base string, ours bool) {
	host := u.Host
	if host == "" || strings.EqualFold(host, sent.Header.Get("X-Forwarded-Host")) {
		host, ours = sent.URL.Host, true // of the target that answered
	}
	for _, t := range l.targets {
		if p := strings.TrimSuffix(t.EscapedPath(), "/"); sameHost(t, host) && len(p) >= len(base) {
			base, ours = p, true
		}
	}
	return base, ours
}

// sameHost compares hosts, default ports aside.
func sameHost(target *url.URL, host string) bool {
	port := ":80"
	if target.Scheme == "https" {
		port = ":443"
	}
	return strings.EqualFold(strings.TrimSuffix(target.Host, port), strings.TrimSuffix(host, port))
}
