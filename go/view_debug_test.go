package larder

import (
	"bytes"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Views that are not released are named by the place they were taken at; others are not.
func TestViewTraces(t *testing.T) {
	var out lockedBuffer
	on, to := viewTraces.on, viewTraces.to
	viewTraces.on, viewTraces.to = true, &out
	defer func() { viewTraces.on, viewTraces.to = on, to }()

	c, err := New(Options{MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetString("k", []byte("value")); err != nil {
		t.Fatal(err)
	}
	releaseView(c)
	forgetView(c)
	for end := time.Now().Add(30 * time.Second); !strings.Contains(out.String(), "forgetView"); {
		if time.Now().After(end) {
			t.Fatalf("a view that was forgotten is not reported: %q", out.String())
		}
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	if !strings.Contains(out.String(), "never released") || !strings.Contains(out.String(), "view_debug_test.go") {
		t.Errorf("report of a forgotten view: %q", out.String())
	}

	v, _ := c.ViewString("k")
	c.Close()
	if !strings.Contains(out.String(), "still held when the cache was closed; it was taken at\n\tgithub.com/larder-cache/larder/go.TestViewTraces\n") {
		t.Errorf("report of a held view: %q", out.String())
	}
	v.Release()
	if strings.Contains(out.String(), "releaseView") {
		t.Errorf("a view that was released is reported: %q", out.String())
	}
	if n := len(viewTraces.held); n != 0 {
		t.Errorf("%d views are still noted", n)
	}
}

//go:noinline
func releaseView(c *Cache) {
	v, _ := c.View([]byte("k"))
	v.Release()
}

//go:noinline
func forgetView(c *Cache) {
	if _, ok := c.View([]byte("k")); !ok {
		panic("no view")
	}
}

// A copy that is released after the original is named, and takes nothing from other views.
func TestViewReleasedTwice(t *testing.T) {
	var out lockedBuffer
	on, to := viewTraces.on, viewTraces.to
	viewTraces.on, viewTraces.to = true, &out
	defer func() { viewTraces.on, viewTraces.to = on, to }()

	c, err := New(Options{MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetString("k", []byte("value")); err != nil {
		t.Fatal(err)
	}
	var v, copied View
	v, _ = c.ViewString("k")
	reflect.ValueOf(&copied).Elem().Set(reflect.ValueOf(&v).Elem()) // go vet finds any other copy
	v.Release()
	v.Release() // an empty view
	if out.String() != "" {
		t.Errorf("reported: %q", out.String())
	}
	copied.Release()
	if !strings.Contains(out.String(), "released twice") || !strings.Contains(out.String(), "TestViewReleasedTwice") {
		t.Errorf("report of a second release: %q", out.String())
	}
}
