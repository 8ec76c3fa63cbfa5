// Command http is an HTTP server with a cache in front of its handler, in one line.
//
//	go run . -listen 127.0.0.1:8080
//	curl -i http://127.0.0.1:8080/soup   # again and again: see Cache-Status and the time
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"time"

	larder "github.com/larder-cache/larder/go"
	"github.com/larder-cache/larder/go/httpcache"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen at")
	flag.Parse()
	cache, err := larder.New(larder.Options{MaxBytes: 64 << 20})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(*listen, handler(cache)))
}

// handler is the slow one, behind a cache that keeps what it says may be kept.
func handler(cache *larder.Cache) http.Handler {
	return httpcache.New(cache, httpcache.Options{}).Handler(http.HandlerFunc(slow))
}

func slow(w http.ResponseWriter, r *http.Request) {
	time.Sleep(100 * time.Millisecond) // a database, another service
	w.Header().Set("Cache-Control", "max-age=10, stale-while-revalidate=60")
	fmt.Fprintf(w, "%s, made at %s\n", r.URL.Path, time.Now().Format(time.TimeOnly))
}
