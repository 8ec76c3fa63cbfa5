package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// maxSize bounds the bodies that a path may ask for.
const maxSize = 64 << 20

// page returns size bytes of JSON.
func page(size int) []byte {
	var b strings.Builder
	b.WriteString(`{"items":[`)
	for i := 0; b.Len() < size-64; i++ {
		fmt.Fprintf(&b, `{"id":%d,"name":"product %d","price":%d.99},`, i, i, i%100)
	}
	text := strings.TrimSuffix(b.String(), ",") + `],"pad":"`
	return []byte(text + strings.Repeat("x", max(size-len(text)-2, 0)) + `"}`)
}

// pages makes the bodies beforehand, so that a handler does nothing but write.
type pages map[int][]byte

func newPages() pages {
	p := pages{}
	for _, size := range []int{256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10} {
		p[size] = page(size)
	}
	return p
}

func (p pages) get(size int) []byte {
	if b := p[size]; b != nil {
		return b
	}
	return page(size)
}

// sizeOf reads the first segment of a path after prefix.
func sizeOf(path, prefix string) (int, bool) {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, prefix), "/")
	n, err := strconv.Atoi(first)
	return n, err == nil && n >= 0 && n <= maxSize
}

// originHandler answers what a path asks for, and counts. /count tells how often.
func originHandler() http.Handler {
	all := newPages()
	var count atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/count" {
			w.Header().Set("Cache-Control", "no-store")
			fmt.Fprint(w, count.Load())
			return
		}
		size, ok := sizeOf(r.URL.Path, "/")
		if !ok {
			http.Error(w, "no size", http.StatusNotFound)
			return
		}
		count.Add(1)
		q := r.URL.Query()
		if ms, _ := strconv.Atoi(q.Get("delay")); ms > 0 {
			time.Sleep(time.Duration(ms) * time.Millisecond)
		}
		ttl := q.Get("ttl")
		if ttl == "" {
			ttl = "3600"
		}
		body := all.get(size)
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "public, max-age="+ttl)
		h.Set("Etag", `"5d8c72a5edda8d6a"`)
		h.Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	})
}

func origin(args []string) error {
	flags := flag.NewFlagSet("origin", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:9100", "`address`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "origin at", *listen)
	return http.ListenAndServe(*listen, originHandler())
}
