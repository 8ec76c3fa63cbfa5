package httpcache

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
)

// adds is a round tripper that adds a field to a copy of the request, as oauth2.Transport does.
type adds struct {
	name, value string
	base        http.RoundTripper
}

func (a adds) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(a.name, a.value)
	return a.base.RoundTrip(r)
}

// echoServer answers with the fields that its responses vary on, and with those in X-Answer.
func echoServer(t *testing.T, name string, header ...string) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reply(200, "for "+r.Header.Get(name), header...).write(w)
	}))
	t.Cleanup(s.Close)
	return s
}

func fetchWith(t *testing.T, rt http.RoundTripper, method, url string) string {
	t.Helper()
	req, _ := http.NewRequest(method, url, nil)
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return string(body)
}

// Two users' credentials behind one cache: nobody gets what was made for the other.
func TestTransportSeesCredentialsBehindIt(t *testing.T) {
	for _, c := range []struct {
		name   string
		header []string
		shared bool
	}{
		{"Authorization", []string{fresh}, false},
		{"Authorization", []string{fresh, "Vary: Authorization"}, false},
		{"Authorization", []string{"Last-Modified: Mon, 01 Jun 2020 00:00:00 GMT"}, false},
		{"Authorization", []string{"Cache-Control: public, max-age=60", "Vary: Authorization"}, false},
		{"Authorization", []string{"Cache-Control: public, max-age=60"}, true},
		{"Cookie", []string{"Last-Modified: Mon, 01 Jun 2020 00:00:00 GMT"}, false},
		{"Cookie", []string{etag}, false},
		{"Cookie", []string{fresh, "Vary: Accept, Cookie"}, false},
		{"X-Api-Key", []string{fresh, "Vary: X-Api-Key"}, false},
		{"Accept-Encoding", []string{fresh, "Vary: Accept-Encoding"}, true},
	} {
		s := echoServer(t, c.name, c.header...)
		r := newRig(t, Options{})
		base := &http.Transport{DisableCompression: true}
		defer base.CloseIdleConnections()
		alice := r.cache.Transport(adds{c.name, "alice", base})
		bob := r.cache.Transport(adds{c.name, "bob", base})
		fetchWith(t, alice, "GET", s.URL)
		want := "for bob"
		if c.shared {
			want = "for alice"
		}
		if got := fetchWith(t, bob, "GET", s.URL); got != want {
			t.Errorf("%s, %q: bob got %q", c.name, c.header, got)
		}
	}
}

// What the cache of one user stores does not depend on where the credentials are added, and
// partitions keep users apart.
func TestPrivateTransports(t *testing.T) {
	s := echoServer(t, "Authorization", "Cache-Control: private, max-age=60", "Vary: Authorization")
	r := newRig(t, Options{})
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	user := func(name string) http.RoundTripper {
		o := Options{Private: true, Partition: func(*http.Request) string { return name }}
		o.Now, o.Observe = r.cache.opt.Now, r.cache.opt.Observe
		return r.cache.WithOptions(o).Transport(adds{"Authorization", name, base})
	}
	for range 2 {
		for _, name := range []string{"alice", "bob"} {
			if got := fetchWith(t, user(name), "GET", s.URL); got != "for "+name {
				t.Errorf("%s got %q", name, got)
			}
		}
	}
	if ev := r.lastEvent(); ev.Outcome != Hit {
		t.Errorf("the second time: %v", ev.Outcome)
	}
}

// A proxy behind the cache can tell what it has sent.
func TestAddSent(t *testing.T) {
	s := echoServer(t, "X-Forwarded-For", "Cache-Control: max-age=60", "Vary: X-Forwarded-For", "X-Seen: 1")
	target, _ := url.Parse(s.URL)
	for name, told := range map[string]bool{"told": true, "by AddedBehind": false} {
		r := newRig(t, Options{})
		proxy := httputil.NewSingleHostReverseProxy(target)
		if told {
			proxy.ModifyResponse = func(resp *http.Response) error {
				AddSent(resp.Header, resp.Request.Header)
				return nil
			}
		}
		r.h = r.cache.Handler(proxy)
		for _, addr := range []string{"192.0.2.1", "192.0.2.2"} {
			for _, method := range []string{"GET", "POST", "GET"} {
				req := r.request(method, "/", nil, "")
				req.RemoteAddr = addr + ":1"
				rec := r.do(req)
				if rec.Body.String() != "for "+addr || len(rec.Header()[sentField]) > 0 {
					t.Errorf("%s: %s got %q, %v", name, addr, rec.Body, rec.Header())
				}
			}
		}
	}
	// A User-Agent that is not there is not there behind a proxy either.
	agents := echoServer(t, "User-Agent", "Cache-Control: max-age=60", "Vary: User-Agent, Accept")
	target, _ = url.Parse(agents.URL)
	p := newRig(t, Options{})
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = func(resp *http.Response) error {
		AddSent(resp.Header, resp.Request.Header)
		return nil
	}
	p.h = p.cache.Handler(proxy)
	for _, agent := range [][]string{nil, {"User-Agent: a"}, {"User-Agent: "}} {
		p.get("/", agent...)
		if p.get("/", agent...); p.lastEvent().Outcome != Hit {
			t.Errorf("%q: %v", agent, p.lastEvent().Outcome)
		}
	}
	// What is the same as the cache saw varies as usual.
	r := newRig(t, Options{})
	r.h = r.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		AddSent(w.Header(), req.Header)
		r.origin(w, req)
	}))
	r.set(reply(200, "one", fresh, "Vary: X-Forwarded-For, A"))
	r.get("/", "X-Forwarded-For: 1", "A: 1", "A: 2:3")
	r.set(reply(200, "two"))
	if rec := r.get("/", "X-Forwarded-For: 1", "A: 1", "A: 2:3"); rec.Body.String() != "one" {
		t.Errorf("the same request got %q", rec.Body)
	}
	if rec := r.get("/", "X-Forwarded-For: 2", "A: 1", "A: 2:3"); rec.Body.String() != "two" {
		t.Errorf("another request got %q", rec.Body)
	}
}
