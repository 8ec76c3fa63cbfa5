package measure

import (
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"
)

func TestBucketsCoverEveryDurationOnce(t *testing.T) {
	last := -1
	for v := time.Duration(0); v < 1<<16; v++ {
		b := bucket(v)
		if b != last && b != last+1 {
			t.Fatalf("bucket(%d) = %d after %d", v, b, last)
		}
		if upper(b) < v || v > 64 && float64(upper(b)) > float64(v)*(1+1.0/32) {
			t.Fatalf("bucket %d of %d ends at %d", b, v, upper(b))
		}
		last = b
	}
	if b := bucket(1<<63 - 1); b >= 64*subBuckets {
		t.Fatalf("the longest duration has bucket %d", b)
	}
}

func TestQuantilesAgreeWithSorting(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var h Histogram
	var all []time.Duration
	for range 100_000 {
		d := time.Duration(1) << rng.IntN(30)
		d += time.Duration(rng.Int64N(int64(d)))
		h.Add(d)
		all = append(all, d)
	}
	slices.Sort(all)
	for _, q := range []float64{0, 0.5, 0.9, 0.99, 0.999, 1} {
		want := all[min(int(q*float64(len(all))), len(all)-1)]
		got := h.Quantile(q)
		if got < want || float64(got) > float64(want)*(1+1.0/32) {
			t.Errorf("quantile %g is %d, want %d", q, got, want)
		}
	}
	if h.Max() != all[len(all)-1] || h.Total() != uint64(len(all)) {
		t.Errorf("max %v, total %d", h.Max(), h.Total())
	}
	limit := upper(bucket(100 * time.Microsecond))
	n := 0
	for _, d := range all {
		if d > limit {
			n++
		}
	}
	if h.Over(100*time.Microsecond) != uint64(n) {
		t.Errorf("over 100 us: %d, want %d", h.Over(100*time.Microsecond), n)
	}
}

func TestMemorySeesWhatIsTouched(t *testing.T) {
	before, err := SettledMemory()
	if err != nil {
		t.Fatal(err)
	}
	const size = 64 << 20
	// Not from the Go heap, whose bytes the race detector keeps notes of.
	b, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < size; i += 4096 {
		b[i] = 1
	}
	after, err := ResidentMemory()
	if err != nil {
		t.Fatal(err)
	}
	if grown := after.Now - before.Now; grown < size*9/10 || grown > size*2 {
		t.Errorf("touching %d bytes made the resident memory grow by %d", size, grown)
	}
	if after.Peak < after.Now-1<<20 {
		t.Errorf("peak %d below the present %d", after.Peak, after.Now)
	}
	if err := syscall.Munmap(b); err != nil {
		t.Fatal(err)
	}
}

func TestCPUTimeGoesOnWithWork(t *testing.T) {
	start := CPU()
	x := uint64(1)
	for range 50_000_000 {
		x = x*6364136223846793005 + 1
	}
	if CPU() <= start || x == 0 {
		t.Error("no CPU time passed")
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{5, 1, 3}, 3}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := Median(slices.Clone(c.in)); got != c.want {
			t.Errorf("median of %v is %g, want %g", c.in, got, c.want)
		}
	}
}
