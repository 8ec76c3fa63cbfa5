package main

import (
	"net/http/httptest"
	"strings"
	"testing"

	larder "github.com/larder-cache/larder/go"
)

func TestSecondRequestIsAHit(t *testing.T) {
	cache, err := larder.New(larder.Options{MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	h := handler(cache)
	var bodies [2]string
	for i := range bodies {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/soup", nil))
		bodies[i] = w.Body.String()
		if hit := strings.Contains(w.Header().Get("Cache-Status"), "hit"); hit != (i == 1) {
			t.Errorf("request %d: %q", i, w.Header().Get("Cache-Status"))
		}
	}
	if !strings.HasPrefix(bodies[0], "/soup, ") || bodies[0] != bodies[1] {
		t.Errorf("%q", bodies)
	}
}
