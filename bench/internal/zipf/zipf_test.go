package zipf

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestFrequenciesFollowTheLaw(t *testing.T) {
	const n, draws = 1000, 1_000_000
	for _, s := range []float64{0, 0.8, 0.99, 1.2} {
		z := New(rand.New(rand.NewPCG(1, 2)), s, n)
		counts := make([]int, n)
		for range draws {
			counts[z.Next()]++
		}
		norm := 0.0
		for r := 1; r <= n; r++ {
			norm += math.Pow(float64(r), -s)
		}
		for _, r := range []int{0, 1, 9, 99, 999} {
			want := draws * math.Pow(float64(r+1), -s) / norm
			// Five standard deviations of a binomial count.
			if d := math.Abs(float64(counts[r]) - want); d > 5*math.Sqrt(want) {
				t.Errorf("s=%g: rank %d drawn %d times, want about %.0f", s, r, counts[r], want)
			}
		}
	}
}
