package goredisx

import (
	"bytes"
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/larder-cache/larder/go/redis/internal/nearcache"
)

// flight is a reply that somebody fetches: the right to store it, which an invalidation takes away.
type flight struct {
	command string
	keys    []string
	name    *nearcache.Name // nil: it depends on several keys
	area    uint32
	token   uint64
	since   time.Time

	done  chan struct{} // closed when it is over, whatever came of it
	reply []byte        // what came; nil if nothing did
}

// wait is what becomes of a flight that others fetch: a copy of the reply.
func (f *flight) wait(ctx context.Context, patience time.Duration) ([]byte, bool) {
	timer := time.NewTimer(time.Until(f.since.Add(patience)))
	defer timer.Stop()
	select {
	case <-f.done:
		return bytes.Clone(f.reply), f.reply != nil
	case <-ctx.Done():
	case <-timer.C:
	}
	return nil, false
}

// flights are those of some keys, and the lock under which replies that depend on them are stored.
// Those that depend on one key are in the list of that key; the others have a flights of their own.
type flights struct {
	mu     sync.Mutex
	byKey  map[string][]*flight
	byName map[string]*flight // of those with several keys
}

// find is the flight of a command.
func (f *flights) find(key, command string) *flight {
	if one := f.byName[command]; one != nil {
		return one
	}
	for _, one := range f.byKey[key] {
		if one.command == command {
			return one
		}
	}
	return nil
}

func (f *flights) add(one *flight) {
	if f.byKey == nil {
		f.byKey = make(map[string][]*flight)
		f.byName = make(map[string]*flight)
	}
	if one.name == nil {
		f.byName[one.command] = one
	}
	for _, key := range one.keys {
		f.byKey[key] = append(f.byKey[key], one)
	}
}

// end takes a flight out. Who waits has what it was given as a reply until then.
func (f *flights) end(one *flight) {
	if one.name == nil {
		delete(f.byName, one.command)
	}
	for _, key := range one.keys {
		left := slices.DeleteFunc(f.byKey[key], func(other *flight) bool { return other == one })
		if len(left) == 0 {
			delete(f.byKey, key)
		} else {
			f.byKey[key] = left
		}
	}
	close(one.done)
}

// overtake ends all flights that depend on a key, and says how many there were.
func (f *flights) overtake(key string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	overtaken := slices.Clone(f.byKey[key])
	for _, one := range overtaken {
		f.end(one)
	}
	return len(overtaken)
}

// overtakeAll ends all flights.
func (f *flights) overtakeAll() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	ended := 0
	for _, list := range f.byKey {
		for _, one := range slices.Clone(list) {
			if !one.over() {
				f.end(one)
				ended++
			}
		}
	}
	return ended
}

func (f *flight) over() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// shards is how many flights there are, each with a lock.
const shards = 64

var seed = maphash.MakeSeed()

// shard is where the flights of a key are, named by its scope and itself.
func (c *Cache) shard(prefix, key string) *flights {
	var hash maphash.Hash
	hash.SetSeed(seed)
	_, _ = hash.WriteString(prefix)
	_, _ = hash.WriteString(key)
	return &c.narrow[hash.Sum64()%shards]
}
