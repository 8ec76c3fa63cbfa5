package larder_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	larder "github.com/larder-cache/larder/go"
)

// Errors of options name the option and its range.
func TestOptionErrors(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 4 << 20})
	if _, err := c.Namespace("there", larder.NamespaceOptions{MaxEntries: 10}); err != nil {
		t.Fatal(err)
	}
	nested, err := c.Namespace("nested", larder.NamespaceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	fails := func(o larder.Options) error { _, err := larder.New(o); return err }
	space := func(c *larder.Cache, name string, o larder.NamespaceOptions) error {
		_, err := c.Namespace(name, o)
		return err
	}
	for _, test := range []struct {
		err  error
		want []string
	}{
		{fails(larder.Options{MaxBytes: 1024}), []string{"MaxBytes", "1024", "256 KiB", "256 GiB"}},
		{fails(larder.Options{MaxBytes: 1 << 40}), []string{"MaxBytes", "256 KiB", "256 GiB"}},
		{fails(larder.Options{MaxBytes: 256 << 10, Stripes: 256}), []string{"MaxBytes", "tripes", "256"}},
		{fails(larder.Options{MaxBytes: 1 << 20, EventBytes: 1 << 20}), []string{"EventBytes", "131072"}},
		{fails(larder.Options{MaxBytes: 1 << 20, LoadGrace: -1}), []string{"LoadGrace", "negative"}},
		{fails(larder.Options{MaxBytes: 1 << 20, AbsentTTL: -2}), []string{"AbsentTTL", "NoExpiry"}},
		{fails(larder.Options{MaxBytes: 1 << 20, TTLJitter: 2}), []string{"TTLJitter", "from 0 to 1"}},
		{c.Resize(10), []string{"10", "256 KiB", "64th"}},
		{space(c, "a", larder.NamespaceOptions{MaxBytes: 1}), []string{`"a"`, "MaxBytes", "segments"}},
		{space(c, "there", larder.NamespaceOptions{MaxEntries: 11}), []string{`"there"`, "exists", "11"}},
		{space(nested, "b", larder.NamespaceOptions{}), []string{`"nested"`, "namespace"}},
	} {
		if !errors.Is(test.err, larder.ErrInvalidOptions) {
			t.Errorf("%v", test.err)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(test.err.Error(), want) {
				t.Errorf("%v: nothing of %q", test.err, want)
			}
		}
	}
	long := strings.Repeat("t", 70_000)
	if err := c.InvalidateTag(long); err != larder.ErrKeyTooLarge {
		t.Error(err)
	}
	if err := c.SetWith(nil, nil, larder.SetOptions{Tags: []string{long}}); err != larder.ErrKeyTooLarge {
		t.Error(err)
	}
}

// A copy of a Cache is a fault, which go vet finds; but it is none that frees memory in use.
func TestCopyOfCache(t *testing.T) {
	copied := func() *larder.Cache {
		c, err := larder.New(larder.Options{MaxBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		mustSet(t, c, "k", []byte("v"))
		return larder.CopyOf(c)
	}()
	for range 5 {
		runtime.GC()
	}
	wantValue(t, copied, "k", []byte("v"))
	copied.Close()
}
