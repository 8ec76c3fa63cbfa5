package reference

import (
	"math"
	"testing"
)

// The trace "loop" of LIRS is 500 rounds through 1011 keys. The hit ratios here are those that Caffeine's simulator
// (S3-FIFO, MIN) and an independent simulation (TwoLogs) found for it.
func TestLoop(t *testing.T) {
	const distinct, rounds = 1011, 500
	var keys []uint32
	for range rounds {
		for k := range uint32(distinct) {
			keys = append(keys, k)
		}
	}
	for _, c := range []struct {
		capacity             int
		s3fifo, twoLogs, min float64
	}{
		{250, 0, 24.48, 24.68},
		{500, 0, 48.86, 49.36},
		{750, 58.31, 73.34, 74.04},
		{1000, 89.62, 97.73, 98.71},
	} {
		s3fifo, twoLogs := NewS3FIFO(c.capacity, distinct), NewTwoLogs(c.capacity, distinct)
		var hits [2]int
		for _, k := range keys {
			if s3fifo.Access(k) {
				hits[0]++
			}
			if twoLogs.Access(k) {
				hits[1]++
			}
		}
		check := func(name string, hits int, want float64) {
			t.Helper()
			if got := 100 * float64(hits) / float64(len(keys)); math.Abs(got-want) > 0.03 {
				t.Errorf("%s at %d: %.2f %%, want %.2f %%", name, c.capacity, got, want)
			}
		}
		check("S3-FIFO", hits[0], c.s3fifo)
		check("TwoLogs", hits[1], c.twoLogs)
		check("MIN", MIN(keys, distinct, c.capacity), c.min)
	}
}

func TestGhosts(t *testing.T) {
	g := newGhosts(100)
	for k := range uint32(10) {
		g.add(k, 100+k, 8)
	}
	if g.has(0) || g.has(1) || !g.has(2) || !g.has(9) || g.count != 8 {
		t.Fatalf("of 10 keys with room for 8, 2 to 9 must be left: %+v", g)
	}
	if note, old := g.take(3); note != 103 || !old {
		t.Errorf("take(3) = %d, %v, want 103, true", note, old)
	}
	if note, old := g.take(9); note != 109 || old {
		t.Errorf("take(9) = %d, %v, want 109, false", note, old)
	}
	if g.has(3) || g.count != 6 {
		t.Errorf("a key that was taken is still there")
	}
	g.add(3, 203, 8)
	for k := uint32(20); k < 27; k++ {
		g.add(k, 0, 8)
	}
	if !g.has(3) || g.has(8) || g.count != 8 {
		t.Errorf("the oldest addition must be forgotten first: %+v", g)
	}
	if note, _ := g.take(3); note != 203 {
		t.Errorf("note %d of the latest addition, want 203", note)
	}
}

func TestCapacityIsKept(t *testing.T) {
	const distinct, capacity = 1000, 100
	s3fifo, twoLogs := NewS3FIFO(capacity, distinct), NewTwoLogs(capacity, distinct)
	x := uint32(1)
	for range 200_000 {
		x = x*1664525 + 1013904223
		k := (x >> 8) % distinct
		if x>>31 == 0 {
			k %= 150
		}
		s3fifo.Access(k)
		twoLogs.Access(k)
		if n := s3fifo.smallQueue.n + s3fifo.mainQueue.n; n > capacity {
			t.Fatalf("S3-FIFO holds %d", n)
		}
		if n := twoLogs.cold.n + twoLogs.hot.n; n > capacity {
			t.Fatalf("TwoLogs holds %d", n)
		}
	}
}
