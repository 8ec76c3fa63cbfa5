package histories

import "testing"

func TestCheckSeesEachRuleBroken(t *testing.T) {
	write := func(process int, value, begin, end int64) Op {
		return Op{Process: process, Write: true, Value: value, Begin: begin, End: end}
	}
	read := func(process int, value, begin int64) Op {
		return Op{Process: process, Value: value, Begin: begin, End: begin + 1}
	}
	for _, c := range []struct {
		name   string
		rules  Rules
		ops    []Op
		broken int
	}{
		{"in time", Rules{Staleness: 10}, []Op{write(1, 1, 0, 5), read(2, 0, 14)}, 0},
		{"too old", Rules{Staleness: 10}, []Op{write(1, 1, 0, 5), read(2, 0, 17)}, 1},
		{"during the write", Rules{}, []Op{write(1, 1, 0, 5), read(2, 0, 4)}, 0},
		{"a later end of an older write", Rules{}, []Op{write(1, 2, 0, 5), write(2, 1, 0, 20), read(3, 1, 10), read(3, 1, 30)}, 2},
		{"own write", Rules{Staleness: 100, OwnWrites: true}, []Op{write(1, 1, 0, 5), read(1, 0, 6), read(2, 0, 6)}, 1},
		{"backwards", Rules{Staleness: 100, Monotonic: true}, []Op{read(1, 3, 0), read(1, 2, 5), read(2, 1, 9)}, 1},
		{"at once", Rules{Monotonic: true}, []Op{{Process: 1, Value: 3, Begin: 0, End: 9}, read(1, 2, 5)}, 0},
		{"another key", Rules{}, []Op{write(1, 1, 0, 5), {Process: 1, Key: 7, Begin: 10}}, 0},
	} {
		if broken := Check(c.ops, c.rules); len(broken) != c.broken {
			t.Errorf("%s: %v", c.name, broken)
		}
	}
}
