package larder_test

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"testing"
	"time"

	larder "github.com/larder-cache/larder/go"
)

var none larder.SetOptions

func TestSetWith(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20, DefaultTTL: time.Hour})
	for _, test := range []struct {
		o    larder.SetOptions
		left time.Duration
	}{
		{none, time.Hour},
		{larder.SetOptions{TTL: larder.NoExpiry}, -1},
		{larder.SetOptions{TTL: time.Minute, StaleAfter: time.Second}, time.Minute},
		{larder.SetOptions{TTL: time.Minute, Sliding: true, Tags: []string{"a", "", "b"}}, time.Minute},
	} {
		if err := c.SetWith([]byte("k"), []byte("v"), test.o); err != nil {
			t.Fatal(err)
		}
		got, info, ok := c.GetWith([]byte("+"), []byte("k"), false)
		if !ok || string(got) != "+v" || info.State != larder.Fresh || info.Version != 0 {
			t.Errorf("%+v: %q, %+v, %v", test.o, got, info, ok)
		}
		if test.left < 0 && info.TTL >= 0 || test.left > 0 && (info.TTL > test.left || info.TTL < test.left/2) {
			t.Errorf("%+v: %v left, want %v", test.o, info.TTL, test.left)
		}
	}
	many := make([]string, 65)
	for i := range many {
		many[i] = fmt.Sprint("a longer tag, number ", i)
	}
	if err := c.SetWith([]byte("k"), []byte("many"), larder.SetOptions{Tags: many[:64]}); err != nil {
		t.Error(err)
	}
	for _, test := range []struct {
		o    larder.SetOptions
		want error
	}{
		{larder.SetOptions{TTL: -2}, larder.ErrInvalidTTL},
		{larder.SetOptions{TTL: math.MinInt64}, larder.ErrInvalidTTL},
		{larder.SetOptions{StaleAfter: -2}, larder.ErrInvalidTTL},
		{larder.SetOptions{TTL: larder.NoExpiry, StaleAfter: -2}, larder.ErrInvalidTTL},
		{larder.SetOptions{TTL: 1, StaleAfter: 2}, larder.ErrStaleBeyondTTL},
		{larder.SetOptions{Tags: many}, larder.ErrTooManyTags},
	} {
		if err := c.SetWith([]byte("k"), nil, test.o); err != test.want {
			t.Errorf("%+v: %v", test.o, err)
		}
		if _, err := c.Add([]byte("new"), nil, test.o); err != test.want {
			t.Errorf("%+v: %v", test.o, err)
		}
		if _, err := c.Increment([]byte("new"), 1, test.o); err != test.want {
			t.Errorf("%+v: %v", test.o, err)
		}
		if _, _, err := c.CompareAndSwap([]byte("k"), nil, 1, test.o); err != test.want {
			t.Errorf("%+v: %v", test.o, err)
		}
	}
	wantValue(t, c, "k", []byte("many"))
	if err := c.InvalidateTag(many[63]); err != nil {
		t.Error(err)
	}
	wantMiss(t, c, "k")
	if _, _, ok := c.GetWith(nil, []byte("k"), true); ok {
		t.Error("found")
	}
	if err := c.SetWith([]byte("k"), make([]byte, 1<<20), none); err != larder.ErrValueTooLarge {
		t.Error(err)
	}
}

func TestSliding(t *testing.T) {
	for _, everywhere := range []bool{false, true} {
		c := newCache(t, larder.Options{MaxBytes: 1 << 20, Sliding: everywhere})
		o := larder.SetOptions{TTL: 200 * time.Millisecond, Sliding: !everywhere}
		if err := c.SetWith([]byte("k"), []byte("v"), o); err != nil {
			t.Fatal(err)
		}
		// However slowly this runs: a read finds it and puts its deadline off, or it has
		// been unread for all of its time.
		start, last := time.Now(), time.Now()
		for time.Since(start) < 500*time.Millisecond {
			time.Sleep(10 * time.Millisecond)
			begun := time.Now()
			if _, ok := c.GetString(nil, "k"); !ok {
				if since := time.Since(last); since < 150*time.Millisecond {
					t.Fatalf("expired %v after it was read", since)
				}
				t.Skip("the machine is too busy")
			}
			last = begun
		}
		wait(t, "it to expire unread", func() bool {
			time.Sleep(300 * time.Millisecond)
			_, ok := c.GetString(nil, "k")
			return !ok
		})
	}
}

