package rueidisx_test

import (
	"context"
	"fmt"
	"time"

	larder "github.com/larder-cache/larder/go"
	"github.com/larder-cache/larder/go/redis/rueidisx"
	"github.com/redis/rueidis"
)

// A program that uses rueidis changes two lines: the store in its client's options, and Attach.
func Example() {
	cache, err := larder.New(larder.Options{MaxBytes: 256 << 20})
	if err != nil {
		panic(err)
	}
	near, err := rueidisx.New(cache, rueidisx.Options{})
	if err != nil {
		panic(err)
	}

	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress:     []string{"127.0.0.1:6379"},
		NewCacheStoreFn: near.NewStore, // new; was: CacheSizeEachConn: 64 << 20
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	client = near.Attach(client) // new: reads see own writes
	defer client.Close()

	// All else is as before.
	ctx := context.Background()
	client.Do(ctx, client.B().Set().Key("soup").Value("tomato").Build())
	fmt.Println(client.DoCache(ctx, client.B().Get().Key("soup").Cache(), time.Minute).ToString())
}
