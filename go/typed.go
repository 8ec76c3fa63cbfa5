package larder

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"unsafe"
)

// Typed is a cache of values of type V under keys of type K: a Cache, and a Codec that
// turns them into bytes and back. Several may share one Cache, if the keys they make
// differ: give each a prefix of its own. It may be used by any number of goroutines at
// once.
//
// Each value that is read is decoded anew, and is the caller's own. What it costs beside
// the Cache's calls is the codec, and some 20 ns for a buffer that is used again.
type Typed[K, V any] struct {
	cache *Cache
	codec Codec[K, V]
}

// NewTyped makes a typed view of a cache. All fields of the codec must be set.
func NewTyped[K, V any](c *Cache, codec Codec[K, V]) *Typed[K, V] {
	if codec.Key == nil || codec.Value.Append == nil || codec.Value.Decode == nil {
		panic("larder: a codec without all of its functions")
	}
	return &Typed[K, V]{c, codec}
}

// Cache returns the cache below.
func (t *Typed[K, V]) Cache() *Cache { return t.cache }

// scratch is room for a key and a value. A codec's functions are unknown to the compiler, so
// what they are passed can't be on the stack.
type scratch struct{ key, value []byte }

var scratches = sync.Pool{New: func() any { return &scratch{make([]byte, 0, 64), make([]byte, 0, 1024)} }}

// giveBack returns the room to the pool, unless it has become very large.
func (s *scratch) giveBack() {
	if cap(s.key)+cap(s.value) <= 256<<10 {
		scratches.Put(s)
	}
}

// Get returns the value of key, or ErrNotFound, or an error of the codec's.
func (t *Typed[K, V]) Get(key K) (V, error) {
	s := scratches.Get().(*scratch)
	defer s.giveBack()
	s.key = t.codec.Key(s.key[:0], key)
	data, ok := t.cache.Get(s.value[:0], s.key)
	s.value = data
	if !ok {
		var none V
		return none, ErrNotFound
	}
	return t.codec.Value.Decode(data)
}

// Set is [Cache.Set]. Its error may be the codec's as well.
func (t *Typed[K, V]) Set(key K, value V) error {
	return t.SetWith(key, value, SetOptions{})
}

// SetWith is [Cache.SetWith]. Its error may be the codec's as well.
func (t *Typed[K, V]) SetWith(key K, value V, o SetOptions) error {
	s := scratches.Get().(*scratch)
	defer s.giveBack()
	s.key = t.codec.Key(s.key[:0], key)
	data, err := t.codec.Value.Append(s.value[:0], value)
	if err != nil {
		return err
	}
	s.value = data
	return t.cache.SetWith(s.key, data, o)
}

// Delete is [Cache.Delete].
func (t *Typed[K, V]) Delete(key K) bool {
	s := scratches.Get().(*scratch)
	defer s.giveBack()
	s.key = t.codec.Key(s.key[:0], key)
	return t.cache.Delete(s.key)
}

// TypedLoader is a [Loader] for a Typed.
type TypedLoader[K, V any] func(ctx context.Context, key K) (LoadedValue[V], error)

// Load is [Cache.Load]. Its error may be the codec's as well.
func (t *Typed[K, V]) Load(ctx context.Context, key K, loader TypedLoader[K, V]) (V, error) {
	s := scratches.Get().(*scratch)
	defer s.giveBack()
	s.key = t.codec.Key(s.key[:0], key)
	var at found
	at.value, at.state, at.ok = t.cache.lookup(s.value[:0], unsafe.SliceData(s.key), len(s.key))
	s.value = at.value
	if at.ok && at.state == Fresh {
		return t.codec.Value.Decode(at.value)
	}
	return t.load(ctx, s, key, at, loader)
}

// load is Load for all but fresh values. The loader's goroutine may outlive this call, so
// it has no part in s.
func (t *Typed[K, V]) load(ctx context.Context, s *scratch, key K, at found, loader TypedLoader[K, V]) (V, error) {
	data, err := t.cache.load(ctx, s.value[:0], bytes.Clone(s.key), at, func(ctx context.Context, _ []byte) (Loaded, error) {
		loaded, err := loader(ctx, key)
		if err != nil {
			return Loaded{}, err
		}
		return t.encode(&loaded)
	})
	if err != nil {
		var none V
		return none, err
	}
	s.value = data
	return t.codec.Value.Decode(data)
}

// encode is what a loader returned, in bytes.
func (t *Typed[K, V]) encode(loaded *LoadedValue[V]) (Loaded, error) {
	l := Loaded{Absent: loaded.Absent, SetOptions: loaded.SetOptions}
	var err error
	if !l.Absent {
		l.Value, err = t.codec.Value.Append(nil, loaded.Value)
	}
	return l, err
}

// TypedBulkLoader is a [BulkLoader] for a Typed.
type TypedBulkLoader[K, V any] func(ctx context.Context, keys []K) ([]LoadedValue[V], error)

// LoadMany is [Cache.LoadMany]. The values are in the order of the keys; found says
// which there are. The error is that of the first key that could not be loaded, and the
// others are returned all the same.
func (t *Typed[K, V]) LoadMany(ctx context.Context, keys []K, loader TypedBulkLoader[K, V]) (values []V, found []bool, err error) {
	var b Batch
	s := scratches.Get().(*scratch)
	for _, key := range keys {
		s.key = t.codec.Key(s.key[:0], key)
		b.Add(s.key)
	}
	s.giveBack()
	keys = slices.Clone(keys) // a loader may outlive this call
	err = t.cache.loadMany(ctx, &b, func(ctx context.Context, at []int, _ [][]byte) ([]Loaded, error) {
		some := make([]K, len(at))
		for j, i := range at {
			some[j] = keys[i]
		}
		typed, err := loader(ctx, some)
		if err != nil {
			return nil, err
		}
		loaded := make([]Loaded, len(typed))
		for j := range typed {
			if loaded[j], err = t.encode(&typed[j]); err != nil {
				return nil, err
			}
		}
		return loaded, nil
	})
	values, found = make([]V, len(keys)), make([]bool, len(keys))
	for i := range keys {
		data, ok := b.Value(i)
		if !ok {
			continue
		}
		value, bad := t.codec.Value.Decode(data)
		if bad != nil {
			if err == nil {
				err = bad
			}
			continue
		}
		values[i], found[i] = value, true
	}
	return values, found, err
}
