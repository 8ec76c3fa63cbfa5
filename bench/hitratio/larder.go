package main

import "github.com/larder-cache/larder/bench/internal/peers"

// copiesPerInsert is how often larder's policy appended an entry again, for each set: entries are of one size here.
func copiesPerInsert(l *peers.Larder) float64 {
	s := l.C.Stats()
	return float64(s.CopiedBytes) / float64(max(s.AppendedBytes, 1))
}
