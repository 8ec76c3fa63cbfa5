package httpcache

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
)

// Who purges a URL doesn't know in which partitions its responses lie. Those of few names,
// as routes have, are remembered, so that what a response was made from can be read in it
// (sourcesOf). Where there are many, as with one for each user, what their responses name
// is kept apart, as that of variants is.

// maxPartitions bounds the names that are remembered.
const maxPartitions = 64

// partitions are the names of the partitions that something was stored in. The zero value
// is ready; methods may be called by any number of goroutines.
type partitions struct {
	mu    sync.Mutex // held by who adds
	names atomic.Pointer[[]string]
}

func (p *partitions) all() []string {
	if names := p.names.Load(); names != nil {
		return *names
	}
	return nil
}

// note remembers the partition of a primary key. known is false if there are too many; it
// is true for a key without a partition.
func (p *partitions) note(primary []byte) (known bool) {
	name := partitionName(primary)
	if name == nil {
		return true
	}
	is := func(known string) bool { return known == string(name) }
	if slices.ContainsFunc(p.all(), is) {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	names := p.all()
	switch {
	case slices.ContainsFunc(names, is):
		return true
	case len(names) == maxPartitions:
		return false
	}
	names = append(slices.Clone(names), string(name))
	p.names.Store(&names)
	return true
}

// partitionName returns the name in a primary key, or nil if there is none.
func partitionName(primary []byte) []byte {
	at, end := partitionIn(primary)
	if at == end {
		return nil
	}
	_, size := binary.Uvarint(primary[at+1:])
	return primary[at+1+size : end]
}
