package utilisation

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestLogUniformSizes(t *testing.T) {
	draw, mean, largest, err := sizesOf("log-uniform")
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	sum := 0
	const n = 200_000
	for range n {
		size := draw(rng)
		if size < 64 || size > largest {
			t.Fatalf("size %d", size)
		}
		sum += size
	}
	if got := float64(sum) / n; math.Abs(got/float64(mean)-1) > 0.02 {
		t.Errorf("mean %.0f, want %d", got, mean)
	}
	for _, bad := range []string{"7", "x", ""} {
		if _, _, _, err := sizesOf(bad); err == nil {
			t.Errorf("values %q were accepted", bad)
		}
	}
}

func TestLoadsRun(t *testing.T) {
	for _, l := range loads {
		m, err := runLoad(l, "100", 4<<20, 100*time.Millisecond, "")
		if err != nil {
			t.Fatal(err)
		}
		if m.Mean <= 0 || m.Mean > 1 || m.Least > m.Mean || m.WriteAmplification < 1 || m.Entries == 0 {
			t.Errorf("%s: %+v", l.name, m)
		}
	}
}
