package reference

import "math"

// TwoLogs is the policy that larder's default started from, as a plain simulation for objects of one size: a cold log and
// a hot log, two lists of ghosts that pull the cold log's target, and a test of each cold ghost against the hot log's tail.
// docs/hit-ratio.md describes what became of it.
type TwoLogs struct {
	capacity     int
	cold, hot    fifo
	coldGhosts   *ghosts
	hotGhosts    *ghosts
	where        []uint8
	counter      []uint8
	old          []bool
	stamp        []uint32
	clock        uint32
	target       float64 // of the cold log, in entries
	ghostLength  float64 // of the cold ghosts, in capacities
	filled       bool
	copies, puts int
}

// NewTwoLogs makes a cache for keys 0 to distinct-1.
func NewTwoLogs(capacity, distinct int) *TwoLogs {
	return &TwoLogs{
		capacity: capacity, coldGhosts: newGhosts(distinct), hotGhosts: newGhosts(distinct),
		where: make([]uint8, distinct), counter: make([]uint8, distinct), old: make([]bool, distinct),
		stamp: make([]uint32, distinct), target: 0.01 * float64(capacity), ghostLength: 1.5,
	}
}

// CopiesPerInsert is how often an entry was appended again, for each insert.
func (c *TwoLogs) CopiesPerInsert() float64 { return float64(c.copies) / math.Max(float64(c.puts), 1) }

const (
	inCold = inSmall
	inHot  = inMain
)

// Access requests a key and tells whether it was present.
func (c *TwoLogs) Access(k uint32) bool {
	if c.where[k] != absent {
		c.counter[k] = min(c.counter[k]+1, 3)
		return true
	}
	c.puts++
	log, old := uint8(inCold), false
	switch {
	case c.coldGhosts.has(k):
		ratio := float64(c.hotGhosts.count) / math.Max(float64(c.coldGhosts.count), 1)
		var stamp uint32
		stamp, old = c.coldGhosts.take(k)
		for i := 0; i < 4 && c.hot.n > 0 && c.counter[c.hot.peek()] > 0; i++ {
			c.recycle()
		}
		if c.hot.n > 0 && c.counter[c.hot.peek()] == 0 && stamp > c.stamp[c.hot.peek()] {
			log = inHot
			c.move(0.5 * math.Max(1, ratio))
		} else {
			old = false
		}
	case c.hotGhosts.has(k):
		ratio := float64(c.coldGhosts.count) / math.Max(float64(c.hotGhosts.count), 1)
		c.hotGhosts.take(k)
		log = inHot
		c.move(-0.5 * math.Max(1, ratio))
	}
	if !c.filled {
		if float64(c.hot.n)+c.target < float64(c.capacity) {
			log = inHot
		} else {
			c.filled = true
		}
	}
	for c.cold.n+c.hot.n >= c.capacity {
		c.drain()
	}
	c.append(k, log)
	c.old[k] = old
	return false
}

func (c *TwoLogs) move(by float64) {
	n := float64(c.capacity)
	c.target = min(max(c.target+by, 0.005*n), 0.75*n)
}

func (c *TwoLogs) append(k uint32, log uint8) {
	c.clock++
	c.stamp[k] = c.clock
	c.where[k] = log
	if log == inHot {
		c.hot.push(k)
	} else {
		c.cold.push(k)
	}
}

// recycle appends the hot log's tail again and takes one from its counter.
func (c *TwoLogs) recycle() {
	k := c.hot.pop()
	c.leaveTail(k)
	c.counter[k]--
	c.copies++
	c.append(k, inHot)
}

// leaveTail moves the ghosts' length when an old ghost that came back meets the hot log's tail for the first time.
func (c *TwoLogs) leaveTail(k uint32) {
	if !c.old[k] {
		return
	}
	c.old[k] = false
	step := 1 / float64(c.capacity)
	if c.counter[k] == 0 {
		step = -step
	}
	c.ghostLength = min(max(c.ghostLength+step, 0.6), 1.5)
}

func (c *TwoLogs) drain() {
	if float64(c.cold.n) > c.target || c.hot.n == 0 {
		k := c.cold.pop()
		if c.counter[k] >= 2 {
			c.counter[k] = 0
			c.copies++
			c.append(k, inHot)
			return
		}
		c.counter[k] = 0
		c.where[k] = absent
		c.coldGhosts.add(k, c.stamp[k], int(c.ghostLength*float64(c.capacity)))
		return
	}
	k := c.hot.peek()
	if c.counter[k] > 0 {
		c.recycle()
		return
	}
	c.hot.pop()
	c.leaveTail(k)
	c.clock++
	c.where[k] = absent
	c.hotGhosts.add(k, 0, max(c.capacity/10, 1))
}
