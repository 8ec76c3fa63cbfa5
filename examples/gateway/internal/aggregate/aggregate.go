// Package aggregate makes one JSON answer of several, fetched in parallel.
//
// Each part is asked through a handler of its own, usually a cache, and takes
// part in the answer's lifetime: the whole is fresh no longer than its least
// fresh part, is stored only if every part may be, varies on what any part
// varies on, and carries the tags and the sources of all. That goes for what a part that
// cannot be used was answered with as well: who asked may be why.
package aggregate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/tidwall/gjson"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
	"github.com/larder-cache/larder/examples/gateway/internal/jsontext"
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
	// Log is told of parts whose handlers panic.
	Log *slog.Logger
}

// answer is what became of one part.
type answer struct {
	*respond.Buffer
	request *http.Request // as the part's handler was asked
	late    bool          // there was no answer in time
	usable  bool          // it is JSON
}

// Handler merges the parts.
func Handler(parts []Part, o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			upstream.Problem(w, http.StatusMethodNotAllowed, "")
			return
		}
		if dots(parts, r) {
			upstream.Problem(w, http.StatusBadRequest, "a segment of the path is . or ..")
			return
		}
		answers := make([]answer, len(parts))
		var all sync.WaitGroup
		for i, p := range parts {
			all.Go(func() { p.ask(&answers[i], r, o) })
		}
		all.Wait()
		switch err := context.Cause(r.Context()); {
		case errors.Is(err, context.DeadlineExceeded):
			upstream.Problem(w, http.StatusGatewayTimeout, "")
			return
		case err != nil:
			panic(http.ErrAbortHandler) // the client has gone, and nobody else waits
		}
		merge(w, r, parts, answers, o)
	})
}

// dots tells whether a wildcard's value would lead a part's path elsewhere.
func dots(parts []Part, r *http.Request) bool {
	for _, p := range parts {
		for _, name := range config.Wildcards(p.Path) {
			for segment := range strings.SplitSeq(r.PathValue(name), "/") {
				if segment == "." || segment == ".." {
					return true
				}
			}
		}
	}
	return false
}

// ask fetches one part. It runs in a goroutine of its own: a handler that panics is a part
// that failed.
func (p Part) ask(a *answer, r *http.Request, o Options) {
	ctx, cancel := context.WithTimeout(r.Context(), p.Timeout)
	defer cancel()
	a.request = p.request(r.Clone(ctx), r)
	a.Buffer = new(respond.Buffer) // should the handler end the goroutine
	a.Buffer = respond.Serve(p.Handler, a.request, o.MaxPartBytes)
	a.late = ctx.Err() != nil || a.Status == http.StatusGatewayTimeout
	switch {
	case a.Panic != nil && a.Panic != http.ErrAbortHandler:
		o.Log.Error("a part panicked", "part", p.Name, "panic", a.Panic, "stack", string(a.Stack))
	case a.Whole && a.Status == http.StatusOK && a.Decode(o.MaxPartBytes) == nil:
		a.usable = jsontext.Valid(a.Body.Bytes())
	}
}

// request makes of a copy of the client's request the one for the part. What is wanted is
// always the whole part, and without any coding.
func (p Part) request(inner, r *http.Request) *http.Request {
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
		"If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range", "Range",
		"Content-Type", "Content-Length", "Transfer-Encoding", "Expect",
	} {
		inner.Header.Del(name)
	}
	inner.Header["Accept-Encoding"] = []string{"identity"}
	return inner
}

// expand fills the wildcards of the route's path into the part's: encoded as one path
// segment each (a wildcard for the rest of a path keeps its slashes), in the query as a
// parameter's value.
func (p Part) expand(r *http.Request) string {
	path, query, asked := strings.Cut(p.Path, "?")
	for _, name := range config.Wildcards(p.Path) {
		value := r.PathValue(name)
		segment := url.PathEscape(value)
		path = strings.ReplaceAll(path, "{"+name+"...}", strings.ReplaceAll(segment, "%2F", "/"))
		path = strings.ReplaceAll(path, "{"+name+"}", segment)
		query = strings.ReplaceAll(query, "{"+name+"...}", url.QueryEscape(value))
		query = strings.ReplaceAll(query, "{"+name+"}", url.QueryEscape(value))
	}
	if asked {
		return path + "?" + query
	}
	return path
}

// errPart says why there is no whole.
var errPart = errors.New("a part is missing")

func merge(w http.ResponseWriter, r *http.Request, parts []Part, answers []answer, o Options) {
	h := w.Header()
	vary(h, answers)
	body, err := join(parts, answers)
	if err != nil {
		fail(w, parts, answers, err)
		return
	}
	freshness(h, r, answers)
	tags(h, answers, o.TagField)
	sources(h, parts, answers)
	missing(h, parts, answers)
	h.Set("Content-Type", "application/json")
	h.Set("Etag", etag(body))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body)
}

// fail answers with the status of the first required part that the client can
// do something about, such as 404; or else 504 if one was too late; or else 502.
func fail(w http.ResponseWriter, parts []Part, answers []answer, err error) {
	status := http.StatusBadGateway
	for i, p := range parts {
		a := &answers[i]
		switch {
		case p.Optional || a.usable:
		case a.Whole && a.Status >= 400 && a.Status < 500:
			for _, name := range []string{"Www-Authenticate", "Retry-After"} { // what it can do
				if values := a.Header()[name]; values != nil {
					w.Header()[name] = values
				}
			}
			upstream.Problem(w, a.Status, fmt.Sprintf("%s: %s", p.Name, http.StatusText(a.Status)))
			return
		case a.late:
			status = http.StatusGatewayTimeout
		}
	}
	upstream.Problem(w, status, err.Error())
}

// join writes the merged object. Parts stand in it as the upstreams wrote them.
func join(parts []Part, answers []answer) ([]byte, error) {
	out := []byte{'{'}
	for i, p := range parts {
		var text []byte
		if answers[i].usable {
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
