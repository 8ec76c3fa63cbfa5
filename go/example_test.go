package larder_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	larder "github.com/larder-cache/larder/go"
)

func Example() {
	cache, err := larder.New(larder.Options{MaxBytes: 64 << 20, DefaultTTL: time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cache.Close()

	if err := cache.SetString("soup", []byte("tomato")); err != nil {
		fmt.Println(err)
	}
	value, ok := cache.GetString(nil, "soup")
	fmt.Printf("%s %v\n", value, ok)
	value, ok = cache.GetString(nil, "salad")
	fmt.Printf("%s %v\n", value, ok)
	// Output:
	// tomato true
	//  false
}

func ExampleNew() {
	_, err := larder.New(larder.Options{MaxBytes: -1})
	fmt.Println(errors.Is(err, larder.ErrInvalidOptions))
	fmt.Println(err)
	// Output:
	// true
	// larder: invalid options: MaxBytes is -1, and must be from 256 KiB (262144) to 256 GiB (274877906944)
}

// A buffer that is used again makes Get free of allocations.
func ExampleCache_Get() {
	cache, _ := larder.New(larder.Options{MaxBytes: 1 << 20})
	defer cache.Close()
	for _, fruit := range []string{"apple", "pear", "plum"} {
		_ = cache.SetString(fruit, []byte(fruit+" jam"))
	}

	buf := make([]byte, 0, 64)
	for _, fruit := range []string{"pear", "melon", "plum"} {
		var ok bool
		if buf, ok = cache.Get(buf[:0], []byte(fruit)); ok {
			fmt.Printf("%s\n", buf)
		}
	}
	// Output:
	// pear jam
	// plum jam
}

func ExampleCache_Set() {
	cache, _ := larder.New(larder.Options{MaxBytes: 1 << 20})
	defer cache.Close()

	err := cache.Set([]byte("whole"), make([]byte, 1<<20))
	fmt.Println(err, errors.Is(err, larder.ErrValueTooLarge))
	// Output:
	// larder: value longer than a quarter of the budget true
}

func ExampleCache_SetTTL() {
	cache, _ := larder.New(larder.Options{MaxBytes: 1 << 20})
	defer cache.Close()

	_ = cache.SetTTL([]byte("milk"), []byte("1 l"), 20*time.Millisecond)
	_ = cache.SetTTL([]byte("salt"), []byte("500 g"), larder.NoExpiry) // for ever

	time.Sleep(50 * time.Millisecond)
	_, milk := cache.GetString(nil, "milk")
	_, salt := cache.GetString(nil, "salt")
	fmt.Println(milk, salt)
	// Output: false true
}

func ExampleCache_All() {
	cache, _ := larder.New(larder.Options{MaxBytes: 1 << 20})
	defer cache.Close()
	for i := range 100 {
		_ = cache.SetString(fmt.Sprint("user/", i%10, "/", i), []byte("profile"))
	}

	// Removing by prefix: the loop may change the cache.
	for key := range cache.All() {
		if string(key[:7]) == "user/7/" {
			cache.Delete(key)
		}
	}
	fmt.Println(cache.Len())
	// Output: 90
}

func ExampleCache_GetMany() {
	cache, _ := larder.New(larder.Options{MaxBytes: 1 << 20})
	defer cache.Close()

	var batch larder.Batch // used again and again, it allocates nothing
	batch.AddEntry([]byte("one"), []byte("uno"))
	batch.AddEntry([]byte("two"), []byte("due"))
	if err := cache.SetMany(&batch); err != nil {
		fmt.Println(err)
	}

	batch.Reset()
	for _, word := range []string{"one", "two", "three"} {
		batch.AddString(word)
	}
	fmt.Println(cache.GetMany(&batch), "found")
	for i := range batch.Len() {
		value, ok := batch.Value(i)
		fmt.Printf("%s: %s %v\n", batch.Key(i), value, ok)
	}
	// Output:
	// 2 found
	// one: uno true
	// two: due true
	// three:  false
}

func ExampleCache_View() {
	cache, _ := larder.New(larder.Options{MaxBytes: 64 << 20})
	defer cache.Close()
	_ = cache.SetString("film", make([]byte, 10<<20))

	view, ok := cache.View([]byte("film"))
	if !ok {
		return
	}
	defer view.Release()
	// An http.ResponseWriter could send them from where they lie.
	fmt.Println(len(view.Bytes()), "bytes")
	// Output: 10485760 bytes
}

// What became of the entries: call it every so often.
func ExampleCache_Events() {
	cache, _ := larder.New(larder.Options{
		MaxBytes:   1 << 20,
		EventBytes: 64 << 10,
		Events:     larder.EventEvicted | larder.EventDeleted,
	})
	defer cache.Close()
	_ = cache.SetString("soup", []byte("tomato"))
	_ = cache.SetString("salad", nil)
	cache.Delete([]byte("soup"))

	for e := range cache.Events() {
		fmt.Printf("%s: %s, %d bytes\n", e.Reason, e.Key, e.ValueLen)
	}
	fmt.Println(cache.Stats().DroppedEvents, "dropped")
	// Output:
	// deleted: soup, 6 bytes
	// 0 dropped
}

func ExampleCache_Stats() {
	cache, _ := larder.New(larder.Options{MaxBytes: 1 << 20})
	defer cache.Close()
	_ = cache.SetString("k", []byte("value"))
	buf := make([]byte, 0, 16)
	for range 3 {
		cache.GetString(buf, "k")
	}
	cache.GetString(buf, "missing")

	s := cache.Stats()
	fmt.Println(s.Entries, s.Hits, s.Misses, s.HitRatio(), s.Bytes <= s.MaxBytes)
	// Output: 1 3 1 0.75 true
}

func ExampleCache_Load() {
	cache, _ := larder.New(larder.Options{MaxBytes: 1 << 20})
	defer cache.Close()

	// Made once: a loader that is made for each call costs an allocation.
	fromDatabase := func(ctx context.Context, key []byte) (larder.Loaded, error) {
		fmt.Printf("querying %s\n", key)
		if string(key) == "nobody" {
			return larder.Loaded{Absent: true, SetOptions: larder.SetOptions{TTL: time.Minute}}, nil
		}
		return larder.Loaded{Value: []byte("profile of " + string(key))}, nil
	}
	for _, user := range []string{"ada", "ada", "nobody", "nobody"} {
		value, err := cache.Load(context.Background(), nil, []byte(user), fromDatabase)
		fmt.Printf("%q %v\n", value, err)
	}
	// Output:
	// querying ada
	// "profile of ada" <nil>
	// "profile of ada" <nil>
	// querying nobody
	// "" larder: not found
	// "" larder: not found
}

// A value that is stale is returned while a new one is fetched.
func ExampleCache_Load_stale() {
	cache, _ := larder.New(larder.Options{MaxBytes: 1 << 20})
	defer cache.Close()

	version, fetched := 0, make(chan bool, 1)
	loader := func(context.Context, []byte) (larder.Loaded, error) {
		version++
		fetched <- true
		return larder.Loaded{
			Value: fmt.Append(nil, "version ", version),
			// Fresh for a minute, good enough for an hour.
			SetOptions: larder.SetOptions{StaleAfter: time.Minute, TTL: time.Hour},
		}, nil
	}
	for range 2 {
		value, _ := cache.Load(context.Background(), nil, []byte("page"), loader)
		<-fetched
		fmt.Printf("%s\n", value)
		cache.MarkStale([]byte("page")) // as if a minute had passed
	}
	// Output:
	// version 1
	// version 1
}

func ExampleCache_LoadMany() {
	cache, _ := larder.New(larder.Options{MaxBytes: 1 << 20})
	defer cache.Close()
	_ = cache.SetString("two", []byte("due"))

	var batch larder.Batch
	for _, word := range []string{"one", "two", "three"} {
		batch.AddString(word)
	}
	err := cache.LoadMany(context.Background(), &batch, func(ctx context.Context, keys [][]byte) ([]larder.Loaded, error) {
		fmt.Printf("translating %s\n", keys)
		return []larder.Loaded{{Value: []byte("uno")}, {Value: []byte("tre")}}, nil
	})
	for i := range batch.Len() {
		value, _ := batch.Value(i)
		fmt.Printf("%s ", value)
	}
	fmt.Println(err)
	// Output:
	// translating [one three]
	// uno due tre <nil>
}

func ExampleCache_InvalidateTag() {
	cache, _ := larder.New(larder.Options{MaxBytes: 1 << 20})
	defer cache.Close()
	for page := range 100 {
		tags := []string{fmt.Sprint("author ", page%10)}
		_ = cache.SetWith(fmt.Append(nil, page), []byte("text"), larder.SetOptions{Tags: tags})
	}

	_ = cache.InvalidateTag("author 7")
	_, before := cache.GetString(nil, "16")
	_, after := cache.GetString(nil, "17")
	fmt.Println(before, after)
	// Output: true false
}

func ExampleCache_CompareAndSwap() {
	cache, _ := larder.New(larder.Options{MaxBytes: 1 << 20})
	defer cache.Close()
	_ = cache.SetString("cart", []byte("apples"))

	cart := []byte("cart")
	for {
		value, version, ok := cache.GetVersion(nil, cart)
		if !ok {
			return
		}
		value = append(value, ", pears"...)
		if _, swapped, err := cache.CompareAndSwap(cart, value, version, larder.SetOptions{}); swapped || err != nil {
			break
		}
		// Somebody else has changed it: once more.
	}
	value, _ := cache.Get(nil, cart)
	fmt.Printf("%s\n", value)
	// Output: apples, pears
}

func ExampleCache_Increment() {
	cache, _ := larder.New(larder.Options{MaxBytes: 1 << 20})
	defer cache.Close()
	// At most so many requests in a minute.
	for range 3 {
		n, err := cache.Increment([]byte("client 10.0.0.7"), 1, larder.SetOptions{TTL: time.Minute})
		fmt.Println(n, err)
	}
	// Output:
	// 1 <nil>
	// 2 <nil>
	// 3 <nil>
}

func ExampleTyped() {
	cache, _ := larder.New(larder.Options{MaxBytes: 1 << 20})
	defer cache.Close()
	type user struct{ Name string }
	users := larder.NewTyped(cache, larder.Codec[int64, user]{
		Key:   larder.PrefixKey("user/", larder.IntKey[int64]),
		Value: larder.JSON[user](),
	})

	ada, err := users.Load(context.Background(), 1815, func(ctx context.Context, id int64) (larder.LoadedValue[user], error) {
		return larder.LoadedValue[user]{Value: user{"Ada"}}, nil
	})
	fmt.Println(ada.Name, err)
	ada, err = users.Get(1815)
	fmt.Println(ada.Name, err)
	_, err = users.Get(1)
	fmt.Println(err)
	// Output:
	// Ada <nil>
	// Ada <nil>
	// larder: not found
}

func ExampleNewMockClock() {
	clock := larder.NewMockClock()
	cache, _ := larder.New(larder.Options{MaxBytes: 1 << 20, DefaultTTL: time.Hour, Clock: clock})
	defer cache.Close()
	_ = cache.SetString("milk", []byte("1 l"))
	clock.Advance(59 * time.Minute)
	fmt.Println(cache.HasString("milk"))
	clock.Advance(time.Minute)
	fmt.Println(cache.HasString("milk"))
	// Output:
	// true
	// false
}

// Entries that live in the time of a test's own clock, or of a bubble of testing/synctest:
// there, with larder.ClockFunc(time.Now).
func ExampleClockFunc() {
	now := time.Now()
	cache, _ := larder.New(larder.Options{
		MaxBytes: 1 << 20,
		Clock:    larder.ClockFunc(func() time.Time { return now }),
	})
	defer cache.Close()
	_ = cache.SetStringTTL("milk", []byte("1 l"), 24*time.Hour)
	now = now.AddDate(0, 0, 1)
	fmt.Println(cache.HasString("milk"))
	// Output: false
}

func ExampleStats_Sub() {
	cache, _ := larder.New(larder.Options{MaxBytes: 1 << 20})
	defer cache.Close()
	load := func(_ context.Context, key []byte) (larder.Loaded, error) { return larder.Loaded{Value: key}, nil }
	_, _ = cache.LoadString(context.Background(), nil, "milk", load)
	before := cache.Stats()
	for range 3 {
		_, _ = cache.LoadString(context.Background(), nil, "milk", load)
	}
	s := cache.Stats().Sub(before)
	fmt.Println(s.Hits, s.Misses, s.Loads, s.HitRatio())
	// Output: 3 0 0 1
}

func ExampleTyped_All() {
	cache, _ := larder.New(larder.Options{MaxBytes: 1 << 20})
	defer cache.Close()
	stock := larder.NewTyped(cache, larder.Codec[string, int]{
		Key:       larder.PrefixKey("stock", larder.StringKey[string]),
		DecodeKey: larder.DecodePrefixKey("stock", larder.DecodeStringKey[string]),
		Value:     larder.IntValue[int](),
	})
	_ = stock.Set("milk", 3)
	for name, n := range stock.All() {
		fmt.Println(name, n)
	}
	// Output: milk 3
}

func ExampleKeyErrors() {
	cache, _ := larder.New(larder.Options{MaxBytes: 1 << 20})
	defer cache.Close()
	var b larder.Batch
	b.AddString("milk")
	b.AddString("dust")
	err := cache.LoadMany(context.Background(), &b, func(_ context.Context, keys [][]byte) ([]larder.Loaded, error) {
		loaded, errs := make([]larder.Loaded, len(keys)), make(larder.KeyErrors, len(keys))
		for i, key := range keys {
			if string(key) == "dust" {
				errs[i] = errors.New("nobody sells dust")
				continue
			}
			loaded[i].Value = []byte("1 l")
		}
		return loaded, errs
	})
	milk, ok := b.Value(0)
	fmt.Printf("%s %v\n%v\n", milk, ok, err)
	// Output:
	// 1 l true
	// nobody sells dust
}
