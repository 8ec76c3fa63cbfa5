package airports

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// Near is an airport with its distance from another place.
type Near struct {
	DistanceKm float64 `json:"distance_km"`
	*Airport
}

// Filter selects airports. Empty fields select all.
type Filter struct {
	Country, Continent, Type string
}

// List returns the airports that f selects, in order of ident.
func (d *Dataset) List(f Filter) []*Airport {
	from := d.Airports
	if f.Country != "" {
		from = d.byCountry[f.Country]
	}
	var out []*Airport
	for _, a := range from {
		if (f.Continent == "" || a.Continent == f.Continent) && (f.Type == "" || a.Type == f.Type) {
			out = append(out, a)
		}
	}
	return out
}

// Search returns the airports whose ident, code, name or municipality contain
// every word of q, the large ones first.
func (d *Dataset) Search(q string) []*Airport {
	words := strings.Fields(strings.ToLower(q))
	var out []*Airport
	for i, text := range d.haystack {
		if len(words) > 0 && containsAll(text, words) {
			out = append(out, d.Airports[i])
		}
	}
	slices.SortStableFunc(out, func(a, b *Airport) int { return cmp.Compare(a.Type, b.Type) })
	return out
}

func containsAll(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// Nearby returns the airports within radius kilometres of a, nearest first.
func (d *Dataset) Nearby(a *Airport, radius float64) []Near {
	var out []Near
	for _, b := range d.Airports {
		if b == a {
			continue
		}
		if km := distance(a, b); km <= radius {
			out = append(out, Near{math.Round(km*10) / 10, b})
		}
	}
	slices.SortFunc(out, func(x, y Near) int { return cmp.Compare(x.DistanceKm, y.DistanceKm) })
	return out
}

// distance is the great-circle distance in kilometres (haversine).
func distance(a, b *Airport) float64 {
	const radius, radian = 6371, math.Pi / 180
	sinLat := math.Sin((b.Latitude - a.Latitude) * radian / 2)
	sinLon := math.Sin((b.Longitude - a.Longitude) * radian / 2)
	h := sinLat*sinLat + math.Cos(a.Latitude*radian)*math.Cos(b.Latitude*radian)*sinLon*sinLon
	return 2 * radius * math.Asin(math.Sqrt(min(1, h)))
}
