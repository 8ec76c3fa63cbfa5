package main

import (
	"math"

	"github.com/larder-cache/larder/bench/internal/peers"
)

// keySize is the length of the keys that traces are replayed with, and unitValue that of the values where sizes don't
// matter, in bytes. A value is its own key, to be checked.
const (
	keySize   = 8
	unitValue = 8
)

// unitConfig finds the configuration with which a cache holds the given number of entries, all of one size, and the
// size of their values. Caches that are bounded by bytes get values so large that so many fit; where their least
// capacity or their division into parts makes that impossible, ok is false.
func unitConfig(name string, capacity int) (cfg peers.Config, valueSize int, ok bool) {
	cfg = peers.Config{Entries: capacity, EntrySize: keySize + unitValue, Synchronous: true, ExactEntries: true}
	switch name {
	case "fastcache":
		return fastcacheUnits(capacity)
	case "freecache":
		return freecacheUnits(capacity)
	case "bigcache":
		return bigcacheUnits(capacity)
	}
	return cfg, unitValue, true
}

// fastcacheUnits: 512 parts, each a ring of chunks of 64 KiB. An entry has four bytes over key and value, and lies within
// one chunk. So the capacity is 512 x chunks x entries in a chunk.
func fastcacheUnits(capacity int) (peers.Config, int, bool) {
	const parts, chunk = 512, 64 << 10
	per := float64(capacity) / parts
	for chunks := 1; chunks <= 4; chunks++ {
		inChunk := math.Round(per / float64(chunks))
		got := inChunk * float64(chunks)
		if inChunk < 1 || math.Abs(got/per-1) > 0.05 {
			continue
		}
		value := chunk/int(inChunk) - keySize - 4 - 1
		return peers.Config{Bytes: int64(parts * chunk * chunks), EntrySize: keySize + value}, value, value >= keySize
	}
	return peers.Config{}, 0, false
}

// freecacheUnits: 256 rings. An entry has a header of 24 bytes, and may be a quarter of a ring at most.
func freecacheUnits(capacity int) (peers.Config, int, bool) {
	const header, value, leastBytes = 24, 480, 512 << 10
	bytes := int64(capacity) * (header + keySize + value)
	return peers.Config{Bytes: bytes, EntrySize: keySize + value}, value, capacity >= 1024 && bytes >= leastBytes
}

// bigcacheUnits: the capacity is a number of megabytes; an entry has 20 bytes over key and value.
func bigcacheUnits(capacity int) (peers.Config, int, bool) {
	const header, least = 20, 128
	megabytes := (int64(capacity)*least + 1<<20 - 1) >> 20
	entry := int(megabytes<<20) / capacity
	value := entry - header - keySize
	return peers.Config{Bytes: megabytes << 20, EntrySize: entry}, value, value >= keySize
}
