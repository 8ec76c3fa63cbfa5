package larder_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	larder "github.com/larder-cache/larder/go"
)

// A sink takes the value of a key, as groupcache's Sink does; only its method for bytes is shown.
type sink interface {
	SetBytes(v []byte, e time.Time) error
}

// bytesSink is one that keeps the bytes.
type bytesSink struct {
	value []byte
	end   time.Time
}

func (s *bytesSink) SetBytes(v []byte, e time.Time) error {
	s.value, s.end = v, e
	return nil
}

// loaderOf makes a Loader of what a program has as groupcache's Getter.
func loaderOf(get func(ctx context.Context, key string, dest sink) error) larder.Loader {
	return func(ctx context.Context, key []byte) (larder.Loaded, error) {
		var s bytesSink
		if err := get(ctx, string(key), &s); err != nil {
			return larder.Loaded{}, err
		}
		loaded := larder.Loaded{Value: s.value}
		if !s.end.IsZero() {
			loaded.TTL = max(time.Until(s.end), time.Millisecond)
		}
		return loaded, nil
	}
}

// A Getter that was made for groupcache is a Loader with a few lines around it.
func ExampleCache_LoadString_groupcache() {
	cache, err := larder.New(larder.Options{MaxBytes: 64 << 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cache.Close()
	getter := func(_ context.Context, key string, dest sink) error {
		fmt.Println("asked for", key)
		return dest.SetBytes([]byte("value of "+key), time.Now().Add(time.Hour))
	}
	loader := loaderOf(getter)
	for range 2 {
		value, err := cache.LoadString(context.Background(), nil, "soup", loader)
		fmt.Printf("%s %v\n", value, err)
	}
	// Output:
	// asked for soup
	// value of soup <nil>
	// value of soup <nil>
}

// errNotThere is what a loader says, as otter's says otter.ErrNotFound, of a key without a value.
var errNotThere = errors.New("not there")

// typedLoaderOf makes a TypedLoader of what a program has as otter's LoaderFunc. That there is no
// value is kept, for Options.AbsentTTL.
func typedLoaderOf[K, V any](load func(ctx context.Context, key K) (V, error)) larder.TypedLoader[K, V] {
	return func(ctx context.Context, key K) (larder.LoadedValue[V], error) {
		value, err := load(ctx, key)
		if errors.Is(err, errNotThere) {
			return larder.LoadedValue[V]{Absent: true}, nil
		}
		return larder.LoadedValue[V]{Value: value}, err
	}
}

// A loader that was made for otter is a TypedLoader with a few lines around it.
func ExampleTyped_Load_otter() {
	cache, err := larder.New(larder.Options{MaxBytes: 64 << 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cache.Close()
	prices := larder.NewTyped(cache, larder.Codec[string, int]{
		Key: larder.StringKey[string], Value: larder.IntValue[int]()})
	loader := typedLoaderOf(func(_ context.Context, key string) (int, error) {
		fmt.Println("asked for", key)
		if key != "soup" {
			return 0, errNotThere
		}
		return 4, nil
	})
	for _, key := range []string{"soup", "soup", "salad", "salad"} {
		price, err := prices.Load(context.Background(), key, loader)
		fmt.Println(price, err)
	}
	// Output:
	// asked for soup
	// 4 <nil>
	// 4 <nil>
	// asked for salad
	// 0 larder: not found
	// 0 larder: not found
}