func TestTTLJitter(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20, TTLJitter: 0.5})
	different := map[time.Duration]bool{}
	for i := range 100 {
		key := fmt.Append(nil, i)
		if err := c.SetTTL(key, key, 10*time.Hour); err != nil {
			t.Fatal(err)
		}
		_, info, _ := c.GetWith(nil, key, false)
		if info.TTL > 10*time.Hour || info.TTL < 4*time.Hour {
			t.Errorf("%v left", info.TTL)
		}
		different[info.TTL.Round(time.Minute)] = true
	}
	if len(different) < 30 {
		t.Errorf("only %d different times", len(different))
	}
	for _, bad := range []float64{-0.1, 1.1, math.NaN()} {
		if _, err := larder.New(larder.Options{MaxBytes: 1 << 20, TTLJitter: bad}); !errors.Is(err, larder.ErrInvalidOptions) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func TestLeases(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	state := func(lease bool) larder.State {
		_, info, ok := c.GetWith(nil, []byte("k"), lease)
		if !ok {
			t.Error("gone")
		}
		return info.State
	}
	if c.MarkStale([]byte("k")) {
		t.Error("there is nothing to mark")
	}
	for range 3 {
		mustSet(t, c, "k", []byte("v"))
		if s := state(true); s != larder.Fresh {
			t.Error(s)
		}
		if !c.MarkStale([]byte("k")) {
			t.Error("not found")
		}
		for i, want := range []larder.State{larder.Stale, larder.Refresh, larder.Stale, larder.Stale} {
			if s := state(i > 0); s != want {
				t.Errorf("%d: %v, want %v", i, s, want)
			}
		}
	}
}

func TestAdd(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	for i := range 3 {
		added, err := c.Add([]byte("k"), fmt.Append(nil, i), none)
		if added != (i == 0) || err != nil {
			t.Errorf("%d: %v, %v", i, added, err)
		}
	}
	wantValue(t, c, "k", []byte("0"))
	c.Delete([]byte("k"))
	if added, err := c.Add([]byte("k"), []byte("new"), larder.SetOptions{TTL: 20 * time.Millisecond}); !added || err != nil {
		t.Error(added, err)
	}
	wait(t, "it to expire", func() bool { added, _ := c.Add([]byte("k"), []byte("next"), none); return added })
	wantValue(t, c, "k", []byte("next"))

	// Of many one adds.
	for round := range 50 {
		key := fmt.Append(nil, "race ", round)
		var all sync.WaitGroup
		won := make(chan int, 8)
		for g := range 8 {
			all.Add(1)
			go func() {
				defer all.Done()
				if added, err := c.Add(key, fmt.Append(nil, g), none); added {
					won <- g
				} else if err != nil {
					t.Error(err)
				}
			}()
		}
		all.Wait()
		if len(won) != 1 {
			t.Fatalf("%d of them added", len(won))
		}
		wantValue(t, c, string(key), fmt.Append(nil, <-won))
	}
	if _, err := c.Add([]byte("k2"), make([]byte, 1<<20), none); err != larder.ErrValueTooLarge {
		t.Error(err)
	}
}

func TestCompareAndSwap(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	key := []byte("k")
	if _, _, ok := c.GetVersion(nil, key); ok {
		t.Error("found")
	}
	if _, swapped, err := c.CompareAndSwap(key, nil, 1, none); swapped || err != larder.ErrNotFound {
		t.Error(swapped, err)
	}
	mustSet(t, c, "k", []byte("one"))
	v, first, ok := c.GetVersion([]byte("+"), key)
	if !ok || string(v) != "+one" || first == 0 {
		t.Fatalf("%q, %d, %v", v, first, ok)
	}
	if _, again, _ := c.GetVersion(nil, key); again != first {
		t.Errorf("%d, then %d", first, again)
	}
	second, swapped, err := c.CompareAndSwap(key, []byte("two"), first, none)
	if !swapped || err != nil || second == first {
		t.Errorf("%d, %v, %v", second, swapped, err)
	}
	if _, swapped, err := c.CompareAndSwap(key, []byte("lost"), first, none); swapped || err != nil {
		t.Error(swapped, err)
	}
	wantValue(t, c, "k", []byte("two"))
	third, swapped, err := c.CompareAndSwap(key, []byte("three"), second, none)
	if !swapped || err != nil {
		t.Error(swapped, err)
	}
	// A value that was there before has another version.
	mustSet(t, c, "k", []byte("three"))
	if _, swapped, err := c.CompareAndSwap(key, []byte("lost"), third, none); swapped || err != nil {
		t.Error(swapped, err)
	}
	wantValue(t, c, "k", []byte("three"))

	// Many count, and none is lost.
	mustSet(t, c, "n", []byte("0"))
	var all sync.WaitGroup
	for range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			for range 200 {
				for swapped := false; !swapped; {
					v, version, ok := c.GetVersion(nil, []byte("n"))
					n, err := strconv.Atoi(string(v))
					if !ok || err != nil {
						t.Error(ok, err)
						return
					}
					if _, swapped, err = c.CompareAndSwap([]byte("n"), fmt.Append(nil, n+1), version, none); err != nil {
						t.Error(err)
						return
					}
				}
			}
		}()
	}
	all.Wait()
	wantValue(t, c, "n", []byte("1600"))
}

