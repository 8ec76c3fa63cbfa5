package reference

// S3FIFO is the policy of Yang et al., FIFO Queues are All You Need for Cache Eviction (SOSP 2023), for objects of one
// size: a small queue of a tenth, a main queue, and a ghost queue as long as the main one.
type S3FIFO struct {
	capacity, small       int
	ghostLimit            int
	smallQueue, mainQueue fifo
	ghost                 *ghosts
	where                 []uint8
	freq                  []uint8
}

const (
	absent = iota
	inSmall
	inMain
)

// NewS3FIFO makes a cache for keys 0 to distinct-1.
func NewS3FIFO(capacity, distinct int) *S3FIFO {
	small := max(capacity/10, 1)
	return &S3FIFO{capacity: capacity, small: small, ghostLimit: capacity - small, ghost: newGhosts(distinct),
		where: make([]uint8, distinct), freq: make([]uint8, distinct)}
}

// Access requests a key and tells whether it was present.
func (c *S3FIFO) Access(k uint32) bool {
	if c.where[k] != absent {
		c.freq[k] = min(c.freq[k]+1, 3)
		return true
	}
	for c.smallQueue.n+c.mainQueue.n >= c.capacity {
		c.evict()
	}
	c.freq[k] = 0
	if c.ghost.has(k) {
		c.ghost.take(k)
		c.where[k] = inMain
		c.mainQueue.push(k)
	} else {
		c.where[k] = inSmall
		c.smallQueue.push(k)
	}
	return false
}

func (c *S3FIFO) evict() {
	if c.smallQueue.n >= c.small || c.mainQueue.n == 0 {
		k := c.smallQueue.pop()
		if c.freq[k] > 1 {
			c.freq[k] = 0
			c.where[k] = inMain
			c.mainQueue.push(k)
			if c.mainQueue.n <= c.capacity-c.small {
				return
			}
		} else {
			c.where[k] = absent
			c.ghost.add(k, 0, c.ghostLimit)
			return
		}
	}
	for {
		k := c.mainQueue.pop()
		if c.freq[k] == 0 {
			c.where[k] = absent
			return
		}
		c.freq[k]--
		c.mainQueue.push(k)
	}
}
