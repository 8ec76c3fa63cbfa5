package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	_ "net/http/pprof" // on the default mux, which has an address of its own
	"os"
	"strconv"
	"time"

	larder "github.com/larder-cache/larder/go"
	"github.com/larder-cache/larder/go/httpcache"
)

// serve runs the pair that is compared: one net/http server, one handler that has the
// bytes in memory, and one that has them from the cache.
func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:9101", "`address`")
	profile := flags.String("pprof", "", "`address` of net/http/pprof")
	maxBytes := flags.Int64("max-bytes", 64<<20, "budget of the cache in `bytes`")
	rate := flags.Int("churn", 0, "entries a `second` that are stored beside what is asked for")
	ttl := flags.Duration("churn-ttl", 5*time.Second, "`time` for which each of them lives")
	size := flags.Int("churn-size", 256, "`bytes` of each")
	if err := flags.Parse(args); err != nil {
		return err
	}
	cache, err := larder.New(larder.Options{MaxBytes: *maxBytes})
	if err != nil {
		return err
	}
	defer cache.Close()
	if *rate > 0 {
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		go churn(ctx, cache, *rate, *ttl, *size)
	}
	if *profile != "" {
		go func() { fmt.Fprintln(os.Stderr, http.ListenAndServe(*profile, nil)) }()
	}
	fmt.Fprintln(os.Stderr, "serving at", *listen)
	return http.ListenAndServe(*listen, pair(cache))
}

// pair sends /static/... to the handler with the bytes, all else to the cache.
func pair(cache *larder.Cache) http.Handler {
	all := newPages()
	static := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		size, ok := sizeOf(r.URL.Path, "/static/")
		if !ok {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "public, max-age=3600")
		h.Set("Etag", `"5d8c72a5edda8d6a"`)
		// As ServeContent would: without a length, large bodies go in chunks.
		body := all.get(size)
		h.Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	})
	cached := httpcache.New(cache, httpcache.Options{}).Handler(originHandler())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := r.URL.Path; len(p) > 8 && p[:8] == "/static/" {
			static.ServeHTTP(w, r)
			return
		}
		cached.ServeHTTP(w, r)
	})
}
