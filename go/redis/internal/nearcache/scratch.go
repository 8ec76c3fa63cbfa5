package nearcache

import "sync"

// Scratch is a buffer that is used again.
type Scratch struct{ data []byte }

// roomiest is what a buffer may keep: larger ones are the collector's.
const roomiest = 256 << 10

var scratches = sync.Pool{New: func() any { return &Scratch{make([]byte, 0, 1024)} }}

func borrow() *Scratch { return scratches.Get().(*Scratch) }

// keep keeps what the buffer has become.
func (s *Scratch) keep(data []byte) {
	if cap(data) > cap(s.data) {
		s.data = data[:0]
	}
}

func giveBack(s *Scratch) {
	if cap(s.data) <= roomiest {
		scratches.Put(s)
	}
}

// Read calls use with a reply's body, which is use's until it returns, if there is one.
func (t *Table) Read(n *Name, use func(body []byte, info Info)) bool {
	scratch := borrow()
	defer giveBack(scratch)
	body, info, ok := t.get(scratch.data[:0], n)
	scratch.keep(body)
	if ok {
		use(body, info)
	}
	return ok
}
