package airports

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func newHandler(t *testing.T, o Options) *Handler {
	t.Helper()
	h, err := NewHandler(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func get(t *testing.T, h http.Handler, target string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestDatasetIsWhole(t *testing.T) {
	d, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Airports) != 5210 || len(d.Countries) != 248 || len(d.regions) != 3901 {
		t.Fatalf("airports %d, countries %d, regions %d", len(d.Airports), len(d.Countries), len(d.regions))
	}
	for _, a := range d.Airports {
		if d.countries[a.Country] == nil || d.regions[a.Region] == nil {
			t.Errorf("%s: country %q or region %q is unknown", a.Ident, a.Country, a.Region)
		}
		if d.byIdent[a.Ident] != a {
			t.Errorf("%s is not found by its ident", a.Ident)
		}
	}
}

func TestEndpoints(t *testing.T) {
	h := newHandler(t, Options{})
	for _, c := range []struct {
		target string
		status int
		has    string
	}{
		{"/airports/LFPG", 200, `"Charles de Gaulle International Airport"`},
		{"/airports/cdg", 200, `"ident": "LFPG"`},
		{"/airports/NOPE", 404, `"error"`},
		{"/airports/LFPG/nearby?limit=2", 200, `"ident": "LFPB"`},
		{"/airports?country=fr&type=large_airport&limit=1", 200, `"total": `},
		{"/airports?limit=x", 400, `"error"`},
		{"/airports?limit=201", 400, `"error"`},
		{"/airports?offset=999999", 200, `"items": []`},
		{"/search?q=paris+gaulle", 200, `"ident": "LFPG"`},
		{"/search?q=", 400, `"error"`},
		{"/countries", 200, `"France"`},
		{"/countries/fr", 200, `"France"`},
		{"/countries/xx", 404, `"error"`},
		{"/regions/FR-IDF", 200, `"country": "FR"`},
		{"/regions/FR-XXX", 404, `"error"`},
		{"/status", 200, `"airports": 5210`},
		{"/healthz", 200, "ok"},
		{"/nothing", 404, ""},
	} {
		w := get(t, h, c.target)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.has) {
			t.Errorf("%s: status %d, want %d with %s in\n%.300s", c.target, w.Code, c.status, c.has, w.Body)
		}
		if c.status == 200 && c.target != "/healthz" && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: not JSON", c.target)
		}
	}
}

func TestNearbyIsInOrder(t *testing.T) {
	d, _ := Load()
	all := d.Nearby(d.byIdent["LFPG"], 300)
	if len(all) == 0 || all[0].Ident != "LFPB" {
		t.Fatalf("the airport nearest to LFPG is LFPB, got %v", all)
	}
	for i := 1; i < len(all); i++ {
		if all[i].DistanceKm < all[i-1].DistanceKm {
			t.Fatalf("%s comes before the nearer %s", all[i-1].Ident, all[i].Ident)
		}
	}
}

func TestAnswersCanBeCachedAndValidated(t *testing.T) {
	h, other := newHandler(t, Options{}), newHandler(t, Options{Name: "2"})
	first := get(t, h, "/airports/LFPG")
	tag := first.Header().Get("ETag")
	if tag == "" || strings.HasPrefix(tag, "W/") || tag != get(t, other, "/airports/LFPG").Header().Get("ETag") {
		t.Fatalf("the ETag must be strong and the same on all replicas: %q", tag)
	}
	if cc := first.Header().Get("Cache-Control"); !strings.Contains(cc, "max-age=300") {
		t.Errorf("Cache-Control: %q", cc)
	}
	if keys := first.Header().Get("Surrogate-Key"); keys != "airport:LFPG country:FR" {
		t.Errorf("Surrogate-Key: %q", keys)
	}
	if w := get(t, h, "/airports/LFPG", "If-None-Match", tag); w.Code != http.StatusNotModified || w.Body.Len() != 0 {
		t.Errorf("If-None-Match: status %d, %d bytes", w.Code, w.Body.Len())
	}
	since := first.Header().Get("Last-Modified")
	if w := get(t, h, "/airports/LFPG", "If-Modified-Since", since); w.Code != http.StatusNotModified {
		t.Errorf("If-Modified-Since %s: status %d", since, w.Code)
	}
	if w := get(t, h, "/status"); w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("ETag") != "" {
		t.Errorf("/status must not be stored: %v", w.Header())
	}
}

func TestLatencyEndsWithTheClient(t *testing.T) {
	h := newHandler(t, Options{MinLatency: time.Hour, MaxLatency: time.Hour})
	server := httptest.NewServer(h)
	defer server.Close()
	client := &http.Client{Timeout: 20 * time.Millisecond}
	if resp, err := client.Get(server.URL + "/countries"); err == nil {
		resp.Body.Close()
		t.Fatal("answered within an hour's latency")
	}
	// Close waits for the handler, which must have noticed that the client left.
}
