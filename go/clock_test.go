package larder_test

import (
	"context"
	"testing"
	"time"

	larder "github.com/larder-cache/larder/go"
)

// All that depends on time goes by the clock of the options.
func TestMockClock(t *testing.T) {
	clock := larder.NewMockClock()
	c := newCache(t, larder.Options{MaxBytes: 1 << 20, DefaultTTL: time.Hour, AbsentTTL: time.Minute, Clock: clock, EventBytes: 64 << 10})
	space, err := c.Namespace("space", larder.NamespaceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*larder.Cache{c, space} {
		mustSet(t, c, "default", nil)
		if err := c.SetStringTTL("minute", nil, time.Minute); err != nil {
			t.Fatal(err)
		}
		if err := c.SetStringTTL("never", nil, larder.NoExpiry); err != nil {
			t.Fatal(err)
		}
		if err := c.SetWith([]byte("stale"), nil, larder.SetOptions{StaleAfter: time.Minute}); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = c.LoadString(bg, nil, "absent", func(context.Context, []byte) (larder.Loaded, error) {
		return larder.Loaded{Absent: true}, nil
	})
	clock.Advance(time.Minute - time.Millisecond)
	for _, c := range []*larder.Cache{c, space} {
		wantValue(t, c, "minute", nil)
		if _, info, _ := c.GetWith(nil, []byte("stale"), false); info.State != larder.Fresh || info.TTL != time.Hour-time.Minute+time.Millisecond {
			t.Errorf("%+v", info)
		}
	}
	if _, err := c.LoadString(bg, nil, "absent", never(t)); err != larder.ErrNotFound {
		t.Error(err)
	}
	clock.Advance(time.Millisecond)
	for _, c := range []*larder.Cache{c, space} {
		wantMiss(t, c, "minute")
		wantValue(t, c, "default", nil)
		if _, info, _ := c.GetWith(nil, []byte("stale"), false); info.State != larder.Stale {
			t.Errorf("%+v", info)
		}
	}
	wantLoad(t, c, "absent", constant("there"), "there")
	clock.Advance(time.Hour)
	for _, c := range []*larder.Cache{c, space} {
		wantMiss(t, c, "default")
		wantValue(t, c, "never", nil)
		wait(t, "the rest to be removed", func() bool { return c.Len() == 1 })
	}
	defer func() {
		if recover() == nil {
			t.Error("a clock went back")
		}
	}()
	clock.Advance(-1)
}

func TestClockFunc(t *testing.T) {
	now := time.Now()
	c := newCache(t, larder.Options{MaxBytes: 1 << 20, DefaultTTL: time.Minute, Clock: larder.ClockFunc(func() time.Time { return now })})
	mustSet(t, c, "k", nil)
	now = now.Add(-time.Hour) // stands still
	wantValue(t, c, "k", nil)
	now = now.Add(2 * time.Hour)
	wantMiss(t, c, "k")
}

// Zero is the cache's default, NoExpiry never, and another negative duration an error.
func TestDurations(t *testing.T) {
	const hour, day = time.Hour, 24 * time.Hour
	c := newCache(t, larder.Options{MaxBytes: 16 << 20, DefaultTTL: hour, Clock: larder.NewMockClock()})
	none := newCache(t, larder.Options{MaxBytes: 16 << 20, DefaultTTL: larder.NoExpiry, Clock: larder.NewMockClock()})
	space := func(o larder.NamespaceOptions) *larder.Cache {
		s, err := c.Namespace(o.DefaultTTL.String(), o)
		if err != nil {
			t.Fatal(err)
		}
		// Again, with options left open.
		if again, err := c.Namespace(o.DefaultTTL.String(), larder.NamespaceOptions{}); again != s || err != nil {
			t.Error(again, err)
		}
		return s
	}
	key := []byte("k")
	many := func(c *larder.Cache, ttl time.Duration) error {
		var b larder.Batch
		b.AddEntry(key, nil)
		return c.SetManyTTL(&b, ttl)
	}
	ways := map[string]func(c *larder.Cache, ttl time.Duration) error{
		"SetTTL":     func(c *larder.Cache, ttl time.Duration) error { return c.SetTTL(key, nil, ttl) },
		"SetManyTTL": many,
		"SetWith": func(c *larder.Cache, ttl time.Duration) error {
			return c.SetWith(key, nil, larder.SetOptions{TTL: ttl})
		},
		"SetWith, sliding": func(c *larder.Cache, ttl time.Duration) error {
			return c.SetWith(key, nil, larder.SetOptions{TTL: ttl, Sliding: true})
		},
		"Touch": func(c *larder.Cache, ttl time.Duration) error {
			if err := c.Set(key, nil); err != nil {
				return err
			}
			if !c.Touch(key, ttl) {
				return larder.ErrInvalidTTL
			}
			return nil
		},
		"Load": func(c *larder.Cache, ttl time.Duration) error {
			c.Delete(key)
			_, err := c.Load(bg, nil, key, func(context.Context, []byte) (larder.Loaded, error) {
				return larder.Loaded{SetOptions: larder.SetOptions{TTL: ttl}}, nil
			})
			return err
		},
		"Typed.SetTTL": func(c *larder.Cache, ttl time.Duration) error {
			codec := larder.Codec[string, string]{Key: larder.StringKey[string], Value: larder.StringValue[string]()}
			return larder.NewTyped(c, codec).SetTTL("k", "", ttl)
		},
	}
	for _, test := range []struct {
		c         *larder.Cache
		ttl, want time.Duration // want 0: an error
	}{
		{c, 0, hour},
		{c, larder.NoExpiry, larder.NoExpiry},
		{c, day, day},
		{c, -2, 0},
		{c, -hour, 0},
		{none, 0, larder.NoExpiry},
		{space(larder.NamespaceOptions{}), 0, hour},
		{space(larder.NamespaceOptions{DefaultTTL: day}), 0, day},
		{space(larder.NamespaceOptions{DefaultTTL: larder.NoExpiry}), 0, larder.NoExpiry},
	} {
		for name, set := range ways {
			err := set(test.c, test.ttl)
			if test.want == 0 {
				if err == nil {
					t.Errorf("%s with %v: no error", name, test.ttl)
				}
				continue
			}
			_, info, ok := test.c.GetWith(nil, key, false)
			if err != nil || !ok || info.TTL != test.want {
				t.Errorf("%s with %v: lives for %v, want %v (%v)", name, test.ttl, info.TTL, test.want, err)
			}
		}
	}
	if _, err := c.Namespace(day.String(), larder.NamespaceOptions{DefaultTTL: larder.NoExpiry}); err == nil {
		t.Error("a namespace with another DefaultTTL")
	}
}

func TestAbsentTTL(t *testing.T) {
	absent := func(context.Context, []byte) (larder.Loaded, error) { return larder.Loaded{Absent: true}, nil }
	for _, test := range []struct {
		o    larder.Options
		want time.Duration
	}{
		{larder.Options{}, 10 * time.Second},
		{larder.Options{DefaultTTL: time.Hour}, 10 * time.Second},
		{larder.Options{DefaultTTL: time.Second}, time.Second},
		{larder.Options{DefaultTTL: time.Hour, AbsentTTL: time.Minute}, time.Minute},
		{larder.Options{DefaultTTL: time.Hour, AbsentTTL: larder.NoExpiry}, larder.NoExpiry},
	} {
		test.o.MaxBytes, test.o.Clock = 1<<20, larder.NewMockClock()
		c := newCache(t, test.o)
		_, _ = c.LoadString(bg, nil, "k", absent)
		if _, info, ok := c.GetWith(nil, []byte("k"), false); !ok || info.State != larder.Absent || info.TTL != test.want {
			t.Errorf("%+v: %+v, %v", test.o, info, ok)
		}
	}
}

func TestDefaultStaleAfter(t *testing.T) {
	clock := larder.NewMockClock()
	c := newCache(t, larder.Options{MaxBytes: 1 << 20, DefaultTTL: time.Hour, DefaultStaleAfter: time.Minute, Clock: clock})
	var b larder.Batch
	b.AddEntry([]byte("SetMany"), nil)
	if err := c.SetMany(&b); err != nil {
		t.Fatal(err)
	}
	mustSet(t, c, "Set", nil)
	_ = c.SetStringTTL("SetTTL", nil, 2*time.Hour)
	_ = c.SetStringTTL("short", nil, 30*time.Second)
	_ = c.SetWith([]byte("never"), nil, larder.SetOptions{StaleAfter: larder.NoExpiry})
	wantLoad(t, c, "Load", constant(""), "")
	clock.Advance(29 * time.Second)
	wantValue(t, c, "short", nil)
	clock.Advance(31 * time.Second)
	for key, want := range map[string]larder.State{
		"SetMany": larder.Stale, "Set": larder.Stale, "SetTTL": larder.Stale, "Load": larder.Stale, "never": larder.Fresh,
	} {
		if _, info, ok := c.GetWith(nil, []byte(key), false); !ok || info.State != want {
			t.Errorf("%s: %+v, %v", key, info, ok)
		}
	}
	if _, err := larder.New(larder.Options{MaxBytes: 1 << 20, DefaultTTL: time.Minute, DefaultStaleAfter: time.Hour}); err == nil {
		t.Error("stale after it has expired")
	}
}
