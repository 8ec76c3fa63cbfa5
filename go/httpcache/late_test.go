package httpcache

import (
	"net/http"
	"testing"
)

// lateRig has a handler with late fields, which Add takes from the request's RemoteAddr, and
// counts how often Add is called.
func lateRig(t *testing.T, o Options, names ...string) (r *rig, added *int) {
	t.Helper()
	added = new(int)
	r = newRig(t, o)
	r.h = r.cache.HandlerWith(http.HandlerFunc(r.origin), HandlerOptions{Late: LateFields{
		Names: names,
		Add: func(req *http.Request) {
			*added++
			for _, name := range names {
				req.Header.Set(name, req.RemoteAddr)
			}
		},
	}})
	return r, added
}

// ask asks as a client, and checks what it gets and how often Add has been called for it.
func (r *rig) ask(added *int, method, client, want string, times int, with ...string) {
	r.t.Helper()
	req := r.request(method, "/", with, "")
	req.RemoteAddr = client
	before := *added
	rec := r.do(req)
	if rec.Body.String() != want || *added-before != times {
		r.t.Errorf("%s %s %q: got %q and %d calls, want %q and %d",
			method, client, with, rec.Body, *added-before, want, times)
	}
}

// Whatever is asked of the next handler has the late fields. What is answered from a response
// that doesn't vary on them does without.
func TestLateFieldsAreSent(t *testing.T) {
	r, added := lateRig(t, Options{}, "X-Client")
	sent := func(want string) {
		t.Helper()
		if got := r.lastAsked().Header.Get("X-Client"); got != want {
			t.Errorf("the origin was sent %q, want %q", got, want)
		}
	}
	r.set(reply(200, "one", "Cache-Control: max-age=60, stale-while-revalidate=60", "Vary: Accept"))
	r.ask(added, "GET", "a", "one", 1)
	sent("a")
	r.ask(added, "GET", "b", "one", 0)
	r.ask(added, "GET", "c", "one", 1, "Cache-Control: no-cache")
	sent("c")
	r.ask(added, "GET", "d", "one", 1, "Cache-Control: no-store")
	sent("d")
	r.ask(added, "GET", "e", "one", 1, "If-Match: x")
	sent("e")
	r.clock.advance(90 * sec)
	asked := r.askedCount()
	r.ask(added, "GET", "f", "one", 1) // stale; revalidated in the background
	waitFor(func() bool { return r.askedCount() > asked })
	sent("f")
	r.ask(added, "POST", "g", "one", 1)
	sent("g")
}

// What a response varies on is compared with what the next handler would be sent.
func TestLateFieldsAreCompared(t *testing.T) {
	for _, name := range []string{"X-Client", "Forwarded"} {
		r, added := lateRig(t, Options{ImpliedVary: []string{}}, name)
		for _, client := range []string{"a", "b"} {
			r.set(reply(200, "for "+client, "Cache-Control: max-age=60", "Vary: Accept, "+name))
			r.ask(added, "GET", client, "for "+client, 1)
		}
		r.ask(added, "GET", "a", "for a", 1)
		r.ask(added, "HEAD", "b", "", 1)
		r.ask(added, "GET", "b", "for b", 1)
		if n := r.askedCount(); n != 2 {
			t.Errorf("%s: the origin was asked %d times", name, n)
		}
	}
}

// A field that tells the cache what to do is there before it looks.
func TestLateFieldsThatDecideComeFirst(t *testing.T) {
	for _, name := range []string{"Authorization", "X-Forwarded-Host", "X_Forwarded_Host"} {
		r, added := lateRig(t, Options{}, name)
		for _, client := range []string{"a", "b"} {
			r.set(reply(200, "for "+client, "Cache-Control: max-age=60"))
			r.ask(added, "GET", client, "for "+client, 1)
		}
	}
}
