package fields

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/larder-cache/larder/go/httpcache"

	"github.com/larder-cache/larder/examples/gateway/internal/coding"
	"github.com/larder-cache/larder/examples/gateway/internal/etags"
	"github.com/larder-cache/larder/examples/gateway/internal/respond"
	"github.com/larder-cache/larder/examples/gateway/internal/upstream"
)

// Route sends requests with a selection to projected, with the selection in its
// canonical form at the end of the query, and others to whole.
func Route(whole, projected http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, text, given := Split(r.URL.RawQuery)
		if r.Header["If-Match"] != nil || r.Header["If-None-Match"] != nil {
			// Whoever changes a resource may have its tag from a selection.
			r = withQuery(r, r.URL.RawQuery)
			r.Header = r.Header.Clone()
			etags.Restore(r)
		}
		if !given {
			whole.ServeHTTP(w, r)
			return
		}
		selection, err := Parse(text)
		if err != nil {
			upstream.Problem(w, http.StatusBadRequest, err.Error())
			return
		}
		if rest != "" {
			rest += "&"
		}
		projected.ServeHTTP(w, withQuery(r, rest+"fields="+url.QueryEscape(selection.String())))
	})
}

func withQuery(r *http.Request, rawQuery string) *http.Request {
	out := *r
	u := *r.URL
	u.RawQuery, u.ForceQuery = rawQuery, false
	out.URL = &u
	return &out
}

// Handler answers requests with a selection with the selected part of what
// whole answers without it. Whole is best a cache, so that the upstream is
// asked once for all selections. Responses of more than limit bytes are not
// projected: they are an error. Those that are no JSON, or nested deeper than
// jsontext.MaxNesting, are passed on whole.
//
// source identifies what whole makes its answer from: what is stored of a selection goes
// when that changes.
func Handler(whole http.Handler, limit int, source func(inner *http.Request) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, text, _ := Split(r.URL.RawQuery)
		selection, err := Parse(text)
		if err != nil {
			upstream.Problem(w, http.StatusBadRequest, err.Error())
			return
		}
		inner := withQuery(r, rest)
		inner.Header = r.Header.Clone()
		inner.Header.Del("Range")
		inner.Header.Del("If-Range")
		inner.Header["Accept-Encoding"] = []string{"identity"}
		etags.Inward(inner, etags.Fields)
		// What is made of the answer is made of this one; the cache inside may change inner.
		id, made := source(inner), *inner
		b := respond.Serve(whole, inner, limit)
		switch {
		case b.Limit < 0:
			upstream.Problem(w, http.StatusBadGateway, "the response is too large to select fields from")
			return
		case b.Panic != nil:
			panic(b.Panic)
		}
		httpcache.AddSource(w.Header(), id)
		httpcache.AddSourceOf(w.Header(), &made)
		answer(w, b, selection, r.Header["If-None-Match"], limit)
	})
}

func answer(w http.ResponseWriter, b *respond.Buffer, selection Selection, asked []string, limit int) {
	if b.Status != http.StatusPartialContent && b.Status != http.StatusNotModified {
		if err := b.Decode(limit); errors.Is(err, coding.ErrTooLarge) {
			upstream.Problem(w, http.StatusBadGateway, "the response is too large to select fields from")
			return
		}
		// What cannot be decoded is passed on as it is.
	}
	h := w.Header()
	for name, values := range b.Header() {
		h[name] = values
	}
	if h[respond.InternalError] != nil {
		httpcache.GatewayError(h)
	}
	h.Del("Cache-Status") // the outer cache says what became of this request
	for _, id := range h[respond.InternalSources] {
		httpcache.AddSource(h, id)
	}
	if own := h[respond.InternalControl]; len(own) > 0 {
		h["Larder-Cache-Control"] = own // what the inner cache obeyed counts here as well
	}
	if h.Get("Content-Encoding") == "" {
		varyWithoutEncoding(h)
	}
	body := b.Body.Bytes()
	switch {
	case b.Status == http.StatusNotModified:
		etags.NotModified(h, asked, etags.Fields)
	case b.Status == http.StatusOK && isJSON(h):
		projected, ok := selection.Project(nil, body)
		if !ok {
			break
		}
		body = append(projected, '\n')
		etags.Mark(h, etags.Fields)
		for _, name := range []string{
			"Accept-Ranges", "Content-Digest", "Repr-Digest", "Digest", "Content-Md5",
		} {
			h.Del(name)
		}
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(b.Status)
	_, _ = w.Write(body)
}

func isJSON(h http.Header) bool {
	mediaType, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	return mediaType == "application/json" || strings.HasSuffix(mediaType, "+json")
}

// varyWithoutEncoding forgets that the whole comes in several encodings: what
// is made of it here has none yet.
func varyWithoutEncoding(h http.Header) {
	var kept []string
	for name := range strings.SplitSeq(strings.Join(h["Vary"], ","), ",") {
		if name = strings.TrimSpace(name); name != "" && !strings.EqualFold(name, "Accept-Encoding") {
			kept = append(kept, name)
		}
	}
	if len(kept) == 0 {
		h.Del("Vary")
		return
	}
	h.Set("Vary", strings.Join(kept, ", "))
}
