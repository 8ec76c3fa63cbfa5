package rueidisx

import (
	"testing"
	"time"

	"github.com/redis/rueidis"
)

func BenchmarkFlight(b *testing.B) {
	for _, hot := range []int64{0, -1} {
		s := testCache(b, Options{HotBytes: hot}).NewStore(rueidis.CacheStoreOption{})
		now := time.Now()
		s.Flight("user:1234567", "GET", time.Hour, now)
		s.Update("user:1234567", "GET", text('$', string(make([]byte, 100)), 0))
		b.Run(map[int64]string{0: "hot", -1: "table"}[hot], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Flight("user:1234567", "GET", time.Hour, now)
			}
		})
	}
}
