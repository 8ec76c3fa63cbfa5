package httpcache

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// TestNothingOldAfterInvalidation checks histories: while many clients read a
// URI, others change it and invalidate it in all the ways there are. A read
// that begins after an invalidation has returned must not get anything older
// than what the origin had when the invalidation began.
func TestNothingOldAfterInvalidation(t *testing.T) {
	for name, invalidate := range map[string]func(r *rig){
		"POST":     func(r *rig) { r.do(r.request("POST", "/", nil, "x")) },
		"url":      func(r *rig) { r.cache.PurgeURL("http://example.com/", Hard) },
		"soft":     func(r *rig) { r.cache.PurgeURL("http://example.com/", Soft) },
		"tag":      func(r *rig) { r.cache.PurgeTag("k", Hard) },
		"soft tag": func(r *rig) { r.cache.PurgeTag("k", Soft) },
		"prefix":   func(r *rig) { r.cache.PurgePrefix("http://example.com/", Hard) },
		"all":      func(r *rig) { r.cache.PurgeAll(Hard) },
		"source":   func(r *rig) { r.cache.PurgeSource("s", Hard) },
		"group":    func(r *rig) { r.do(r.request("POST", "/other", nil, "x")) },
	} {
		for _, vary := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s vary %v", name, vary), func(t *testing.T) {
				r := newRig(t, Options{})
				var version, valid atomic.Int64
				r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					if req.Method == "POST" {
						w.Header().Set("Cache-Group-Invalidation", `"g"`)
						return
					}
					h := w.Header()
					h.Set("Cache-Control", "max-age=600")
					h.Set("Surrogate-Key", "k")
					AddSource(h, "s")
					h.Set("Cache-Groups", `"g"`)
					if vary {
						h.Set("Vary", "Foo")
					}
					v := strconv.FormatInt(version.Load(), 10)
					h.Set("Etag", `"`+v+`"`)
					if req.Header.Get("If-None-Match") == `"`+v+`"` {
						w.WriteHeader(http.StatusNotModified)
						return
					}
					w.Write([]byte(v))
				}))
				var readers, writers sync.WaitGroup
				var stop atomic.Bool
				for i := range 4 {
					readers.Add(1)
					go func() {
						defer readers.Done()
						for !stop.Load() {
							least := valid.Load()
							rec := r.get("/", "Foo: "+strconv.Itoa(i%2))
							got, err := strconv.ParseInt(rec.Body.String(), 10, 64)
							if err != nil || got < least {
								t.Errorf("got %q (%v), want at least %d", rec.Body, rec.Header()["Cache-Status"], least)
								return
							}
						}
					}()
				}
				for range 2 {
					writers.Add(1)
					go func() {
						defer writers.Done()
						for range 60 {
							v := version.Add(1)
							invalidate(r)
							for {
								old := valid.Load()
								if old >= v || valid.CompareAndSwap(old, v) {
									break
								}
							}
							for range rand.IntN(5) {
								r.get("/", "Foo: 0")
							}
						}
					}()
				}
				writers.Wait()
				stop.Store(true)
				readers.Wait()
			})
		}
	}
}
