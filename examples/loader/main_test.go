package main

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	larder "github.com/larder-cache/larder/go"
)

func TestEachUserIsFetchedOnce(t *testing.T) {
	var queries atomic.Int64
	u, err := newUsers(func(_ context.Context, id int) (User, bool, error) {
		queries.Add(1)
		return User{id, "somebody"}, id != 7, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer u.cache.Cache().Close()
	var all sync.WaitGroup
	for i := range 300 {
		all.Add(1)
		go func() {
			defer all.Done()
			user, err := u.get(context.Background(), i%10)
			if absent := i%10 == 7; absent != (err == larder.ErrNotFound) || !absent && (err != nil || user.ID != i%10) {
				t.Errorf("%d: %+v, %v", i%10, user, err)
			}
		}()
	}
	all.Wait()
	if n := queries.Load(); n != 10 {
		t.Errorf("%d queries", n)
	}
}
