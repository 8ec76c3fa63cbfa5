package peers

import (
	"fmt"
	"slices"
	"strings"
	"time"

	larder "github.com/larder-cache/larder/go"
)

// Larder is larder behind the interface; C gives the commands that are about larder alone the rest of its API.
type Larder struct{ C *larder.Cache }

// Policies are the names of larder's policies, the default first.
var Policies = func() (names []string) {
	for p := larder.Policy(0); ; p++ {
		name := p.String()
		if strings.HasPrefix(name, "Policy(") { // no such policy
			return names
		}
		names = append(names, name)
	}
}()

func larderPolicy(name string) (larder.Policy, error) {
	if name == "" {
		return larder.DefaultPolicy, nil
	}
	if i := slices.Index(Policies, name); i >= 0 {
		return larder.Policy(i), nil
	}
	return 0, fmt.Errorf("larder has no policy called %q, but %s", name, strings.Join(Policies, ", "))
}

func newLarder(cfg Config) (Cache, error) {
	policy, err := larderPolicy(cfg.Policy)
	if err != nil {
		return nil, err
	}
	o := larder.Options{MaxBytes: cfg.bytes(), Policy: policy}
	if cfg.ExactEntries {
		o.MaxEntries = int64(cfg.Entries)
		// Ample: the number of entries must be what binds.
		o.MaxBytes = 4*cfg.bytes() + 16<<20
	}
	c, err := larder.New(o)
	if err != nil {
		return nil, err
	}
	return &Larder{c}, nil
}

func (c *Larder) Get(dst, key []byte) ([]byte, bool) { return c.C.Get(dst, key) }
func (c *Larder) Set(key, value []byte) bool         { return c.C.Set(key, value) == nil }

// NewBatch implements ManyGetter.
func (c *Larder) NewBatch() Batch { return &larderBatch{c: c.C} }

type larderBatch struct {
	c *larder.Cache
	b larder.Batch
}

func (b *larderBatch) Get(keys [][]byte) {
	b.b.Reset()
	for _, k := range keys {
		b.b.Add(k)
	}
	b.c.GetMany(&b.b)
}

func (b *larderBatch) Value(i int) ([]byte, bool) { return b.b.Value(i) }

func (c *Larder) SetTTL(key, value []byte, ttl time.Duration) bool {
	return c.C.SetTTL(key, value, ttl) == nil
}

func (c *Larder) Delete(key []byte) { c.C.Delete(key) }
func (c *Larder) Close()            { _ = c.C.Close() }
