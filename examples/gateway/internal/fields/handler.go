package fields

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/larder-cache/larder/examples/gateway/internal/respond"
	"github.com/larder-cache/larder/examples/gateway/internal/upstream"
)

// Route sends requests with a selection to projected, with the selection in its
// canonical form at the end of the query, and others to whole.
func Route(whole, projected http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, text, given := Split(r.URL.RawQuery)
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
// projected: they are an error.
func Handler(whole http.Handler, limit int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, text, _ := Split(r.URL.RawQuery)
		selection, err := Parse(text)
		if err != nil {
			upstream.Problem(w, http.StatusBadRequest, err.Error())
			return
		}
		inner := withQuery(r, rest)
		inner.Header = r.Header.Clone()
		for _, name := range []string{"Range", "If-Range", "Accept-Encoding"} {
			inner.Header.Del(name)
		}
		b := respond.Serve(whole, inner, limit)
		switch {
		case b.Limit < 0:
			upstream.Problem(w, http.StatusBadGateway, "the response is too large to select fields from")
			return
		case !b.Whole:
			panic(http.ErrAbortHandler)
		}
		answer(w, b, selection)
	})
}

func answer(w http.ResponseWriter, b *respond.Buffer, selection Selection) {
	h := w.Header()
	for name, values := range b.Header() {
		h[name] = values
	}
	h.Del("Cache-Status") // the outer cache says what became of this request
	varyWithoutEncoding(h)
	body := b.Body.Bytes()
	switch mediaType, _, _ := strings.Cut(h.Get("Content-Type"), ";"); {
	case b.Status == http.StatusNotModified:
		weaken(h)
	case b.Status == http.StatusOK && (mediaType == "application/json" || strings.HasSuffix(mediaType, "+json")):
		projected, ok := selection.Project(nil, body)
		if !ok {
			break
		}
		body = append(projected, '\n')
		weaken(h)
		for _, name := range []string{"Accept-Ranges", "Content-Digest", "Repr-Digest", "Digest", "Content-Md5"} {
			h.Del(name)
		}
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(b.Status)
	_, _ = w.Write(body)
}

// weaken makes the validator of the whole one of the part: it changes whenever
// the part does, and sometimes when the part does not.
func weaken(h http.Header) {
	if tag := h.Get("Etag"); strings.HasPrefix(tag, `"`) {
		h.Set("Etag", "W/"+tag)
	}
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
