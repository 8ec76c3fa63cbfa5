package httpcache

import (
	"net/http"
	"testing"
)

// RFC 9111, 4.4.

func TestInvalidation(t *testing.T) {
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "M-SEARCH", "FOO"} {
		t.Run(method, func(t *testing.T) {
			gone := func(origin *response) story {
				return story{steps: []step{
					{url: "/x?y", origin: reply(200, "one", fresh)},
					{method: method, url: "/x?y", body: "abc", origin: origin},
					{url: "/x?y", origin: reply(200, "two"), want: "200 two"},
				}}
			}
			kept := func(origin *response) story {
				s := gone(origin)
				s.steps[2] = step{url: "/x?y", want: "200 one"}
				return s
			}
			related := func(url, header string, invalidated bool) story {
				third := step{url: url, want: "200 one"}
				if invalidated {
					third = step{url: url, origin: reply(200, "two"), want: "200 two"}
				}
				return story{steps: []step{
					{url: url, origin: reply(200, "one", fresh)},
					{method: method, url: "/dir/x", body: "abc", origin: reply(201, "", header)},
					third,
				}}
			}
			runStories(t, map[string]story{
				"200":                          gone(reply(200, "")),
				"204":                          gone(reply(204, "")),
				"303":                          gone(reply(303, "", "Location: /elsewhere")),
				"400":                          kept(reply(400, "")),
				"500":                          kept(reply(500, "")),
				"Location":                     related("/a", "Location: /a", true),
				"relative Location":            related("/dir/a", "Location: a", true),
				"absolute Location":            related("/a?b", "Location: http://EXAMPLE.com:80/a?b", true),
				"Content-Location":             related("/a", "Content-Location: /a", true),
				"Location of another host":     related("http://other.example/a", "Location: http://other.example/a", false),
				"Location of another scheme":   related("https://example.com/a", "Location: https://example.com/a", false),
				"Location of another port":     related("http://example.com:8080/a", "Location: http://example.com:8080/a", false),
				"Location that is no URI":      related("/a", "Location: http://[::1", false),
				"Location with a userinfo":     related("/a", "Location: http://u@example.com/a", false),
				"other queries are other URIs": related("/dir/x?q", "X-A: b", false),
			})
		})
	}
}

func TestSafeMethodsDoNotInvalidate(t *testing.T) {
	for _, method := range []string{"OPTIONS", "TRACE", "PROPFIND", "REPORT", "QUERY"} {
		runStory(t, story{steps: []step{
			{origin: reply(200, "one", fresh)},
			{method: method, origin: reply(200, "", "Location: /", `Cache-Group-Invalidation: "g"`)},
			{want: "200 one"},
		}})
	}
}

// A response that was requested before an unsafe request and arrives after it
// must not be stored: it may show the old state.
func TestInvalidationCoversFetchesInProgress(t *testing.T) {
	r := newRig(t, Options{})
	asked, answer := make(chan struct{}), make(chan struct{})
	var post bool
	r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == "POST" {
			post = true
			return
		}
		w.Header().Set("Cache-Control", "max-age=60")
		if !post {
			close(asked)
			<-answer
			w.Write([]byte("old"))
			return
		}
		w.Write([]byte("new"))
	}))
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.get("/")
	}()
	<-asked
	r.do(r.request("POST", "/", nil, "x"))
	close(answer)
	<-done
	if rec := r.get("/"); rec.Body.String() != "new" {
		t.Errorf("got %q after the POST", rec.Body)
	}
}

// The invalidation must have happened when the client sees the response.
func TestInvalidationComesBeforeTheResponse(t *testing.T) {
	r := newRig(t, Options{})
	r.set(reply(200, "one", fresh))
	r.get("/")
	r.set(reply(200, "changed"))
	r.h.ServeHTTP(&spy{header: http.Header{}, onHeader: func() {
		if r.store.len() != 0 {
			t.Error("the response was passed on before the invalidation")
		}
	}}, r.request("POST", "/", nil, "x"))
}

// spy is a ResponseWriter that tells when the header comes.
type spy struct {
	header   http.Header
	onHeader func()
	body     []byte
}

func (s *spy) Header() http.Header         { return s.header }
func (s *spy) WriteHeader(int)             { s.onHeader() }
func (s *spy) Write(b []byte) (int, error) { s.body = append(s.body, b...); return len(b), nil }
