package traffic

import (
	"cmp"
	"slices"
	"strings"
	"sync"
)

// topSize is how many names a Top remembers.
const topSize = 256

// maxName bounds the length of what it remembers of each.
const maxName = 160

// Top finds the most frequent names of a stream in bounded memory (Space-Saving,
// by Metwally, Agrawal and El Abbadi): when it is full, a new name takes the
// place of the rarest and inherits its count, so that a count is too high by at
// most the rarest's. Halve makes it forget. The zero value is ready.
type Top struct {
	mu     sync.Mutex
	counts map[string]int64
}

// Entry is a name and how often it came.
type Entry struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
}

// Add counts a name n times.
func (t *Top) Add(name string, n int64) {
	if len(name) > maxName {
		name = name[:maxName]
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = make(map[string]int64, topSize)
	}
	if _, known := t.counts[name]; !known && len(t.counts) >= topSize {
		rarest, least := "", int64(0)
		for k, v := range t.counts {
			if rarest == "" || v < least {
				rarest, least = k, v
			}
		}
		delete(t.counts, rarest)
		n += least
	}
	// A name is often a part of a longer string, which must not stay for it.
	if _, known := t.counts[name]; !known {
		name = strings.Clone(name)
	}
	t.counts[name] += n
}

// Halve halves all counts, and forgets what comes to nothing: called at regular
// times, it makes the counts those of the recent past.
func (t *Top) Halve() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, v := range t.counts {
		if v /= 2; v > 0 {
			t.counts[k] = v
		} else {
			delete(t.counts, k)
		}
	}
}

// List returns the n most frequent names, the most frequent first.
func (t *Top) List(n int) []Entry {
	t.mu.Lock()
	all := make([]Entry, 0, len(t.counts))
	for k, v := range t.counts {
		all = append(all, Entry{k, v})
	}
	t.mu.Unlock()
	slices.SortFunc(all, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Name, b.Name))
	})
	return all[:min(n, len(all))]
}
