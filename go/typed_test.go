package larder_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	larder "github.com/larder-cache/larder/go"
)

type user struct {
	Name string
	Age  int
}

// roundTrip stores and reads values through a codec.
func roundTrip[K comparable, V any](t *testing.T, name string, codec larder.Codec[K, V], same func(a, b V) bool, entries map[K]V) {
	t.Helper()
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	typed := larder.NewTyped(c, codec)
	for key := range entries {
		if _, err := typed.Get(key); err != larder.ErrNotFound {
			t.Errorf("%s: %v: %v", name, key, err)
		}
	}
	for key, value := range entries {
		if err := typed.Set(key, value); err != nil {
			t.Fatal(name, err)
		}
	}
	if c.Len() != len(entries) {
		t.Errorf("%s: %d entries for %d keys", name, c.Len(), len(entries))
	}
	for key, want := range entries {
		got, err := typed.Get(key)
		if err != nil || !same(got, want) {
			t.Errorf("%s: %v: %v, %v; want %v", name, key, got, err, want)
		}
		if !typed.Delete(key) || typed.Delete(key) {
			t.Errorf("%s: %v was not removed once", name, key)
		}
	}
}

func equal[V comparable](a, b V) bool { return a == b }

func TestCodecs(t *testing.T) {
	type name string
	roundTrip(t, "strings", larder.Codec[name, name]{Key: larder.StringKey[name], Value: larder.StringValue[name]()}, equal,
		map[name]name{"": "", "a": "b", "long": name(strings.Repeat("x", 200_000))})
	type blob []byte
	roundTrip(t, "bytes", larder.Codec[string, blob]{Key: larder.StringKey[string], Value: larder.BytesValue[blob]()},
		func(a, b blob) bool { return string(a) == string(b) },
		map[string]blob{"a": {}, "b": {0, 1, 2}})
	roundTrip(t, "int8", larder.Codec[int8, int8]{Key: larder.IntKey[int8], Value: larder.IntValue[int8]()}, equal,
		map[int8]int8{-128: 127, 0: -1, 127: -128})
	roundTrip(t, "uint64", larder.Codec[uint64, int64]{Key: larder.IntKey[uint64], Value: larder.IntValue[int64]()}, equal,
		map[uint64]int64{0: math.MinInt64, math.MaxUint64: math.MaxInt64})
	roundTrip(t, "JSON", larder.Codec[int, user]{Key: larder.IntKey[int], Value: larder.JSON[user]()}, equal,
		map[int]user{1: {"Ada", 36}, 2: {}})
	roundTrip(t, "Binary, appending", larder.Codec[int, time.Time]{Key: larder.IntKey[int], Value: larder.Binary[time.Time]()},
		time.Time.Equal, map[int]time.Time{1: time.Unix(1, 2), 2: {}})
	roundTrip(t, "Binary", larder.Codec[int, reversed]{Key: larder.IntKey[int], Value: larder.Binary[reversed]()}, equal,
		map[int]reversed{1: "abc", 2: ""})
	roundTrip(t, "Message", larder.Codec[int, *user]{Key: larder.IntKey[int], Value: larder.Message(
		func() *user { return new(user) },
		func(dst []byte, u *user) ([]byte, error) { return fmt.Appendf(dst, "%d %s", u.Age, u.Name), nil },
		func(data []byte, u *user) error { _, err := fmt.Sscan(string(data), &u.Age, &u.Name); return err },
	)}, func(a, b *user) bool { return *a == *b }, map[int]*user{1: {"Ada", 36}})
}

// reversed has no AppendBinary.
type reversed string

func (r *reversed) MarshalBinary() ([]byte, error) {
	var b []byte
	for i := len(*r) - 1; i >= 0; i-- {
		b = append(b, (*r)[i])
	}
	return b, nil
}

func (r *reversed) UnmarshalBinary(data []byte) error {
	other := reversed(data)
	b, err := other.MarshalBinary()
	*r = reversed(b)
	return err
}

