package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"time"

	larder "github.com/larder-cache/larder/go"
)

// churn stores entries in the server's own cache at a steady rate, each for ttl, so that
// the budget is full and as many expire each second as are stored. It is done here and not
// by a client, whose connections and requests would take more of the processor than the
// entries do: what is measured beside it would be the client.
func churn(ctx context.Context, cache *larder.Cache, perSecond int, ttl time.Duration, size int) {
	const step = 5 * time.Millisecond
	ticker := time.NewTicker(step)
	defer ticker.Stop()
	value := make([]byte, size)
	key := make([]byte, 0, 16)
	start := time.Now()
	var worst time.Duration
	var stored, failed uint64
	report := time.NewTicker(10 * time.Second)
	defer report.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-report.C:
			s := cache.Stats()
			fmt.Fprintf(os.Stderr, "churn: %d stored, %d failed, %d expired, %d evicted, %d held, %d MiB of %d; the longest set took %v\n",
				stored, failed, s.Expirations, s.Evictions, s.Entries, s.Bytes>>20, s.MaxBytes>>20, worst)
			worst = 0
		case <-ticker.C:
			for due := uint64(time.Since(start).Seconds() * float64(perSecond)); stored+failed < due; {
				key = binary.BigEndian.AppendUint64(append(key[:0], "churn"...), stored+failed)
				began := time.Now()
				if cache.SetTTL(key, value, ttl) == nil {
					stored++
				} else {
					failed++
				}
				worst = max(worst, time.Since(began))
			}
		}
	}
}
