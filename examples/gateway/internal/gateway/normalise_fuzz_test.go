package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

const fuzzed = `
trusted_proxies: [192.0.2.1]
upstreams:
  tenant: {targets: ["%s/tenant"]}
  admin: {targets: ["%s/admin"]}
  strip: {targets: ["%s/strip"]}
  rest: {targets: ["%s/rest"]}
routes:
  - {name: tenant, host: t.example, path: /, upstream: tenant, cache: %c}
  - {name: admin, path: /admin/, upstream: admin, cache: %c}
  - {name: strip, path: /p/, strip_prefix: /p, upstream: strip, cache: %c}
  - {name: rest, path: /, upstream: rest, cache: %c}
`

// gatewayFor returns a gateway that answers without a listener.
func gatewayFor(f *testing.F, text string) http.Handler {
	c, err := config.Parse([]byte(text))
	if err != nil {
		f.Fatal(err)
	}
	c.Cache.MaxBytes = 16 << 20
	g, err := New(c, slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { g.Close() })
	return g
}

// FuzzRouteKeyAndUpstreamAgree sends what a client may write to a gateway with a cache and
// to one without, in front of an upstream that tells what it was sent. Both must answer the
// same, whatever was stored before: else the key is blind to something. And whatever the
// upstream may take the path for must be the route's, within its base path.
func FuzzRouteKeyAndUpstreamAgree(f *testing.F) {
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=600")
		fmt.Fprintf(w, "%s\n%s\n%s", r.RequestURI, r.Header.Get("X-Forwarded-Host"), r.Header.Get("X-Forwarded-Proto"))
	}))
	f.Cleanup(back.Close)
	text := strings.ReplaceAll(fuzzed, "%s", back.URL)
	cached := gatewayFor(f, strings.ReplaceAll(text, "%c", "true"))
	plain := gatewayFor(f, strings.ReplaceAll(text, "%c", "false"))

	for _, host := range []string{"h.example", "T.example.:80", "t.example", "h.example:8080", "[::1]:80", "x..y"} {
		for _, target := range []string{
			"/", "/x?y", "/admin/x", "/p/x", "/p/../admin/x", "/p/%2e%2e/admin", "/p/..%2fadmin/", "/p/..;/admin/", "/%61dmin/x",
			"/admin%2Fx", "//admin/x", "/x\\..\\admin/", "/./p//x/", "http://T.example/x", "/a%2Fb\"", "/..", "/p/..", "/p", "/p%2f", "/%2F", "/%5C",
			"/p;/x", "/p/;/../x", "/%2e", "*", "x", "/%zz", "/p/%00", "/p/..%00/x", "/admin;%2f", "/p/.%5c.%2fx",
		} {
			f.Add(host, target, "", "")
			f.Add(host, target, "T.Example, h.example", "https")
		}
	}
	f.Fuzz(func(t *testing.T, host, target, forwardedHost, proto string) {
		ask := func(h http.Handler) (int, string) {
			text := "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n"
			if forwardedHost != "" {
				text += "X-Forwarded-For: 203.0.113.9, 192.0.2.1\r\nX-Forwarded-Host: " + forwardedHost + "\r\nX-Forwarded-Proto: " + proto + "\r\n"
			}
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text + "\r\n")))
			if err != nil || len(r.Header) > 4 || r.ContentLength != 0 || r.Method != "GET" || r.RequestURI != target {
				return 0, "" // net/http would not let it through, or it is more than one message
			}
			if r.RemoteAddr = "203.0.113.7:1"; forwardedHost != "" {
				r.RemoteAddr = "192.0.2.1:1"
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r.WithContext(ctx))
			body, _ := io.ReadAll(w.Body)
			return w.Code, string(body)
		}
		status, body := ask(plain)
		if status == 0 || strings.Contains(target, "_larder") || strings.Contains(target, "?") {
			return
		}
		for range 2 {
			if again, other := ask(cached); again != status || other != body {
				t.Fatalf("%q of %q (%q, %q): %d %q without a cache, %d %q with one", target, host, forwardedHost, proto, status, body, again, other)
			}
		}
		sent := strings.Split(body, "\n")
		if status != http.StatusOK || len(sent) != 3 {
			return // refused, redirected, or one of the gateway's own pages
		}
		name, rest, _ := strings.Cut(strings.TrimPrefix(sent[0], "/"), "/")
		if name == "strip" {
			rest = "p/" + rest
		}
		for _, reading := range readings("/" + rest) {
			if want := routeOf(sent[1], reading); want != name {
				t.Fatalf("%q of %q reached %s by route %s; read as %s it is %s's", target, host, sent[0], name, reading, want)
			}
		}
	})
}

// readings are what upstreams that decode a path may take it for, each written in another way than the
// gateway does it.
func readings(escaped string) []string {
	decoded, err := url.PathUnescape(escaped)
	if err != nil {
		decoded = escaped
	}
	slashes := strings.ReplaceAll(decoded, `\`, "/")
	segments := strings.Split(slashes, "/")
	for i, s := range segments {
		segments[i] = strings.Split(s, ";")[0]
	}
	bare := strings.Join(segments, "/")
	return []string{resolved(decoded), resolved(slashes), resolved(bare)}
}

// resolved resolves dot segments as an upstream would that has nothing above its root.
func resolved(p string) string {
	clean := path.Clean("/" + p)
	if last := p[strings.LastIndexByte(p, '/')+1:]; clean != "/" && (last == "" || last == "." || last == "..") {
		clean += "/"
	}
	return clean
}

// routeOf is the configuration above, in so many words.
func routeOf(host, path string) string {
	switch {
	case host == "t.example", strings.HasPrefix(host, "t.example:"):
		return "tenant"
	case strings.HasPrefix(path, "/admin/"):
		return "admin"
	case strings.HasPrefix(path, "/p/"):
		return "strip"
	}
	return "rest"
}