func TestTypedErrors(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	users := larder.NewTyped(c, larder.Codec[string, any]{Key: larder.StringKey[string], Value: larder.JSON[any]()})
	if users.Cache() != c {
		t.Error("another cache")
	}
	if err := users.Set("k", func() {}); err == nil {
		t.Error("a function became JSON")
	}
	wantMiss(t, c, "k")
	mustSet(t, c, "k", []byte("{"))
	if _, err := users.Get("k"); err == nil || err == larder.ErrNotFound {
		t.Error(err)
	}
	load := func(v any) larder.TypedLoader[string, any] {
		return func(context.Context, string) (larder.LoadedValue[any], error) {
			return larder.LoadedValue[any]{Value: v}, nil
		}
	}
	// What can't be decoded is loaded anew, stale or not.
	for range 2 {
		if v, err := users.Load(bg, "k", load(1.0)); err != nil || v != 1.0 {
			t.Errorf("%v, %v", v, err)
		}
		mustSet(t, c, "k", []byte("{"))
		c.MarkStale([]byte("k"))
	}
	if _, err := users.Load(bg, "l", load(func() {})); err == nil {
		t.Error(err)
	}
	echo := func(_ context.Context, keys []string) ([]larder.LoadedValue[any], error) {
		l := make([]larder.LoadedValue[any], len(keys))
		for i := range l {
			l[i].Value = keys[i]
		}
		return l, nil
	}
	mustSet(t, c, "k", []byte("{"))
	if values, found, err := users.GetMany([]string{"k", "l"}); err == nil || err == larder.ErrNotFound || found[0] || found[1] {
		t.Errorf("%v, %v, %v", values, found, err)
	}
	values, found, err := users.LoadMany(bg, []string{"k", "l"}, echo)
	if err != nil || !found[0] || !found[1] || values[0] != "k" || values[1] != "l" {
		t.Errorf("%v, %v, %v", values, found, err)
	}
	if values, found, err := users.GetMany([]string{"k", "no", "l"}); err != nil || !found[0] || found[1] || values[2] != "l" {
		t.Errorf("%v, %v, %v", values, found, err)
	}
	// One that can't be encoded, or whose load failed, is lost alone.
	values, found, err = users.LoadMany(bg, []string{"one", "nan", "two", "oops"}, func(_ context.Context, keys []string) ([]larder.LoadedValue[any], error) {
		l, _ := echo(bg, keys)
		l[1].Value = math.NaN()
		return l, larder.KeyErrors{nil, nil, nil, errors.New("oops")}
	})
	if err == nil || !found[0] || found[1] || !found[2] || found[3] || values[2] != "two" || !c.HasString("two") {
		t.Errorf("%v, %v, %v", values, found, err)
	}
	_, found, err = users.LoadMany(bg, []string{"m"}, func(context.Context, []string) ([]larder.LoadedValue[any], error) {
		return []larder.LoadedValue[any]{{Value: func() {}}}, nil
	})
	if err == nil || found[0] {
		t.Errorf("%v, %v", found, err)
	}
	ints := larder.NewTyped(c, larder.Codec[string, int]{Key: larder.StringKey[string], Value: larder.IntValue[int]()})
	if _, err := ints.Get("k"); err == nil || err == larder.ErrNotFound {
		t.Error(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("an empty codec")
		}
	}()
	larder.NewTyped(c, larder.Codec[string, int]{})
}