func TestTouch(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20, DefaultTTL: time.Hour})
	key := []byte("k")
	if c.Touch(key, time.Minute) {
		t.Error("touched nothing")
	}
	for _, before := range []larder.SetOptions{none, {TTL: larder.NoExpiry}, {TTL: time.Minute, Tags: []string{"a"}}} {
		if err := c.SetWith(key, []byte("v"), before); err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct{ ttl, left time.Duration }{
			{2 * time.Hour, 2 * time.Hour}, {larder.NoExpiry, -1}, {0, time.Hour}, {time.Minute, time.Minute},
		} {
			if !c.Touch(key, test.ttl) {
				t.Error("not found")
			}
			_, info, _ := c.GetWith(nil, key, false)
			if test.left < 0 && info.TTL >= 0 || test.left > 0 && (info.TTL > test.left || info.TTL < test.left/2) {
				t.Errorf("%v: %v left", test.ttl, info.TTL)
			}
			wantValue(t, c, "k", []byte("v"))
		}
	}
	if c.Touch(key, -2) {
		t.Error("a negative time to live")
	}
	if !c.Touch(key, time.Millisecond) {
		t.Error("not found")
	}
	wait(t, "it to expire", func() bool { return !c.Touch(key, time.Millisecond/2) })
}

func TestIncrement(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	key := []byte("n")
	sum := int64(0)
	for _, delta := range []int64{0, 1, 41, -100, math.MaxInt32, -math.MaxInt64, math.MaxInt64 - 1000} {
		sum += delta
		n, err := c.Increment(key, delta, larder.SetOptions{TTL: time.Hour})
		if err != nil || n != sum {
			t.Errorf("%+d: %d, %v; want %d", delta, n, err, sum)
		}
		wantValue(t, c, "n", fmt.Append(nil, sum))
		if _, info, _ := c.GetWith(nil, key, false); info.TTL < 0 || info.TTL > time.Hour {
			t.Errorf("%v left", info.TTL)
		}
	}
	for _, value := range []string{"", "x", "12x", "1.5", "9223372036854775808", "9223372036854775807"} {
		mustSet(t, c, "n", []byte(value))
		if n, err := c.Increment(key, 1, none); err != larder.ErrNotNumber {
			t.Errorf("%q: %d, %v", value, n, err)
		}
		wantValue(t, c, "n", []byte(value))
	}
	c.Delete(key)
	var all sync.WaitGroup
	for range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			for range 500 {
				if _, err := c.Increment(key, 3, none); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	all.Wait()
	wantValue(t, c, "n", []byte("12000"))
}

func TestInvalidateTag(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 4 << 20})
	set := func(i int) {
		o := larder.SetOptions{Tags: []string{fmt.Sprint("mod 3: ", i%3), fmt.Sprint("mod 5: ", i%5)}}
		if err := c.SetWith(fmt.Append(nil, i), []byte("v"), o); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 300 {
		set(i)
	}
	mustSet(t, c, "untagged", []byte("v"))
	for _, tag := range []string{"mod 3: 1", "mod 5: 0", "unknown", ""} {
		if err := c.InvalidateTag(tag); err != nil {
			t.Error(err)
		}
	}
	set(10) // anew
	for i := range 300 {
		_, ok := c.GetString(nil, fmt.Sprint(i))
		if want := i == 10 || i%3 != 1 && i%5 != 0; ok != want {
			t.Errorf("%d: %v", i, ok)
		}
	}
	if err := c.InvalidateTagSoft("mod 5: 1"); err != nil {
		t.Error(err)
	}
	for i := range 300 {
		_, info, ok := c.GetWith(nil, fmt.Append(nil, i), false)
		if ok && (info.State == larder.Stale) != (i%5 == 1) {
			t.Errorf("%d: %v", i, info.State)
		}
	}
	wantValue(t, c, "untagged", []byte("v"))
}

func TestConditionalClosed(t *testing.T) {
	closed := newCache(t, larder.Options{MaxBytes: 1 << 20})
	closed.Close()
	for _, c := range []*larder.Cache{closed, {}} {
		_, addErr := c.Add(nil, nil, none)
		_, _, casErr := c.CompareAndSwap(nil, nil, 1, none)
		_, incErr := c.Increment(nil, 1, none)
		for i, err := range []error{c.SetWith(nil, nil, none), addErr, casErr, incErr, c.InvalidateTag(""), c.InvalidateTagSoft("")} {
			if err != larder.ErrClosed {
				t.Error(i, err)
			}
		}
		if _, _, ok := c.GetWith(nil, nil, true); ok || c.Touch(nil, 0) || c.MarkStale(nil) {
			t.Error("found")
		}
		if _, _, ok := c.GetVersion(nil, nil); ok {
			t.Error("found")
		}
	}
}
