package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// problems collects everything that is wrong, each with its place.
type problems []error

func (p *problems) add(place, format string, args ...any) {
	*p = append(*p, fmt.Errorf("%s: %s", place, fmt.Sprintf(format, args...)))
}

func (p *problems) check(ok bool, place, format string, args ...any) {
	if !ok {
		p.add(place, format, args...)
	}
}

func (p *problems) oneOf(place, value string, allowed ...string) {
	p.check(slices.Contains(allowed, value), place, "%q is none of %s", value, strings.Join(allowed, ", "))
}

func (p *problems) address(place, value string, optional bool) {
	if value == "" && optional {
		return
	}
	_, _, err := net.SplitHostPort(value)
	p.check(err == nil, place, "%q is not an address such as 127.0.0.1:8080", value)
}

func (p *problems) notNegative(place string, d time.Duration) {
	p.check(d >= 0, place, "%v is negative", d)
}

func (c *Config) validate() error {
	var p problems
	p.address("listen", c.Listen, false)
	p.address("admin.listen", c.Admin.Listen, true)
	p.check(len(c.Admin.Path) > 2 && c.Admin.Path[0] == '/' && strings.HasSuffix(c.Admin.Path, "/") && !strings.ContainsAny(c.Admin.Path, "{} "),
		"admin.path", "%q must begin and end with a slash, have something between, and no braces or spaces", c.Admin.Path)
	c.Admin.validate(&p)
	c.Fleet.validate(&p)
	for i, text := range c.TrustedProxies {
		_, err := parseNetwork(text)
		p.check(err == nil, fmt.Sprintf("trusted_proxies[%d]", i), "%q is neither an address nor a prefix such as 10.0.0.0/8", text)
	}
	p.address("pprof", c.Pprof, true)
	p.oneOf("log.format", c.Log.Format, "text", "json")
	p.oneOf("log.access", c.Log.Access, "all", "sampled", "off")
	p.check(c.Log.AccessPerSecond > 0, "log.access_per_second", "must be above 0")
	p.check(c.RequestID == "" || httpguts.ValidHeaderFieldName(c.RequestID), "request_id", "%q is not a header field's name", c.RequestID)
	p.check(c.Tracing.Sample >= 0 && c.Tracing.Sample <= 1, "tracing.sample", "%v is not within 0 and 1", c.Tracing.Sample)
	p.check(c.Cache.MaxBytes >= 1<<20, "cache.max_bytes", "%v is below 1MiB", c.Cache.MaxBytes)
	p.check(c.Cache.MaxBodyBytes > 0, "cache.max_body_bytes", "must be above 0")
	p.check(c.Server.MaxHeaderBytes >= 4<<10, "server.max_header_bytes", "%v is below 4KiB", c.Server.MaxHeaderBytes)
	p.check(c.Server.MaxConnections >= 0, "server.max_connections", "is negative")
	p.check(c.Demo.Load >= 0, "demo.load", "is negative")
	p.notNegative("server.read_header_timeout", c.Server.ReadHeaderTimeout)
	p.notNegative("server.idle_timeout", c.Server.IdleTimeout)
	p.notNegative("server.body_timeout", c.Server.BodyTimeout)
	p.notNegative("server.send_timeout", c.Server.SendTimeout)
	p.notNegative("shutdown.delay", c.Shutdown.Delay)
	p.notNegative("shutdown.timeout", c.Shutdown.Timeout)
	p.parameters("cache.ignore_query", c.Cache.IgnoreQuery)
	c.checkUnderscores(&p)
	p.notNegative("cache.default_ttl", c.Cache.DefaultTTL)
	p.notNegative("cache.stale_while_revalidate", c.Cache.StaleWhileRevalidate)
	p.notNegative("cache.stale_if_error", c.Cache.StaleIfError)
	for _, name := range slices.Sorted(maps.Keys(c.Upstreams)) {
		c.Upstreams[name].validate(&p, "upstreams."+name)
	}
	p.check(len(c.Routes) > 0, "routes", "there must be at least one")
	c.validateRoutes(&p)
	return errors.Join(p...)
}