// Two of them share a cache.
func TestTypedLoad(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	squares := larder.NewTyped(c, larder.Codec[int, int]{Key: larder.PrefixKey("square/", larder.IntKey[int]), Value: larder.IntValue[int]()})
	names := larder.NewTyped(c, larder.Codec[int, string]{Key: larder.PrefixKey("name/", larder.IntKey[int]), Value: larder.StringValue[string]()})
	oops := errors.New("oops")
	calls := 0
	square := func(_ context.Context, n int) (larder.LoadedValue[int], error) {
		calls++
		if n == 13 {
			return larder.LoadedValue[int]{}, oops
		}
		return larder.LoadedValue[int]{Value: n * n, Absent: n < 0}, nil
	}
	for range 2 {
		for n := range 10 {
			if got, err := squares.Load(bg, n, square); got != n*n || err != nil {
				t.Errorf("%d: %d, %v", n, got, err)
			}
			name, err := names.Load(bg, n, func(_ context.Context, n int) (larder.LoadedValue[string], error) {
				calls++
				return larder.LoadedValue[string]{Value: fmt.Sprint("number ", n)}, nil
			})
			if name != fmt.Sprint("number ", n) || err != nil {
				t.Errorf("%d: %q, %v", n, name, err)
			}
		}
		if _, err := squares.Load(bg, -1, square); err != larder.ErrNotFound {
			t.Error(err)
		}
	}
	if calls != 21 {
		t.Errorf("%d calls", calls)
	}
	if _, err := squares.Load(bg, 13, square); err != oops {
		t.Error(err)
	}
	if err := squares.SetWith(3, 10, larder.SetOptions{Tags: []string{"wrong"}}); err != nil {
		t.Error(err)
	}
	if got, err := squares.Load(bg, 3, square); got != 10 || err != nil {
		t.Error(got, err)
	}
	if err := c.InvalidateTag("wrong"); err != nil {
		t.Error(err)
	}

	var asked []int
	keys := []int{2, 3, 40, -2, 2, -1}
	for range 2 {
		values, found, err := squares.LoadMany(bg, keys, func(_ context.Context, keys []int) ([]larder.LoadedValue[int], error) {
			asked = append(asked, keys...)
			var l []larder.LoadedValue[int]
			for _, n := range keys {
				l = append(l, larder.LoadedValue[int]{Value: n * n, Absent: n < 0})
			}
			return l, nil
		})
		if err != nil {
			t.Error(err)
		}
		for i, n := range keys {
			if found[i] != (n >= 0) || found[i] && values[i] != n*n {
				t.Errorf("%d: %d, %v", n, values[i], found[i])
			}
		}
	}
	if fmt.Sprint(asked) != "[3 40 -2]" {
		t.Error(asked)
	}
	_, found, err := squares.LoadMany(bg, []int{50, 2}, func(context.Context, []int) ([]larder.LoadedValue[int], error) { return nil, oops })
	if err != oops || found[0] || !found[1] {
		t.Error(found, err)
	}

	// A stale value is refreshed under its own key.
	c.MarkStale(larder.PrefixKey("square/", larder.IntKey[int])(nil, 5))
	if got, err := squares.Load(bg, 5, func(_ context.Context, n int) (larder.LoadedValue[int], error) {
		return larder.LoadedValue[int]{Value: -n}, nil
	}); got != 25 || err != nil {
		t.Error(got, err)
	}
	wait(t, "the refresh", func() bool { got, _ := squares.Get(5); return got == -5 })
}

// Several Typed in one Cache don't read each other, whatever their keys and prefixes are.
func TestPrefixKeysDontMeet(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	typed := map[string]*larder.Typed[string, string]{}
	prefixes := []string{"", "user", "user2", "\x04user", strings.Repeat("p", 200)}
	keys := []string{"", "2bob", "bob", "user2bob", "\x05user2bob"}
	for _, prefix := range prefixes {
		typed[prefix] = larder.NewTyped(c, larder.Codec[string, string]{
			Key:       larder.PrefixKey(prefix, larder.StringKey[string]),
			DecodeKey: larder.DecodePrefixKey(prefix, larder.DecodeStringKey[string]),
			Value:     larder.StringValue[string](),
		})
		for _, key := range keys {
			if err := typed[prefix].Set(key, prefix+"/"+key); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := c.Len(); n != len(prefixes)*len(keys) {
		t.Errorf("%d entries", n)
	}
	for _, prefix := range prefixes {
		for _, key := range keys {
			if v, err := typed[prefix].Get(key); err != nil || v != prefix+"/"+key {
				t.Errorf("%q of %q: %q, %v", key, prefix, v, err)
			}
		}
		found := map[string]string{}
		for k, v := range typed[prefix].All() {
			found[k] = v
		}
		if len(found) != len(keys) || found["bob"] != prefix+"/bob" {
			t.Errorf("%q: %q", prefix, found)
		}
	}
}

func TestTypedCalls(t *testing.T) {
	clock := larder.NewMockClock()
	c := newCache(t, larder.Options{MaxBytes: 1 << 20, Clock: clock})
	numbers := larder.NewTyped(c, larder.Codec[int8, int]{Key: larder.IntKey[int8], DecodeKey: larder.DecodeIntKey[int8], Value: larder.IntValue[int]()})
	if err := numbers.SetTTL(-5, 500, time.Minute); err != nil {
		t.Fatal(err)
	}
	if !numbers.Has(-5) || numbers.Has(5) || !numbers.Touch(-5, time.Hour) || numbers.Touch(5, time.Hour) {
		t.Error("Has or Touch")
	}
	clock.Advance(30 * time.Minute)
	mustSet(t, c, "not one of them", nil)
	for k, v := range numbers.All() {
		if k != -5 || v != 500 {
			t.Error(k, v)
		}
	}
	if _, err := larder.DecodeIntKey[int8](larder.IntKey(nil, 300)); err == nil {
		t.Error("300 is an int8")
	}
	clock.Advance(30 * time.Minute)
	if numbers.Has(-5) {
		t.Error("it lives for ever")
	}
}
