// Package zipf draws numbers whose popularity follows Zipf's law, for any exponent (math/rand's needs one above 1).
package zipf

import (
	"math"
	"math/rand/v2"
	"sort"
)

// Zipf draws ranks 0 to n-1, rank r with a probability in proportion to 1/(r+1)^s.
type Zipf struct {
	cumulative []float64
	rng        *rand.Rand
}

// New prepares a table of n cumulative probabilities; drawing costs one binary search in it.
func New(rng *rand.Rand, s float64, n int) *Zipf {
	z := &Zipf{cumulative: make([]float64, n), rng: rng}
	sum := 0.0
	for i := range n {
		sum += math.Pow(float64(i+1), -s)
		z.cumulative[i] = sum
	}
	for i := range z.cumulative {
		z.cumulative[i] /= sum
	}
	return z
}

// Next draws a rank.
func (z *Zipf) Next() int {
	i := sort.SearchFloat64s(z.cumulative, z.rng.Float64())
	return min(i, len(z.cumulative)-1)
}
