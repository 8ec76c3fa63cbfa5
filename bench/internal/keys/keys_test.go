package keys

import "testing"

func TestKeysAreUniqueAndHaveTheirLengths(t *testing.T) {
	const n = 20000
	s := NewSet(7, n)
	seen := make(map[string]bool, 2*n)
	lengths := map[int]int{}
	sum := 0
	for i := range n {
		k := s.Key(i)
		if seen[string(k)] {
			t.Fatalf("key %d is not unique", i)
		}
		seen[string(k)] = true
		lengths[len(k)]++
		sum += len(k)
	}
	for i := range n {
		if seen[string(s.Absent(i))] {
			t.Fatalf("absent key %d is a key", i)
		}
	}
	for l := 16; l <= 31; l++ {
		if lengths[l] == 0 {
			t.Errorf("no key of length %d", l)
		}
	}
	if len(lengths) != 16 {
		t.Errorf("lengths outside 16 to 31: %v", lengths)
	}
	if mean := float64(sum) / n; mean < MeanLen-0.3 || mean > MeanLen+0.3 {
		t.Errorf("mean length %.2f, want about %.2f", mean, MeanLen)
	}
}

func TestSetAgreesWithWrite(t *testing.T) {
	s := NewSet(100, 50)
	var buf [Stride]byte
	for i := range 50 {
		n := Write(buf[:], uint64(100+i))
		if string(buf[:n]) != string(s.Key(i)) {
			t.Fatalf("key %d differs", i)
		}
	}
}

func TestCheckNoticesForeignAndCutValues(t *testing.T) {
	s := NewSet(0, 2)
	v := make([]byte, 100)
	Stamp(v, s.Key(0))
	if !Check(v, s.Key(0), 100) {
		t.Error("a whole value of its key fails")
	}
	if Check(v, s.Key(1), 100) {
		t.Error("another key's value passes")
	}
	if Check(v[:99], s.Key(0), 100) {
		t.Error("a cut value passes")
	}
}

func TestPick(t *testing.T) {
	s := NewSet(0, 10)
	p := s.Pick([]uint32{7, 0, 7})
	if p.Len() != 3 {
		t.Fatalf("%d keys", p.Len())
	}
	for i, j := range []int{7, 0, 7} {
		if string(p.Key(i)) != string(s.Key(j)) {
			t.Errorf("key %d is not key %d of the origin", i, j)
		}
	}
}
