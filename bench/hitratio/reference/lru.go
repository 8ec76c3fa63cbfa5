// Package reference has plain simulations that the caches are held against: exact LRU, the offline optimum, and some
// published policies. They know nothing but keys; nothing in them is fast or concurrent.
package reference

// LRU is an exact least-recently-used cache.
type LRU struct {
	capacity   int64
	used       int64
	size       []uint32 // of each key present, 0 if absent; sizes count from 1
	next, prev []int32  // a ring through the keys present; the last place is its head
}

// NewLRU makes a cache of the given capacity for keys 0 to distinct-1.
func NewLRU(capacity int64, distinct int) *LRU {
	c := &LRU{capacity: capacity, size: make([]uint32, distinct), next: make([]int32, distinct+1),
		prev: make([]int32, distinct+1)}
	head := int32(distinct)
	c.next[head], c.prev[head] = head, head
	return c
}

func (c *LRU) unlink(k int32) {
	c.next[c.prev[k]], c.prev[c.next[k]] = c.next[k], c.prev[k]
}

func (c *LRU) pushFront(k int32) {
	head := int32(len(c.size))
	c.next[k], c.prev[k] = c.next[head], head
	c.prev[c.next[head]] = k
	c.next[head] = k
}

// Access requests a key whose object has this size, 1 where sizes don't matter, and tells whether it was present. An
// object of another size than before has changed: that is a miss. An object larger than the cache isn't kept.
func (c *LRU) Access(key uint32, size uint32) bool {
	k := int32(key)
	size = max(size, 1)
	hit := c.size[k] == size
	if c.size[k] != 0 {
		c.unlink(k)
		c.used -= int64(c.size[k])
		c.size[k] = 0
	}
	if int64(size) > c.capacity {
		return hit
	}
	c.size[k] = size
	c.used += int64(size)
	c.pushFront(k)
	for c.used > c.capacity {
		last := c.prev[len(c.size)]
		c.unlink(last)
		c.used -= int64(c.size[last])
		c.size[last] = 0
	}
	return hit
}
