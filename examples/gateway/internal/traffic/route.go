package traffic

import "sync/atomic"

// shards is how many copies of each counter there are. Recorders are pooled
// by processor, so that two processors seldom have recorders of one shard.
const shards = 16

// classes are the hundreds of a status.
const classes = 6

// Route counts the requests of one route.
type Route struct {
	name  string
	cells [shards]cell
}

// cell is one shard's counters, on cache lines of its own.
type cell struct {
	requests [outcomes][classes]atomic.Uint64
	bytes    atomic.Uint64
	_        [104]byte
}

// Name returns the route's name.
func (r *Route) Name() string { return r.name }

// Counts are the requests of a route since the start.
type Counts struct {
	Requests [outcomes][classes]uint64 // by outcome and hundreds of the status
	Bytes    uint64                    // of bodies sent to clients
}

// Counts sums the shards up.
func (r *Route) Counts() Counts {
	var sum Counts
	for i := range r.cells {
		c := &r.cells[i]
		sum.Bytes += c.bytes.Load()
		for o := range c.requests {
			for s := range c.requests[o] {
				sum.Requests[o][s] += c.requests[o][s].Load()
			}
		}
	}
	return sum
}

// Add adds another route's counts.
func (c *Counts) Add(o Counts) {
	c.Bytes += o.Bytes
	for i := range c.Requests {
		for s := range c.Requests[i] {
			c.Requests[i][s] += o.Requests[i][s]
		}
	}
}

// Total is the number of requests.
func (c *Counts) Total() (n uint64) {
	for o := range c.Requests {
		n += c.Of(Outcome(o))
	}
	return n
}

// Of is the number of requests with an outcome.
func (c *Counts) Of(o Outcome) (n uint64) {
	for _, k := range c.Requests[o] {
		n += k
	}
	return n
}

// Saved is the number of requests answered without a whole response from an
// upstream.
func (c *Counts) Saved() (n uint64) {
	for o := range c.Requests {
		if Outcome(o).Saved() {
			n += c.Of(Outcome(o))
		}
	}
	return n
}

// Asked is the number of requests that the cache could have answered.
func (c *Counts) Asked() uint64 { return c.Saved() + c.Of(Miss) }

// Errors is the number of answers with a status of 500 or more.
func (c *Counts) Errors() (n uint64) {
	for o := range c.Requests {
		n += c.Requests[o][5]
	}
	return n
}
