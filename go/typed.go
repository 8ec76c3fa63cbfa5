package larder

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"
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

// NewTyped makes a typed view of a cache. All fields of the codec but DecodeKey must be set.
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

// SetTTL is [Cache.SetTTL]. Its error may be the codec's as well.
func (t *Typed[K, V]) SetTTL(key K, value V, ttl time.Duration) error {
	return t.SetWith(key, value, SetOptions{TTL: ttl})
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

// Has is [Cache.Has].
func (t *Typed[K, V]) Has(key K) bool {
	s := scratches.Get().(*scratch)
	defer s.giveBack()
	s.key = t.codec.Key(s.key[:0], key)
	return t.cache.Has(s.key)
}

// Touch is [Cache.Touch].
func (t *Typed[K, V]) Touch(key K, ttl time.Duration) bool {
	s := scratches.Get().(*scratch)
	defer s.giveBack()
	s.key = t.codec.Key(s.key[:0], key)
	return t.cache.Touch(s.key, ttl)
}

// All iterates over the entries whose keys and values can be decoded; in a Cache that several
// Typed share, those are its own if each has a prefix of its own. It panics without
// Codec.DecodeKey. All else is as with [Cache.All].
func (t *Typed[K, V]) All() iter.Seq2[K, V] {
	if t.codec.DecodeKey == nil {
		panic("larder: All of a Typed whose codec has no DecodeKey")
	}
	return func(yield func(K, V) bool) {
		for k, v := range t.cache.All() {
			key, err := t.codec.DecodeKey(k)
			if err != nil {
				continue
			}
			value, err := t.codec.Value.Decode(v)
			if err == nil && !yield(key, value) {
				return
			}
		}
	}
}

// DecodeKey is the key that bytes stand for, for events and the like: as Codec.DecodeKey, which
// it must have.
func (t *Typed[K, V]) DecodeKey(data []byte) (K, error) { return t.codec.DecodeKey(data) }

// TypedLoader is a [Loader] for a Typed.
type TypedLoader[K, V any] func(ctx context.Context, key K) (LoadedValue[V], error)

// Load is [Cache.Load]. Its error may be the codec's as well. A value that can't be decoded, as
// one that an older codec has stored, is loaded anew.
func (t *Typed[K, V]) Load(ctx context.Context, key K, loader TypedLoader[K, V]) (V, error) {
	s := scratches.Get().(*scratch)
	defer s.giveBack()
	s.key = t.codec.Key(s.key[:0], key)
	var at found
	at.value, at.state, at.ok = t.cache.lookup(s.value[:0], unsafe.SliceData(s.key), len(s.key))
	s.value = at.value
	loaded := false
	for {
		if !(at.ok && at.state == Fresh) {
			var err error
			if s.value, err = t.load(ctx, s, key, at, loader, &loaded); err != nil {
				var none V
				return none, err
			}
		}
		value, err := t.codec.Value.Decode(s.value)
		if err == nil || loaded {
			return value, err
		}
		t.cache.Delete(s.key)
		at, loaded = found{}, true
	}
}

// load is Load for all but fresh values. The loader's goroutine may outlive this call, so
// it has no part in s. It notes whether the value is the loader's, of this call.
func (t *Typed[K, V]) load(
	ctx context.Context, s *scratch, key K, at found, loader TypedLoader[K, V], loaded *bool,
) ([]byte, error) {
	*loaded = *loaded || !at.ok
	encoded := func(ctx context.Context, _ []byte) (Loaded, error) {
		loaded, err := loader(ctx, key)
		if err != nil {
			return Loaded{}, err
		}
		return t.encode(&loaded)
	}
	return t.cache.load(ctx, s.value[:0], bytes.Clone(s.key), at, encoded)
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

// GetMany is [Cache.GetMany]. The values are in the order of the keys; found says which there
// are. The error is the codec's, of the first value that can't be decoded; the others are
// returned all the same.
func (t *Typed[K, V]) GetMany(keys []K) (values []V, found []bool, err error) {
	b := t.batch(keys)
	t.cache.GetMany(b)
	values, found, _, err = t.decode(b)
	return values, found, err
}

// LoadMany is [Cache.LoadMany]. The values are in the order of the keys; found says
// which there are. The error is that of the first key that could not be loaded, and the
// others are returned all the same. Values that can't be decoded are loaded anew.
func (t *Typed[K, V]) LoadMany(
	ctx context.Context, keys []K, loader TypedBulkLoader[K, V],
) (values []V, found []bool, err error) {
	b := t.batch(keys)
	err = t.loadMany(ctx, b, keys, loader)
	values, found, bad, _ := t.decode(b)
	if len(bad) == 0 {
		return values, found, err
	}
	some := make([]K, len(bad))
	for j, i := range bad {
		some[j] = keys[i]
		t.cache.Delete(b.Key(i))
	}
	again := t.batch(some)
	errAgain := t.loadMany(ctx, again, some, loader)
	reloaded, there, _, errBad := t.decode(again)
	for j, i := range bad {
		values[i], found[i] = reloaded[j], there[j]
	}
	return values, found, cmp.Or(err, errAgain, errBad)
}

// batch is the keys as bytes.
func (t *Typed[K, V]) batch(keys []K) *Batch {
	b := new(Batch)
	s := scratches.Get().(*scratch)
	defer s.giveBack()
	for _, key := range keys {
		s.key = t.codec.Key(s.key[:0], key)
		b.Add(s.key)
	}
	return b
}

// loadMany is LoadMany for keys that the batch has as bytes.
func (t *Typed[K, V]) loadMany(
	ctx context.Context, b *Batch, keys []K, loader TypedBulkLoader[K, V],
) error {
	keys = slices.Clone(keys) // a loader may outlive this call
	return t.cache.loadMany(ctx, b, func(ctx context.Context, at []int, _ [][]byte) ([]Loaded, error) {
		some := make([]K, len(at))
		for j, i := range at {
			some[j] = keys[i]
		}
		typed, err := loader(ctx, some)
		var errs KeyErrors
		if err != nil && !(errors.As(err, &errs) && len(errs) == len(typed)) {
			return nil, err
		}
		loaded, each := make([]Loaded, len(typed)), make(KeyErrors, len(typed))
		copy(each, errs)
		failed := false
		for j := range typed {
			if each[j] == nil {
				loaded[j], each[j] = t.encode(&typed[j])
			}
			failed = failed || each[j] != nil
		}
		if failed {
			return loaded, each
		}
		return loaded, nil
	})
}

// decode is the values of a batch, and which could not be decoded, with the error of the first.
func (t *Typed[K, V]) decode(b *Batch) (values []V, found []bool, bad []int, err error) {
	values, found = make([]V, b.Len()), make([]bool, b.Len())
	for i := range values {
		data, ok := b.Value(i)
		if !ok {
			continue
		}
		value, wrong := t.codec.Value.Decode(data)
		if wrong != nil {
			bad = append(bad, i)
			err = cmp.Or(err, wrong)
			continue
		}
		values[i], found[i] = value, true
	}
	return values, found, bad, err
}