func (u *Upstream) validate(p *problems, place string) {
	if u == nil || len(u.Targets) == 0 {
		p.add(place+".targets", "there must be at least one")
		return
	}
	for i, t := range u.Targets {
		if name, ok := strings.CutPrefix(t, "embedded:"); ok && name != "" {
			continue
		}
		target, err := url.Parse(t)
		p.check(err == nil && (target.Scheme == "http" || target.Scheme == "https") && target.Host != "" && target.RawQuery == "" && target.User == nil,
			fmt.Sprintf("%s.targets[%d]", place, i), "%q is neither a URL such as http://10.0.0.1:8080 nor embedded:NAME", t)
	}
	p.oneOf(place+".balance", u.Balance, "round_robin", "least_requests", "hash")
	p.check(u.MaxConnections >= 0, place+".max_connections", "is negative")
	p.notNegative(place+".timeout.connect", u.Timeout.Connect)
	p.notNegative(place+".timeout.header", u.Timeout.Header)
	p.notNegative(place+".timeout.body", u.Timeout.Body)
	p.notNegative(place+".timeout.stream", u.Timeout.Stream)
	p.notNegative(place+".timeout.queue", u.Timeout.Queue)
	p.notNegative(place+".timeout.idle", u.Timeout.Idle)
	p.notNegative(place+".timeout.age", u.Timeout.Age)
	p.notNegative(place+".timeout.ping", u.Timeout.Ping)
	p.notNegative(place+".timeout.continue", u.Timeout.Continue)
	if h := u.Health; h != nil {
		_, err := url.Parse(h.Path)
		p.check(err == nil && strings.HasPrefix(h.Path, "/"), place+".health.path",
			"%q is not a path that begins with a slash", h.Path)
		p.check(h.Interval > 0 && h.Timeout > 0, place+".health", "interval and timeout must be above 0")
		p.check(h.Rise > 0 && h.Fall > 0, place+".health", "rise and fall must be above 0")
	}
	if r := u.Retry; r != nil {
		p.check(r.Attempts >= 1 && r.Attempts <= 10, place+".retry.attempts", "%d is not within 1 and 10", r.Attempts)
		p.check(r.Budget > 0 && r.Budget <= 1, place+".retry.budget", "%v is not above 0 and at most 1", r.Budget)
		p.check(r.MinPerSecond > 0, place+".retry.min_per_second", "must be above 0")
		p.notNegative(place+".retry.backoff", r.Backoff)
		for _, s := range r.Statuses {
			p.check(s >= 400 && s <= 599, place+".retry.statuses", "%d is not an error status", s)
		}
	}
	if b := u.Breaker; b != nil {
		p.check(b.Failures > 0 && b.Open > 0 && b.Probes > 0, place+".breaker", "failures, open and probes must be above 0")
		for _, s := range b.Statuses {
			p.check(s >= 400 && s <= 599, place+".breaker.statuses", "%d is not an error status", s)
		}
	}
}

// isHost tells whether a route's host can equal a request's in its normal form.
func isHost(host string) bool {
	return !strings.HasSuffix(host, ".") && !strings.HasPrefix(host, ".") && !strings.Contains(host, "..") &&
		host == strings.Map(hostByte, host)
}

func hostByte(c rune) rune {
	if c < 128 && strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-_.", c) {
		return c
	}
	return -1
}

// path checks the path of a pattern: one that is not clean matches nothing.
func (p *problems) path(place, path string) {
	p.check(strings.HasPrefix(path, "/"), place, "%q does not begin with a slash", path)
	p.check(!strings.ContainsAny(path, " \t\\?#"), place, "%q has a character that stands in no path", path)
	p.check(!strings.Contains(path, "//"), place, "%q has an empty segment, and so matches nothing", path)
	for segment := range strings.SplitSeq(path, "/") {
		decoded, err := url.PathUnescape(segment)
		p.check(err == nil && decoded != "." && decoded != "..", place, "%q has a segment %q, and so matches nothing", path, segment)
	}
}

// checkUnderscores tells of fields that would never be seen.
func (c *Config) checkUnderscores(p *problems) {
	if c.Server.UnderscoreHeaders {
		return
	}
	const problem = "%q has an underscore, and such fields are dropped: see server.underscore_headers"
	p.check(!strings.Contains(c.RequestID, "_"), "request_id", problem, c.RequestID)
	for i, r := range c.Routes {
		if r != nil && r.ClientRateLimit != nil {
			key := r.ClientRateLimit.Key
			p.check(!strings.Contains(key, "_"), fmt.Sprintf("routes[%d] (%s).client_rate_limit.key", i, r.Name), problem, key)
		}
	}
}

// parameters checks names of query parameters.
func (p *problems) parameters(place string, names []string) {
	for i, name := range names {
		stem := strings.TrimSuffix(name, "*")
		p.check(stem != "" && !strings.ContainsAny(stem, "*&=#? "), fmt.Sprintf("%s[%d]", place, i),
			"%q is not a parameter's name, such as gclid, nor the beginning of one, such as utm_*", name)
	}
}

// beginsWith tells whether a path begins with a prefix of whole segments.
func beginsWith(path, prefix string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && prefix[0] == '/' && !strings.ContainsAny(prefix, "{}") &&
		(rest == "" || rest[0] == '/' || strings.HasSuffix(prefix, "/"))
}

func (c *Config) validateRoutes(p *problems) {
	names := make(map[string]int)
	mux := http.NewServeMux()
	for i, r := range c.Routes {
		place := fmt.Sprintf("routes[%d]", i)
		if r == nil {
			p.add(place, "is empty")
			continue
		}
		place = fmt.Sprintf("%s (%s)", place, r.Name)
		if first, taken := names[r.Name]; taken {
			p.add(place, "has the name of routes[%d]", first)
		}
		names[r.Name] = i
		r.validate(p, place, c.Upstreams)
		for _, pattern := range r.Patterns() {
			if err := tryPattern(mux, pattern); err != nil {
				p.add(place, "%v", err)
			}
		}
	}
}

