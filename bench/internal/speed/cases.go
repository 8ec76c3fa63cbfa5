package speed

import "github.com/larder-cache/larder/bench/internal/keys"

// The cases. All but setEvicting work on a cache that has room for every key.
const (
	getHit       = "get-hit"
	getMiss      = "get-miss"
	mixed        = "mixed 90/10"
	setOverwrite = "set-overwrite"
	setEvicting  = "set-evicting"
	getMany      = "get-many(16)" // time per key; for caches that can
)

// batch is the number of operations between two looks at the clock, and manySize the keys of a get-many.
const (
	batch    = 256
	manySize = 16
)

// loop is the inner loop of a case: it does some operations and adds them to the result.
type loop func(*workload, *worker, *Result)

var loops = map[string]loop{
	getHit:       loopGetHit,
	getMiss:      loopGetMiss,
	mixed:        loopMixed,
	setOverwrite: loopSetOverwrite,
	setEvicting:  loopSetEvicting,
	getMany:      loopGetMany,
}

func loopGetHit(w *workload, me *worker, r *Result) {
	mask := len(w.uniform) - 1
	size := w.group.ValueSize
	pos, buf := me.position, me.buf
	for range batch {
		pos = (pos + 1) & mask
		var k []byte
		if w.hot != nil {
			k = w.hot.Key(pos)
		} else {
			k = w.keys.Key(int(w.uniform[pos]))
		}
		v, ok := w.cache.Get(buf[:0], k)
		if !ok {
			r.Misses++
		} else if !keys.Check(v, k, size) {
			r.Wrong++
		}
	}
	me.position = pos
	r.Ops += batch
}

func loopGetMany(w *workload, me *worker, r *Result) {
	mask := len(w.uniform) - 1
	size := w.group.ValueSize
	pos := me.position
	for range batch / manySize {
		for i := range me.manyKeys {
			pos = (pos + 1) & mask
			if w.hot != nil {
				me.manyKeys[i] = w.hot.Key(pos)
			} else {
				me.manyKeys[i] = w.keys.Key(int(w.uniform[pos]))
			}
		}
		me.many.Get(me.manyKeys[:])
		for i, k := range me.manyKeys {
			v, ok := me.many.Value(i)
			if !ok {
				r.Misses++
			} else if !keys.Check(v, k, size) {
				r.Wrong++
			}
		}
	}
	me.position = pos
	r.Ops += batch
}

func loopGetMiss(w *workload, me *worker, r *Result) {
	mask := len(w.uniform) - 1
	pos, buf := me.position, me.buf
	for range batch {
		pos = (pos + 1) & mask
		var k []byte
		if w.hot != nil {
			k = w.hot.Absent(pos)
		} else {
			k = w.keys.Absent(int(w.uniform[pos]))
		}
		if _, ok := w.cache.Get(buf[:0], k); ok {
			r.Misses++
		}
	}
	me.position = pos
	r.Ops += batch
}

func loopMixed(w *workload, me *worker, r *Result) {
	mask := len(w.zipfian) - 1
	size := w.group.ValueSize
	pos, buf := me.position, me.buf
	for range batch {
		pos = (pos + 1) & mask
		i := w.zipfian[pos]
		k := w.keys.Key(int(i &^ setBit))
		if i&setBit != 0 {
			keys.Stamp(me.value, k)
			if !w.cache.Set(k, me.value) {
				r.Refused++
			}
			continue
		}
		v, ok := w.cache.Get(buf[:0], k)
		if !ok {
			r.Misses++
		} else if !keys.Check(v, k, size) {
			r.Wrong++
		}
	}
	me.position = pos
	r.Ops += batch
}

func loopSetOverwrite(w *workload, me *worker, r *Result) {
	mask := len(w.uniform) - 1
	pos := me.position
	for range batch {
		pos = (pos + 1) & mask
		var k []byte
		if w.hot != nil {
			k = w.hot.Key(pos)
		} else {
			k = w.keys.Key(int(w.uniform[pos]))
		}
		keys.Stamp(me.value, k)
		if !w.cache.Set(k, me.value) {
			r.Refused++
		}
	}
	me.position = pos
	r.Ops += batch
}

// loopSetEvicting makes its keys as it goes: some nanoseconds, and the same for every cache.
func loopSetEvicting(w *workload, me *worker, r *Result) {
	for range batch {
		if !w.setNew(me) {
			r.Refused++
		}
	}
	r.Ops += batch
}
