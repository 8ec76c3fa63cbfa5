package latency

import "testing"

func TestEverySetIsCounted(t *testing.T) {
	const n = 5000
	for _, name := range []string{nothing, "map", "larder"} {
		m, err := measureCache(request{Cache: name, Entries: n, ValueSize: 64})
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Phases) != 3 {
			t.Fatalf("%s: %d phases", name, len(m.Phases))
		}
		for _, p := range m.Phases {
			if p.Sets != n || p.P50 > p.P99 || p.P99 > p.P999 || p.P999 > p.Max {
				t.Errorf("%s, %s: %+v", name, p.Name, p)
			}
		}
	}
}
