package httpcache

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// The header of a response that is asked for often is the one it had at first,
// whatever becomes of it in between.
func TestPreparedHeaders(t *testing.T) {
	for name, header := range map[string][]string{
		"plain":         {"Cache-Control: max-age=600", "Content-Type: text/plain", `Etag: "1"`},
		"several lines": {"Cache-Control: max-age=600", "Link: </a>", "Link: </b>", "Vary: Foo", "X-Empty:"},
		"other caches":  {"Cache-Control: max-age=600", "Age: 7", "Cache-Status: inner; hit", "Cache-Status: middle; fwd=miss"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{})
			r.set(reply(200, "hello", header...))
			r.get("/")
			r.set(nil)
			first := r.get("/").Header() // not prepared yet
			for range 3 {
				again := r.get("/").Header()
				if !maps.EqualFunc(first, again, slices.Equal) {
					t.Fatalf("header is\n%q, was\n%q", again, first)
				}
				// What a handler around the cache does to a header is its own affair.
				for name, values := range again {
					for i := range values {
						values[i] = "changed"
					}
					again[name] = append(values, "added")
				}
			}
			r.clock.advance(5 * time.Second)
			head := r.do(r.request(http.MethodHead, "/", nil, "")).Header()
			old := r.get("/").Header()
			if !maps.EqualFunc(head, old, slices.Equal) {
				t.Errorf("header of HEAD is\n%q, of GET\n%q", head, old)
			}
			for name := range first {
				if same := slices.Equal(first[name], old[name]); same != (name != "Age" && name != "Cache-Status") {
					t.Errorf("%s is %q, was %q", name, old[name], first[name])
				}
			}
		})
	}
}

// Another response under the same URI has its own header, and so has a 304.
func TestPreparedHeadersAreOfOneResponse(t *testing.T) {
	r := newRig(t, Options{})
	for version := range 3 {
		tag := fmt.Sprintf(`"%d"`, version)
		r.set(reply(200, fmt.Sprint(version), "Cache-Control: max-age=600", "Content-Type: text/plain", "Etag: "+tag))
		r.get("/", "Cache-Control: no-cache")
		r.set(nil)
		for n := range 4 {
			rec := r.get("/")
			checkFields(t, n, "response", rec.Header(), []string{"Etag: " + tag, "Cache-Status: ~hit", "Content-Length: 1"})
			rec = r.get("/", "If-None-Match: "+tag)
			if rec.Code != 304 {
				t.Fatalf("status is %d", rec.Code)
			}
			checkFields(t, n, "304", rec.Header(), []string{"Etag: " + tag, "Cache-Status: ~hit", "!Content-Length", "!Content-Type"})
			rec = r.get("/", "Range: bytes=0-0")
			checkFields(t, n, "206", rec.Header(), []string{"Etag: " + tag, "Content-Range: bytes 0-0/1", "Content-Length: 1"})
		}
	}
}

// More responses than the table has room for displace each other, no more.
func TestPreparedTableIsShared(t *testing.T) {
	r := newRig(t, Options{})
	const pages = preparedSlots + 100
	for i := range pages {
		r.set(reply(200, "x", "Cache-Control: max-age=600", fmt.Sprint("X-Page: ", i)))
		r.get(fmt.Sprint("/", i))
	}
	r.set(nil)
	var clients sync.WaitGroup
	for range 4 {
		clients.Add(1)
		go func() {
			defer clients.Done()
			for range 3 {
				for i := range pages {
					for range 2 {
						if page := r.get(fmt.Sprint("/", i)).Header().Get("X-Page"); page != fmt.Sprint(i) {
							t.Errorf("page %d has the header of %s", i, page)
						}
					}
				}
			}
		}()
	}
	clients.Wait()
}
