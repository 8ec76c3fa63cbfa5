// Package loadgen sends the gateway requests of its own, so that a dashboard
// that someone opens has something to show. It only ever talks to a handler of
// this process, over the loopback interface.
package loadgen

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Host is the host of the requests. It keeps them apart from other clients':
// what the load has put into the cache is a miss for everyone else.
const Host = "demo.larder.internal"

// maxInFlight bounds the requests under way at once: a slow gateway gets fewer.
const maxInFlight = 64

// Options configures Run.
type Options struct {
	// PerSecond is how many requests are sent, at random times.
	PerSecond int
	// Targets are the request targets. {name} stands for one of Words[name],
	// the first ones far more often than the last.
	Targets []string
	Words   map[string][]string
	// Base is put under the context of each request at the server's side.
	Base func(context.Context) context.Context
}

// Run sends requests to h until ctx ends.
func Run(ctx context.Context, h http.Handler, o Options) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context {
			if o.Base == nil {
				return context.Background()
			}
			return o.Base(context.Background())
		},
	}
	go func() { _ = server.Serve(listener) }() // ends with ErrServerClosed
	defer server.Close()
	client := &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: maxInFlight, DisableCompression: true},
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer client.CloseIdleConnections()

	var underway sync.WaitGroup
	defer underway.Wait()
	places := make(chan struct{}, maxInFlight)
	source := newSource(o)
	for {
		// Exponential pauses: arrivals of independent clients.
		pause := time.Duration(rand.ExpFloat64() / float64(o.PerSecond) * float64(time.Second))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		target, encoding := source.next()
		select {
		case places <- struct{}{}:
			underway.Go(func() {
				defer func() { <-places }()
				send(ctx, client, "http://"+listener.Addr().String()+target, encoding)
			})
		default: // as many as may be are under way
		}
	}
}

// send makes one request. What comes of it is for the dashboard to show.
func send(ctx context.Context, client *http.Client, target, encoding string) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return
	}
	r.Host = Host
	r.Header.Set("User-Agent", "larder-demo-load")
	r.Header.Set("Accept-Encoding", encoding)
	resp, err := client.Do(r)
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

// source makes up requests. It is for one goroutine.
type source struct {
	options Options
	zipf    map[string]*rand.Zipf
}

func newSource(o Options) *source {
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	s := &source{options: o, zipf: make(map[string]*rand.Zipf)}
	for name, words := range o.Words {
		s.zipf[name] = rand.NewZipf(random, 1.35, 3, uint64(len(words)-1))
	}
	return s
}

func (s *source) next() (target, encoding string) {
	target = s.options.Targets[rand.IntN(len(s.options.Targets))]
	for name, words := range s.options.Words {
		for strings.Contains(target, "{"+name+"}") {
			word := words[s.zipf[name].Uint64()]
			target = strings.Replace(target, "{"+name+"}", url.PathEscape(word), 1)
		}
	}
	if rand.IntN(4) == 0 {
		return target, "gzip"
	}
	return target, "gzip, deflate, br, zstd" // as browsers say
}
