//go:build !race

// The race detector keeps notes of every byte of the heap, which are resident too.

package memory

import "testing"

func TestMemoryOfAMap(t *testing.T) {
	m, err := fillAndMeasure(request{Cache: "map", Entries: 100_000, ValueSize: 200})
	if err != nil {
		t.Fatal(err)
	}
	if m.Entries != 100_000 || m.Payload != 100_000*216 {
		t.Errorf("%d entries, %d bytes", m.Entries, m.Payload)
	}
	// Two headers and a slot of the map, rounded up by the allocator.
	if o := m.Overhead(); o < 20 || o > 200 {
		t.Errorf("%.1f bytes over key and value", o)
	}
}

func TestLarderHoldsWhatItWasGivenRoomFor(t *testing.T) {
	const n = 50_000
	m, err := fillAndMeasure(request{Cache: "larder", Entries: n, ValueSize: 100})
	if err != nil {
		t.Fatal(err)
	}
	if m.Entries < n*8/10 || m.Entries > n*13/10 {
		t.Errorf("%d entries, capacity %d", m.Entries, n)
	}
}
