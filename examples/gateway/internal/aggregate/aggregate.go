// Package aggregate makes one JSON answer of several, fetched in parallel.
//
// Each part is asked through a handler of its own, usually a cache, and takes
// part in the answer's lifetime: the whole is fresh no longer than its least
// fresh part, is stored only if every part may be, varies on what any part
// varies on, and carries the tags of all.
package aggregate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/tidwall/gjson"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
	"github.com/larder-cache/larder/examples/gateway/internal/respond"
	"github.com/larder-cache/larder/examples/gateway/internal/upstream"
)

// Part is one of the answers, and who gives it.
type Part struct {
	*config.Part
	Handler http.Handler
	// Host is the request's host. Together with the path it is the part's
	// identity in a cache; a name that no client can ask for keeps it apart
	// from clients' requests.
	Host string
}

// Options configures a Handler.
type Options struct {
	// MaxPartBytes bounds each part.
	MaxPartBytes int
	// TagField is where parts carry their tags, besides Surrogate-Key.
	TagField string
}

// Handler merges the parts.
func Handler(parts []Part, o Options) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			upstream.Problem(w, http.StatusMethodNotAllowed, "")
			return
		}
		answers := make([]*respond.Buffer, len(parts))
		var all sync.WaitGroup
		for i, p := range parts {
			all.Go(func() { answers[i] = p.ask(r, o.MaxPartBytes) })
		}
		all.Wait()
		if r.Context().Err() != nil {
			panic(http.ErrAbortHandler) // the client has gone, and nobody else waits
		}
		merge(w, parts, answers, o)
	})
}

// ask fetches one part. It returns nil if there is no whole answer in time.
func (p Part) ask(r *http.Request, limit int) *respond.Buffer {
	ctx, cancel := context.WithTimeout(r.Context(), p.Timeout)
	defer cancel()
	inner := r.Clone(ctx)
	inner.Method, inner.Body, inner.ContentLength = http.MethodGet, http.NoBody, 0
	inner.Host = p.Host
	target, query, _ := strings.Cut(p.expand(r), "?")
	inner.URL = &url.URL{Path: target, RawQuery: query}
	if unescaped, err := url.PathUnescape(target); err == nil {
		inner.URL.Path, inner.URL.RawPath = unescaped, target
	}
	if p.Query && r.URL.RawQuery != "" {
		inner.URL.RawQuery = strings.TrimPrefix(query+"&"+r.URL.RawQuery, "&")
	}
	inner.RequestURI = inner.URL.RequestURI()
	for _, name := range []string{
		"If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range", "Range", "Accept-Encoding",
		"Content-Type", "Content-Length", "Transfer-Encoding",
	} {
		inner.Header.Del(name)
	}
	b := respond.Serve(p.Handler, inner, limit)
	if !b.Whole || ctx.Err() != nil && b.Status >= http.StatusInternalServerError {
		return nil
	}
	return b
}

// expand fills the wildcards of the route's path into the part's, encoded as
// one path segment each; a wildcard for the rest of a path keeps its slashes.
func (p Part) expand(r *http.Request) string {
	path := p.Path
	for _, name := range config.Wildcards(p.Path) {
		value := r.PathValue(name)
		escaped := url.PathEscape(value)
		if strings.Contains(path, "{"+name+"...}") {
			escaped = strings.ReplaceAll(escaped, "%2F", "/")
		}
		path = strings.ReplaceAll(path, "{"+name+"...}", escaped)
		path = strings.ReplaceAll(path, "{"+name+"}", escaped)
	}
	return path
}

// errPart says why there is no whole.
var errPart = errors.New("a part is missing")

func merge(w http.ResponseWriter, parts []Part, answers []*respond.Buffer, o Options) {
	body, err := join(parts, answers)
	if err != nil {
		fail(w, parts, answers, err)
		return
	}
	h := w.Header()
	freshness(h, parts, answers)
	vary(h, answers)
	tags(h, answers, o.TagField)
	h.Set("Content-Type", "application/json")
	h.Set("Etag", etag(body))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body)
}

// fail answers with the status of the first required part that the client can
// do something about, such as 404, or else 502.
func fail(w http.ResponseWriter, parts []Part, answers []*respond.Buffer, err error) {
	for i, p := range parts {
		if b := answers[i]; !p.Optional && b != nil && b.Status >= 400 && b.Status < 500 {
			upstream.Problem(w, b.Status, fmt.Sprintf("%s: %s", p.Name, http.StatusText(b.Status)))
			return
		}
	}
	upstream.Problem(w, http.StatusBadGateway, err.Error())
}

// join writes the merged object. Parts stand in it as the upstreams wrote them.
func join(parts []Part, answers []*respond.Buffer) ([]byte, error) {
	out := []byte{'{'}
	for i, p := range parts {
		var text []byte
		if usable(answers[i]) {
			text = answers[i].Body.Bytes()
		} else if !p.Optional {
			return nil, fmt.Errorf("%s: %w", p.Name, errPart)
		}
		if p.Name != "." {
			out = appendMember(out, p.Name, text)
			continue
		}
		object := gjson.ParseBytes(text)
		if text != nil && !object.IsObject() {
			return nil, fmt.Errorf("a part to be merged is no object: %w", errPart)
		}
		object.ForEach(func(key, value gjson.Result) bool {
			out = appendMember(out, key.String(), []byte(value.Raw))
			return true
		})
	}
	return append(out, '}', '\n'), nil
}

func appendMember(out []byte, name string, text []byte) []byte {
	if len(out) > 1 {
		out = append(out, ',')
	}
	key, _ := json.Marshal(name) // a string: cannot fail
	out = append(append(out, key...), ':')
	if text == nil {
		return append(out, "null"...)
	}
	return append(out, strings.TrimSpace(string(text))...)
}

// usable tells whether an answer can be a part.
func usable(b *respond.Buffer) bool {
	return b != nil && b.Status == http.StatusOK && gjson.ValidBytes(b.Body.Bytes())
}
