package goredisx_test

import (
	"context"
	"fmt"

	larder "github.com/larder-cache/larder/go"
	"github.com/larder-cache/larder/go/redis/goredisx"
	"github.com/redis/go-redis/v9"
)

// A program that uses go-redis changes two lines: the cache in its client's options, and Attach.
func Example() {
	cache, err := larder.New(larder.Options{MaxBytes: 256 << 20})
	if err != nil {
		panic(err)
	}
	near, err := goredisx.New(cache, goredisx.Options{})
	if err != nil {
		panic(err)
	}

	client := redis.NewClient(&redis.Options{
		Addr:            "127.0.0.1:6379",
		ClientSideCache: near, // was: ClientSideCacheConfig: &redis.ClientSideCacheConfig{...}
	})
	near.Attach(client) // new: reads see own writes

	// All else is as before.
	ctx := context.Background()
	client.Set(ctx, "soup", "tomato", 0)
	fmt.Println(client.Get(ctx, "soup").Result())
}

// Where strings are read often, a Reader does it without a command.
func ExampleCache_Reader() {
	cache, _ := larder.New(larder.Options{MaxBytes: 256 << 20})
	near, _ := goredisx.New(cache, goredisx.Options{})
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:6379", ClientSideCache: near})

	reader := near.Reader(client)
	buf, err := reader.Get(context.Background(), nil, "soup")
	for range 1000 {
		buf, err = reader.Get(context.Background(), buf[:0], "soup")
	}
	fmt.Println(string(buf), err)
}
