package peers

import (
	lru "github.com/hashicorp/golang-lru/v2"
)

type golangLRU struct{ c *lru.Cache[string, []byte] }

func newGolangLRU(cfg Config) (Cache, error) {
	c, err := lru.New[string, []byte](cfg.Entries)
	if err != nil {
		return nil, err
	}
	return &golangLRU{c}, nil
}

func (c *golangLRU) Get(dst, key []byte) ([]byte, bool) {
	v, ok := c.c.Get(view(key))
	return append(dst, v...), ok
}

func (c *golangLRU) Set(key, value []byte) bool {
	c.c.Add(string(key), clone(value))
	return true
}

func (c *golangLRU) Delete(key []byte) { c.c.Remove(view(key)) }
func (c *golangLRU) Close()            { c.c.Purge() }

type golangLRU2Q struct {
	c *lru.TwoQueueCache[string, []byte]
}

func newGolangLRU2Q(cfg Config) (Cache, error) {
	c, err := lru.New2Q[string, []byte](cfg.Entries)
	if err != nil {
		return nil, err
	}
	return &golangLRU2Q{c}, nil
}

// Get copies the key: a hit moves it between the two lists, which keep the string they are given.
func (c *golangLRU2Q) Get(dst, key []byte) ([]byte, bool) {
	v, ok := c.c.Get(string(key))
	return append(dst, v...), ok
}

func (c *golangLRU2Q) Set(key, value []byte) bool {
	c.c.Add(string(key), clone(value))
	return true
}

func (c *golangLRU2Q) Delete(key []byte) { c.c.Remove(view(key)) }
func (c *golangLRU2Q) Close()            { c.c.Purge() }
