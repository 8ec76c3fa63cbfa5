// Package histories records what several processes read and write through a cache that they
// share, while the server and the network misbehave, and checks that nobody read what was too
// old.
//
// A value is the number of a write: the origin counts. So a history is checked without a search:
// a read may not return less than the greatest number whose write had ended, with success, more
// than the allowed staleness before the read began. (A write is a change of the origin and what
// tells the caches of it.)
package histories

import (
	"fmt"
	"slices"
	"sort"
	"time"
)

// Op is one read or write that has succeeded.
type Op struct {
	Process    int
	Key        int
	Write      bool
	Value      int64
	Begin, End int64 // nanoseconds
}

// Rules say what is promised.
type Rules struct {
	// Staleness is how much longer than its replacement a value may be read.
	Staleness time.Duration
	// OwnWrites: a process reads what it has written, or newer.
	OwnWrites bool
	// Monotonic: of two reads of a process, one after the other, the second is not older.
	Monotonic bool
}

// Violation is a read that broke a rule.
type Violation struct {
	Rule string
	Read Op
	By   Op // what it should have seen
}

func (v Violation) String() string {
	return fmt.Sprintf("%s: process %d read %d of key %d, %v after process %d had done with %d", v.Rule,
		v.Read.Process, v.Read.Value, v.Read.Key, time.Duration(v.Read.Begin-v.By.End), v.By.Process, v.By.Value)
}

// Check returns the reads that broke a rule.
func Check(ops []Op, rules Rules) (broken []Violation) {
	byKey := map[int][]Op{}
	for _, op := range ops {
		byKey[op.Key] = append(byKey[op.Key], op)
	}
	for _, ops := range byKey {
		writes := floorOf(ops, func(op Op) bool { return op.Write })
		own, seen := map[int]floor{}, map[int]floor{}
		for _, op := range ops {
			if _, ok := own[op.Process]; !ok {
				own[op.Process] = floorOf(ops, func(o Op) bool { return o.Write && o.Process == op.Process })
				seen[op.Process] = floorOf(ops, func(o Op) bool { return !o.Write && o.Process == op.Process })
			}
		}
		for _, op := range ops {
			if op.Write {
				continue
			}
			test := func(rule string, f floor, at int64) {
				if least, ok := f.at(at); ok && op.Value < least.Value {
					broken = append(broken, Violation{rule, op, least})
				}
			}
			test("too old", writes, op.Begin-int64(rules.Staleness))
			if rules.OwnWrites {
				test("own write not read", own[op.Process], op.Begin)
			}
			if rules.Monotonic {
				test("older than before", seen[op.Process], op.Begin)
			}
		}
	}
	return broken
}

// floor is the greatest value of the operations that had ended by a time.
type floor []Op // by End; each has the greatest value so far

func floorOf(ops []Op, of func(Op) bool) floor {
	var f floor
	for _, op := range ops {
		if of(op) {
			f = append(f, op)
		}
	}
	slices.SortFunc(f, func(a, b Op) int { return int(a.End - b.End) })
	for i := 1; i < len(f); i++ {
		if f[i-1].Value > f[i].Value {
			greatest, end := f[i-1], f[i].End
			f[i] = greatest
			f[i].End = max(end, greatest.End)
		}
	}
	return f
}

// at is the least that may be read at a time.
func (f floor) at(when int64) (Op, bool) {
	i := sort.Search(len(f), func(i int) bool { return f[i].End >= when })
	if i == 0 {
		return Op{}, false
	}
	return f[i-1], true
}
