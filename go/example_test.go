package larder_test

import (
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
	// larder: invalid options: MaxBytes is -1, and must be positive
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
	_ = cache.SetTTL([]byte("salt"), []byte("500 g"), 0) // for ever

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
