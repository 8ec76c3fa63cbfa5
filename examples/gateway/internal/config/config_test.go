package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const valid = `
upstreams:
  a: {targets: ["http://127.0.0.1:1", "embedded:x"], retry: {}, health: {}, breaker: {}}
routes:
  - {path: /, upstream: a}
`

func TestDefaults(t *testing.T) {
	c, err := Parse([]byte(valid))
	if err != nil {
		t.Fatal(err)
	}
	u := c.Upstreams["a"]
	if c.Listen != "127.0.0.1:8080" || c.Cache.MaxBytes != 256<<20 || u.Balance != "round_robin" ||
		u.Retry.Budget != 0.2 || u.Health.Path != "/healthz" || u.Breaker.Failures != 5 || c.Routes[0].Name != "/" || !c.Routes[0].Cached() {
		t.Errorf("%+v\n%+v\n%+v", c, u, c.Routes[0])
	}
}

func TestValuesAreRead(t *testing.T) {
	c, err := Parse([]byte(`
cache: {max_bytes: 64MiB, default_ttl: 90s}
shutdown: {delay: 1s, timeout: 1m}
upstreams:
  a: {targets: ["https://example.org/base"], balance: hash, timeout: {connect: 1s}}
routes:
  - path: /x/{id}
    methods: [GET]
    cache: false
    aggregate: {parts: [{name: a, upstream: a, path: "/y/{id}", optional: true}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	if c.Cache.MaxBytes != 64<<20 || c.Cache.DefaultTTL != 90*time.Second || c.Shutdown.Timeout != time.Minute ||
		c.Routes[0].Cached() || !c.Routes[0].Aggregate.Parts[0].Optional || c.Upstreams["a"].Timeout.Header != 30*time.Second {
		t.Errorf("%+v", c)
	}
}

// Each wrong file must be refused with a message that names the place.
func TestErrorsNameThePlace(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "routes: there must be at least one"},
		{"lisen: x" + valid, "lisen"},
		{"listen: nowhere" + valid, "listen: \"nowhere\" is not an address"},
		{"cache: {max_bytes: 12parsecs}" + valid, "unknown unit"},
		{"cache: {max_bytes: 1k}" + valid, "cache.max_bytes: 1KiB is below"},
		{"cache: {default_ttl: soon}" + valid, "soon"},
		{"log: {access: loud}" + valid, `log.access: "loud" is none of all, sampled, off`},
		{"admin: {path: \"/{x}/\"}" + valid, "admin.path"},
		{"admin: {path: /}" + valid, "admin.path"},
		{"tracing: {sample: 2}" + valid, "tracing.sample"},
		{"upstreams: {a: {targets: []}}\nroutes: [{path: /, upstream: a}]", "upstreams.a.targets: there must be at least one"},
		{"upstreams: {a: {targets: [ftp://x]}}\nroutes: [{path: /, upstream: a}]", `upstreams.a.targets[0]: "ftp://x" is neither`},
		{"upstreams: {a: {targets: [http://x], balance: luck}}\nroutes: [{path: /, upstream: a}]", "upstreams.a.balance"},
		{"upstreams: {a: {targets: [http://x], retry: {budget: 7}}}\nroutes: [{path: /, upstream: a}]", "upstreams.a.retry.budget"},
		{"admin: {token: short}" + valid, "admin.token: has fewer than 16"},
		{"admin: {token_file: /does/not/exist}" + valid, "admin.token_file: open"},
		{"admin: {token: 0123456789abcdef, token_file: x}" + valid, "exclude each other"},
		{"admin: {hosts: [Admin.example]}" + valid, "admin.hosts[0]"},
		{"trusted_proxies: [10.0.0.0/8, nearby]" + valid, `trusted_proxies[1]: "nearby" is neither`},
		{"server: {body_timeout: -1s}" + valid, "server.body_timeout: -1s is negative"},
		{valid + "  - {path: /b, host: API.example, upstream: a}", `.host: "API.example" is not a host as it is compared`},
		{valid + "  - {path: /b, host: \"api.example:80\", upstream: a}", ".host"},
		{valid + "  - {path: /b, host: api.example., upstream: a}", ".host"},
		{valid + "  - {path: /b/../c, upstream: a}", `has a segment ".."`},
		{valid + "  - {path: /b/%2e/c, upstream: a}", `has a segment "%2e"`},
		{valid + "  - {path: /b//c, upstream: a}", "empty segment"},
		{valid + "  - {path: /bc/, strip_prefix: /b, upstream: a}", "strip_prefix"},
		{valid + "  - {path: \"/{x}/y\", strip_prefix: \"/{x}\", upstream: a}", "strip_prefix"},
		{"request_id: X_Id" + valid, "request_id: \"X_Id\" has an underscore"},
		{valid + "  - {path: /b, upstream: a, client_rate_limit: {requests: 1, key: api_key}}", "client_rate_limit.key"},
		{"cache: {ignore_query: [a=b]}" + valid, "cache.ignore_query[0]"},
		{valid + "  - {path: /b, upstream: a, ignore_query: [\"*\"]}", "ignore_query[0]"},
		{"routes: [{path: /, upstream: b}]", `routes[0] (/).upstream: there is no upstream "b"`},
		{valid + "  - {name: /, path: /b, upstream: a}", "routes[1] (/): has the name of routes[0]"},
		{valid + "  - {name: twin, path: /, upstream: a}", "routes[1] (twin): pattern \"/\" "},
		{valid + "  - {path: b, upstream: a}", "does not begin with a slash"},
		{valid + "  - {path: /b}", "must have either an upstream or an aggregate"},
		{valid + "  - {path: /b, upstream: a, compress: [lzma]}", "compress"},
		{valid + "  - {path: /b, upstream: a, cors: {origins: [\"*\"], credentials: true}}", "cors"},
		{valid + "  - {path: /b, upstream: a, rate_limit: {}}", "rate_limit"},
		{valid + "  - {path: /b, upstream: a, ttl_override: true}", "ttl_override"},
		{valid + "  - {path: /b, aggregate: {parts: [{name: x, upstream: a, path: \"/{id}\"}]}}", "{id} is not in the route's path"},
	} {
		if _, err := Parse([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n\tgave: %v\n\twant: %s", c.text, err, c.want)
		}
	}
}

func TestAllErrorsAreToldAtOnce(t *testing.T) {
	_, err := Parse([]byte("listen: x\npprof: y\nroutes: [{path: /, upstream: z}]"))
	if err == nil || len(strings.Split(err.Error(), "\n")) != 3 {
		t.Errorf("want three errors, got: %v", err)
	}
}

func TestLoadNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateway.yaml")
	if _, err := Load(path); err == nil {
		t.Error("a missing file was read")
	}
	if err := os.WriteFile(path, []byte("routes: []"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]Size{
		"256MiB": 256 << 20, "1.5GiB": 3 << 29, "64k": 64 << 10, "64KB": 64000, "4096": 4096, " 2 g ": 2 << 30, "10B": 10,
	} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MiB", "-1MiB", "1.2.3", "1TiB2", "9999999999GiB", "0x10"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q was read as %d", text, got)
		}
	}
	for size, want := range map[Size]string{256 << 20: "256MiB", 1 << 30: "1GiB", 1000: "1000B", 0: "0B"} {
		if got := size.String(); got != want {
			t.Errorf("%d: %q, want %q", int64(size), got, want)
		}
	}
}

// A wrong duration or size is told with its line, its key and what a right one looks like.
func TestScalarsNameLineAndKey(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"cache:\n  default_ttl: 2", `line 2, cache.default_ttl: "2" is no duration: write one such as 2s`},
		{"cache:\n  max_body_bytes: 1k\n  max_bytes: 64MBit", `line 3, cache.max_bytes: size "64MBit": unknown unit`},
		{"upstreams:\n  a:\n    health: {interval: 2}", `line 3, upstreams.a.health.interval: "2" is no duration`},
		{"routes:\n  - path: /\n    timeout: soon", `line 3, routes[0].timeout: "soon" is no duration`},
		{"routes:\n  - path: /\n    cors: {max_age: 1.5}", `line 3, routes[0].cors.max_age: "1.5" is no duration`},
	} {
		if _, err := Parse([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n\tgave: %v\n\twant: %s", c.text, err, c.want)
		}
	}
}

// Half a timeout keeps the other half's default, and 0 switches only its own off.
func TestHalfATimeout(t *testing.T) {
	for text, want := range map[string][2]time.Duration{
		"":                          {5 * time.Second, 30 * time.Second},
		"{connect: 1s}":             {time.Second, 30 * time.Second},
		"{header: 1s}":              {5 * time.Second, time.Second},
		"{header: 0s}":              {5 * time.Second, 0},
		"{connect: 0s, header: 0s}": {0, 0},
	} {
		c, err := Parse([]byte("upstreams: {a: {targets: [http://x], timeout: " + text + "}}\nroutes: [{path: /, upstream: a}]"))
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if u := c.Upstreams["a"].Timeout; u.Connect != want[0] || u.Header != want[1] {
			t.Errorf("%s: %+v, want %v", text, u, want)
		}
	}
	if _, err := Parse([]byte("upstreams: {a: {targets: [http://x], timeout: {conect: 1s}}}\nroutes: [{path: /, upstream: a}]")); err == nil {
		t.Error("a misspelt name within a timeout passed")
	}
}
