package httpcache_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	larder "github.com/larder-cache/larder/go"
	"github.com/larder-cache/larder/go/httpcache"
)

func ExampleCache_Handler() {
	cache, err := larder.New(larder.Options{MaxBytes: 16 << 20})
	if err != nil {
		panic(err)
	}
	defer cache.Close()
	hc := httpcache.New(cache, httpcache.Options{})
	defer hc.Close()

	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "made with effort")
	})
	server := httptest.NewServer(hc.Handler(slow))
	defer server.Close()

	for range 2 {
		resp, err := http.Get(server.URL)
		if err != nil {
			panic(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		status, _, _ := strings.Cut(resp.Header.Get("Cache-Status"), "; ttl")
		fmt.Println(status)
	}
	// Output:
	// larder; fwd=uri-miss; fwd-status=200; stored
	// larder; hit
}

func ExampleCache_PurgeTag() {
	cache, err := larder.New(larder.Options{MaxBytes: 16 << 20})
	if err != nil {
		panic(err)
	}
	defer cache.Close()
	hc := httpcache.New(cache, httpcache.Options{})
	defer hc.Close()

	price := 10
	h := hc.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Header().Set("Surrogate-Key", "product:42")
		fmt.Fprint(w, price)
	}))
	get := func() string {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest("GET", "/products/42", nil))
		return rec.Body.String()
	}
	fmt.Println(get())
	price = 12
	fmt.Println(get())
	hc.PurgeTag("product:42", httpcache.Hard)
	fmt.Println(get())
	// Output:
	// 10
	// 10
	// 12
}
