package reference

// fifo is a queue of keys.
type fifo struct {
	ring []uint32
	head int
	n    int
}

func (q *fifo) push(k uint32) {
	if q.n == len(q.ring) {
		bigger := make([]uint32, max(16, 2*len(q.ring)))
		for i := range q.n {
			bigger[i] = q.ring[(q.head+i)%len(q.ring)]
		}
		q.ring, q.head = bigger, 0
	}
	q.ring[(q.head+q.n)%len(q.ring)] = k
	q.n++
}

func (q *fifo) peek() uint32 { return q.ring[q.head] }

func (q *fifo) pop() uint32 {
	k := q.ring[q.head]
	q.head = (q.head + 1) % len(q.ring)
	q.n--
	return k
}

// ghosts remembers the keys added last, and a number for each.
type ghosts struct {
	order []ghost // with those that were taken out since; the head is never one of them
	head  int
	last  []uint32 // of each key, the number of its latest addition if it is remembered, else 0
	count int
	adds  uint32
}

type ghost struct{ key, number, note uint32 }

func newGhosts(distinct int) *ghosts { return &ghosts{last: make([]uint32, distinct)} }

// add remembers a key, and forgets the oldest ones over the limit.
func (g *ghosts) add(k, note uint32, limit int) {
	if g.last[k] == 0 {
		g.count++
	}
	g.adds++
	g.last[k] = g.adds
	g.order = append(g.order, ghost{k, g.adds, note})
	for g.count > limit {
		g.skip()
		g.last[g.order[g.head].key] = 0
		g.count--
	}
	g.skip()
}

// skip moves the head past those that were taken out.
func (g *ghosts) skip() {
	for g.head < len(g.order) && g.last[g.order[g.head].key] != g.order[g.head].number {
		g.head++
	}
	if g.head > len(g.order)/2 {
		g.order = append(g.order[:0], g.order[g.head:]...)
		g.head = 0
	}
}

func (g *ghosts) has(k uint32) bool { return g.last[k] != 0 }

// take forgets a key that is remembered. It returns its note, and whether it belonged to the older half.
func (g *ghosts) take(k uint32) (note uint32, old bool) {
	n := g.last[k]
	g.skip()
	oldest := g.order[g.head].number
	// Additions are numbered without gaps, so an addition's place follows from its number.
	at := len(g.order) - 1 - int(g.adds-n)
	g.last[k] = 0
	g.count--
	note = g.order[at].note
	return note, n-oldest < (g.adds-oldest+1)/2
}
