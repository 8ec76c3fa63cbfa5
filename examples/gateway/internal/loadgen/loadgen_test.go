package loadgen

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

type key struct{}

func TestRunSendsUntilItIsToldToStop(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	var mu sync.Mutex
	seen := map[string]int{}
	enough := make(chan struct{})
	h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Host != Host || r.Context().Value(key{}) == nil || !strings.HasPrefix(r.RemoteAddr, "127.0.0.1:") {
			t.Errorf("host %q from %s", r.Host, r.RemoteAddr)
		}
		if seen[r.URL.RequestURI()]++; len(seen) == 3 {
			close(enough)
			seen["enough"]++ // closes it once
		}
	})
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, h, Options{
			PerSecond: 2000, Targets: []string{"/fixed", "/item/{w}"}, Words: map[string][]string{"w": {"a", "b c"}},
			Base: func(c context.Context) context.Context { return context.WithValue(c, key{}, true) },
		})
	}()
	select {
	case <-enough:
	case <-time.After(20 * time.Second):
		t.Error("not all targets were asked for")
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if seen["/item/b%20c"] == 0 || seen["/fixed"] == 0 {
		t.Errorf("%v", seen)
	}
}

func TestPopularityIsUneven(t *testing.T) {
	words := make([]string, 1000)
	for i := range words {
		words[i] = string(rune('a'+i/100)) + string(rune('a'+i/10%10)) + string(rune('a'+i%10))
	}
	s := newSource(Options{Targets: []string{"{w}"}, Words: map[string][]string{"w": words}})
	first := 0
	for range 10_000 {
		if target, _ := s.next(); strings.HasPrefix(target, "aa") { // the first ten
			first++
		}
	}
	if first < 2000 || first > 9000 {
		t.Errorf("the ten most popular of 1000 words came %d times of 10,000", first)
	}
}
