package httpcache

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
)

// A fetch is stored however many other URIs are changed while it goes on.
func TestChangesOfOtherURIsDoNotKeepOneFromBeingStored(t *testing.T) {
	r := newRig(t, Options{})
	const pages = 8
	var asked sync.WaitGroup
	asked.Add(pages)
	answer := make(chan struct{})
	r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodPut {
			return
		}
		asked.Done()
		<-answer
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, req.URL.Path)
	}))
	var done sync.WaitGroup
	for i := range pages {
		done.Add(1)
		go func() {
			defer done.Done()
			r.get(fmt.Sprint("/page/", i))
		}()
	}
	asked.Wait()
	for i := range 512 {
		r.do(r.request(http.MethodPut, fmt.Sprint("/other/", i), nil, "x"))
	}
	close(answer)
	done.Wait()
	for i := range pages {
		// The origin would panic: more are asked for than it counts on.
		checkFields(t, i, "response", r.get(fmt.Sprint("/page/", i)).Header(), []string{"Cache-Status: ~hit"})
	}
}

// Requests join a fetch although other URIs have been changed since it began.
func TestChangesOfOtherURIsDoNotKeepRequestsApart(t *testing.T) {
	r := newRig(t, Options{})
	primary := []byte("a primary key")
	f, _, leader := r.cache.join("k", primary)
	if !leader {
		t.Fatal("there is no flight to join yet")
	}
	for i := range 512 {
		r.cache.remove(fmt.Append(nil, "another ", i))
	}
	if g, _, leader := r.cache.join("k", primary); leader || g != f {
		t.Error("the flight was not joined")
	}
	r.cache.remove(primary)
	if _, _, leader := r.cache.join("k", primary); !leader {
		t.Error("a flight from before the invalidation was joined")
	}
}

// A stripe never forgets an invalidation, and takes others for one only when it has
// forgotten some.
func TestStripeRemembersInvalidations(t *testing.T) {
	var s stripe
	var last [4]uint64 // count of the last invalidation of each hash
	rng := rand.New(rand.NewPCG(1, 2))
	for n := uint64(1); n <= 2000; n++ {
		hash := rng.Uint64N(uint64(len(last)))
		s.note(hash)
		last[hash] = n
		for back := range min(n, 40) {
			since := n - back
			for hash, at := range last {
				got := s.overtaken(uint64(hash), since)
				if at > since && !got {
					t.Fatalf("after %d: the invalidation %d of %d is not known to one from %d", n, at, hash, since)
				}
				if at <= since && got && n-since <= recentGones {
					t.Fatalf("after %d: %d is taken for invalidated since %d, and was at %d", n, hash, since, at)
				}
			}
		}
	}
}
