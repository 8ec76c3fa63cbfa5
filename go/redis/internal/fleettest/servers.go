// Package fleettest has what tests of a fleet share: a server in common, by each library.
package fleettest

import (
	"maps"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"github.com/valkey-io/valkey-go"

	"github.com/larder-cache/larder/go/redis/fleet"
	fleetgoredis "github.com/larder-cache/larder/go/redis/fleet/goredis"
	fleetrueidis "github.com/larder-cache/larder/go/redis/fleet/rueidis"
	fleetvalkey "github.com/larder-cache/larder/go/redis/fleet/valkey"
	"github.com/larder-cache/larder/go/redis/internal/servertest"
)

// Libraries are the ways to a server, by the library's name.
type Libraries map[string]func(t testing.TB, s *servertest.Server) fleet.Server

// All are the libraries that a fleet can use.
func All() Libraries {
	return Libraries{"go-redis": GoRedis, "rueidis": rueidisServer, "valkey-go": valkeyServer}
}

// Without leaves a library out.
func (l Libraries) Without(name string) Libraries {
	rest := maps.Clone(l)
	delete(rest, name)
	return rest
}

// Each runs a test with each server by each library.
func (l Libraries) Each(t *testing.T, test func(t *testing.T, s *servertest.Server, server fleet.Server)) {
	t.Parallel()
	for name, client := range l {
		t.Run(name, func(t *testing.T) {
			servertest.Each(t, func(t *testing.T, s *servertest.Server) { test(t, s, client(t, s)) })
		})
	}
}

// GoRedis is a server by go-redis.
func GoRedis(t testing.TB, s *servertest.Server) fleet.Server {
	server := fleetgoredis.New(&redis.Options{Addr: s.Addr})
	t.Cleanup(func() { server.Close() })
	return server
}

func rueidisServer(t testing.TB, s *servertest.Server) fleet.Server {
	server, err := fleetrueidis.New(rueidis.ClientOption{
		InitAddress: []string{s.Addr}, ForceSingleClient: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}

func valkeyServer(t testing.TB, s *servertest.Server) fleet.Server {
	server, err := fleetvalkey.New(valkey.ClientOption{
		InitAddress: []string{s.Addr}, ForceSingleClient: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}
