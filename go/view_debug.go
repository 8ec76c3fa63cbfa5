package larder

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// viewTraces finds views that are not released, if the environment asks for it.
var viewTraces = struct {
	on   bool
	to   io.Writer
	mu   sync.Mutex
	held map[*viewSite]struct{}
}{
	on:   slices.Contains(strings.Split(os.Getenv("LARDER_DEBUG"), ","), "views"),
	to:   os.Stderr,
	held: map[*viewSite]struct{}{},
}

// viewTrace is what a traced view holds on to: it is unreachable when the view is.
type viewTrace struct {
	site    *viewSite
	cleanup runtime.Cleanup
}

// viewSite is where a view was taken.
type viewSite struct {
	cache   handle // tells caches apart, and keeps none alive
	callers [16]uintptr
}

func traceView(c *Cache) *viewTrace {
	if !viewTraces.on {
		return nil
	}
	site := &viewSite{cache: c.through()}
	runtime.Callers(4, site.callers[:])
	viewTraces.mu.Lock()
	viewTraces.held[site] = struct{}{}
	viewTraces.mu.Unlock()
	v := &viewTrace{site: site}
	v.cleanup = runtime.AddCleanup(v, func(site *viewSite) {
		site.forget()
		site.report("never released")
	}, site)
	return v
}

// released notes that the view is given back, and reports whether it may be: not if a copy
// of it was already.
func (v *viewTrace) released() bool {
	if v == nil {
		return true
	}
	v.cleanup.Stop()
	if !v.site.forget() {
		v.site.report("released twice (a copy of it was released before)")
		return false
	}
	return true
}

// reportHeldViews names the views of a cache that is being closed.
func reportHeldViews(cache handle) {
	if !viewTraces.on {
		return
	}
	viewTraces.mu.Lock()
	var held []*viewSite
	for site := range viewTraces.held {
		if site.cache == cache {
			held = append(held, site)
		}
	}
	viewTraces.mu.Unlock()
	for _, site := range held {
		site.report("still held when the cache was closed")
	}
}

// forget takes a site out, and reports whether it was there.
func (s *viewSite) forget() bool {
	viewTraces.mu.Lock()
	defer viewTraces.mu.Unlock()
	_, held := viewTraces.held[s]
	delete(viewTraces.held, s)
	return held
}

func (s *viewSite) report(what string) {
	var text strings.Builder
	fmt.Fprintf(&text, "larder: view %s; it was taken at\n", what)
	frames := runtime.CallersFrames(s.callers[:])
	for {
		frame, more := frames.Next()
		if frame.PC != 0 {
			fmt.Fprintf(&text, "\t%s\n\t\t%s:%d\n", frame.Function, frame.File, frame.Line)
		}
		if !more {
			break
		}
	}
	io.WriteString(viewTraces.to, text.String())
}
