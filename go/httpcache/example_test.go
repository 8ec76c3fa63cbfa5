package httpcache_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
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

// bearer adds a user's credentials to requests.
type bearer struct {
	token string
	next  http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

// Several users of an API share the memory of one cache, but no response.
func ExampleCache_Transport() {
	cache, err := larder.New(larder.Options{MaxBytes: 16 << 20})
	if err != nil {
		panic(err)
	}
	defer cache.Close()
	hc := httpcache.New(cache, httpcache.Options{})
	defer hc.Close()

	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private, max-age=60")
		io.WriteString(w, "the inbox of "+r.Header.Get("Authorization"))
	}))
	defer api.Close()

	client := func(user string) *http.Client {
		own := hc.WithOptions(httpcache.Options{
			Private:   true,
			Partition: func(*http.Request) string { return user },
		})
		return &http.Client{Transport: own.Transport(bearer{user, http.DefaultTransport})}
	}
	for _, user := range []string{"alice", "bob", "alice"} {
		resp, err := client(user).Get(api.URL)
		if err != nil {
			panic(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		status, _, _ := strings.Cut(resp.Header.Get("Cache-Status"), "; ttl")
		fmt.Printf("%s (%s)\n", body, status)
	}
	// Output:
	// the inbox of Bearer alice (larder; fwd=uri-miss; fwd-status=200; stored)
	// the inbox of Bearer bob (larder; fwd=uri-miss; fwd-status=200; stored)
	// the inbox of Bearer alice (larder; hit)
}

// A proxy's own errors are given to all who waited, its upstream's to none of them.
func ExampleGatewayError() {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "127.0.0.1:1"}) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			httpcache.GatewayError(w.Header())
			http.Error(w, "the upstream does not answer", http.StatusBadGateway)
		},
	}
	cache, err := larder.New(larder.Options{MaxBytes: 16 << 20})
	if err != nil {
		panic(err)
	}
	defer cache.Close()
	hc := httpcache.New(cache, httpcache.Options{})
	defer hc.Close()
	rec := httptest.NewRecorder()
	hc.Handler(proxy).ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	fmt.Print(rec.Code, " ", rec.Body)
	// Output:
	// 502 the upstream does not answer
}

// A page made of two resources goes when one of them changes.
func ExampleAddSource() {
	cache, err := larder.New(larder.Options{MaxBytes: 16 << 20})
	if err != nil {
		panic(err)
	}
	defer cache.Close()
	hc := httpcache.New(cache, httpcache.Options{})
	defer hc.Close()
	stock := 5
	h := hc.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			stock--
			httpcache.AddSource(w.Header(), "stock 42") // it has changed
			return
		}
		httpcache.AddSource(w.Header(), "product 42")
		httpcache.AddSource(w.Header(), "stock 42")
		w.Header().Set("Cache-Control", "max-age=3600")
		fmt.Fprint(w, stock, " left")
	}))
	do := func(method, path string) string {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(method, path, nil))
		return rec.Body.String()
	}
	fmt.Println(do("GET", "/page"))
	do("POST", "/orders")
	fmt.Println(do("GET", "/page"))
	// Output:
	// 5 left
	// 4 left
}