// Patterns are the route's patterns for an http.ServeMux.
func (r *Route) Patterns() []string {
	if len(r.Methods) == 0 {
		return []string{r.Host + r.Path}
	}
	var out []string
	for _, m := range r.Methods {
		out = append(out, m+" "+r.Host+r.Path)
	}
	return out
}

// tryPattern tells what ServeMux says by panicking.
func tryPattern(mux *http.ServeMux, pattern string) (err error) {
	defer func() {
		if problem := recover(); problem != nil {
			err = fmt.Errorf("%v", problem)
		}
	}()
	mux.Handle(pattern, http.NotFoundHandler())
	return nil
}

func (r *Route) validate(p *problems, place string, upstreams map[string]*Upstream) {
	known := func(place, name string) {
		_, ok := upstreams[name]
		p.check(ok, place, "there is no upstream %q; there are: %s", name, strings.Join(slices.Sorted(maps.Keys(upstreams)), ", "))
	}
	p.path(place+".path", r.Path)
	p.check(r.Host == "" || isHost(r.Host), place+".host", "%q is not a host as it is compared: lower case, no port, no dot at the end", r.Host)
	p.check((r.Upstream == "") != (r.Aggregate == nil), place, "must have either an upstream or an aggregate")
	if r.Upstream != "" {
		known(place+".upstream", r.Upstream)
	}
	for _, m := range r.Methods {
		p.check(httpguts.ValidHeaderFieldName(m) && m == strings.ToUpper(m), place+".methods", "%q is not a method such as GET", m)
	}
	p.check(r.StripPrefix == "" || beginsWith(r.Path, r.StripPrefix), place+".strip_prefix", "%q is not where the path %q begins, in whole segments without wildcards", r.StripPrefix, r.Path)
	p.parameters(place+".ignore_query", r.IgnoreQuery)
	p.check(!r.Fields || !slices.Contains(r.IgnoreQuery, "fields"), place+".ignore_query", "fields makes a difference to this route")
	p.notNegative(place+".ttl", r.TTL)
	p.check(!r.TTLOverride || r.TTL > 0, place+".ttl_override", "needs a ttl above 0")
	p.notNegative(place+".timeout", r.Timeout)
	for _, e := range r.Compress {
		p.oneOf(place+".compress", e, "zstd", "br", "gzip")
	}
	if a := r.Aggregate; a != nil {
		a.validate(p, place+".aggregate", r.Path, known)
	}
	if c := r.CORS; c != nil {
		p.check(len(c.Origins) > 0, place+".cors.origins", "there must be at least one")
		p.check(!c.Credentials || !slices.Contains(c.Origins, "*"), place+".cors", "credentials for every origin would let any site act as the user")
		p.notNegative(place+".cors.max_age", c.MaxAge)
	}
	if l := r.RateLimit; l != nil {
		p.check(l.PerSecond > 0 && l.Burst > 0, place+".rate_limit", "per_second and burst must be above 0")
	}
	if l := r.ClientRateLimit; l != nil {
		p.check(l.Requests > 0 && l.Per > 0, place+".client_rate_limit", "requests and per must be above 0")
		p.check(httpguts.ValidHeaderFieldName(l.Key), place+".client_rate_limit.key", "%q is neither ip nor a header field's name", l.Key)
	}
}

func (a *Aggregate) validate(p *problems, place, path string, known func(place, name string)) {
	p.check(len(a.Parts) > 0, place+".parts", "there must be at least one")
	names := make(map[string]bool)
	for i, part := range a.Parts {
		place := fmt.Sprintf("%s.parts[%d]", place, i)
		if part == nil {
			p.add(place, "is empty")
			continue
		}
		p.check(part.Name != "" && (part.Name == "." || !names[part.Name]), place+".name", "%q is empty or taken", part.Name)
		names[part.Name] = true
		known(place+".upstream", part.Upstream)
		target, _, _ := strings.Cut(part.Path, "?")
		p.path(place+".path", target)
		p.check(part.Timeout > 0, place+".timeout", "must be above 0")
		for _, w := range Wildcards(part.Path) {
			p.check(slices.Contains(Wildcards(path), w), place+".path", "{%s} is not in the route's path %q", w, path)
		}
	}
}

// Wildcards returns the names in braces of a pattern.
func Wildcards(pattern string) []string {
	var out []string
	for {
		_, rest, ok := strings.Cut(pattern, "{")
		if !ok {
			return out
		}
		name, after, ok := strings.Cut(rest, "}")
		if !ok {
			return out
		}
		out = append(out, strings.TrimSuffix(name, "..."))
		pattern = after
	}
}
