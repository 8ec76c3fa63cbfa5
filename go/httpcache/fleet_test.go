package httpcache

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Two caches of which one tells the other: what is purged in one has gone from both.
func TestSharedPurges(t *testing.T) {
	purges := map[string]func(t *testing.T, a *rig){
		"url":      func(t *testing.T, a *rig) { a.cache.PurgeURL("http://a.example/x/1", Hard) },
		"prefix":   func(t *testing.T, a *rig) { a.cache.PurgePrefix("http://a.example/x", Hard) },
		"tag":      func(t *testing.T, a *rig) { a.cache.PurgeTag("x", Hard) },
		"all":      func(t *testing.T, a *rig) { a.cache.PurgeAll(Hard) },
		"API, url": func(t *testing.T, a *rig) { purgeBy(t, a.cache, "url=http%3A%2F%2Fa.example%2Fx%2F1", 200, "told") },
		"API, tag": func(t *testing.T, a *rig) { purgeBy(t, a.cache, "tag=x", 200, "told") },
		"API, prefix": func(t *testing.T, a *rig) {
			purgeBy(t, a.cache, "prefix=http%3A%2F%2Fa.example%2Fx", 200, "told")
		},
		"API, all": func(t *testing.T, a *rig) { purgeBy(t, a.cache, "all=true", 200, "told") },
		"unsafe request": func(t *testing.T, a *rig) {
			a.set(reply(200, ""))
			a.do(a.request("POST", "http://a.example/x/1", nil, ""))
		},
		"Location of an unsafe request": func(t *testing.T, a *rig) {
			a.set(reply(201, "", "Location: /x/1"))
			a.do(a.request("POST", "http://a.example/new", nil, ""))
		},
		"group": func(t *testing.T, a *rig) {
			a.set(reply(200, "", `Cache-Group-Invalidation: "g"`))
			a.do(a.request("POST", "http://a.example/other", nil, ""))
		},
	}
	for name, purge := range purges {
		t.Run(name, func(t *testing.T) {
			a, b := newRig(t, Options{}), newRig(t, Options{})
			share(a, b)
			b.cache.SharePurges(func([]byte, bool) error { t.Error("what was told is told again"); return nil })
			for _, r := range []*rig{a, b} {
				r.set(reply(200, "old", fresh, "Surrogate-Key: x", `Cache-Groups: "g"`))
				r.get("http://a.example/x/1")
			}
			purge(t, a)
			b.set(reply(200, "new", fresh))
			if body := b.get("http://a.example/x/1").Body.String(); body != "new" {
				t.Errorf("the other answers %q", body)
			}
		})
	}
}

func TestSoftPurgeIsSharedAsSoft(t *testing.T) {
	a, b := newRig(t, Options{}), newRig(t, Options{})
	share(a, b)
	b.set(reply(200, "old", fresh, etag, "Surrogate-Key: x"))
	b.get("http://a.example/")
	a.cache.PurgeTag("x", Soft)
	b.set(reply(304, ""))
	before := b.askedCount()
	if body := b.get("http://a.example/").Body.String(); body != "old" || b.askedCount() != before+1 {
		t.Errorf("%q after %d questions: not validated", body, b.askedCount()-before)
	}
}

func share(a, b *rig) {
	a.cache.SharePurges(func(order []byte, _ bool) error { return b.cache.CarryOut(order) })
}

func purgeBy(t *testing.T, c *Cache, form string, status int, fleet string) {
	t.Helper()
	r := httptest.NewRequest("POST", "/", strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	rec := httptest.NewRecorder()
	c.PurgeHandler().ServeHTTP(rec, r)
	if rec.Code != status || !strings.Contains(rec.Body.String(), `"fleet":"`+fleet+`"`) {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

// A purge that the others could not be told of is carried out here, and said.
func TestPurgeThatCannotBeTold(t *testing.T) {
	a := newRig(t, Options{})
	a.cache.SharePurges(func([]byte, bool) error { return errors.New("no server") })
	a.set(reply(200, "old", fresh))
	a.get("http://a.example/")
	purgeBy(t, a.cache, "all=true", http.StatusAccepted, "no server")
	a.set(reply(200, "new", fresh))
	if body := a.get("http://a.example/").Body.String(); body != "new" {
		t.Errorf("%q", body)
	}
	if err := a.cache.PurgeURL("http://a.example/", Hard); err == nil {
		t.Error("PurgeURL says nothing")
	}
}

func TestCarryOutRefusesWhatIsNoOrder(t *testing.T) {
	a := newRig(t, Options{})
	for _, order := range []string{"", "h", "xu", "hz", "hunonsense", "hp", "hk", "hkx", "hkh\x00", "hkh\x00\xff", "hkh\x00\x05a", "hkh\x00\x01a/", "hkh\x00\x01a/\x00\x00", "hkh\x00\x01a/\x00\x00\x00\x00p\x09"} {
		if err := a.cache.CarryOut([]byte(order)); !errors.Is(err, ErrOrder) {
			t.Errorf("%q: %v", order, err)
		}
	}
}
