// Command loader is a cache of values of a Go type that loads what it doesn't have: once,
// however many callers want it, and again in the background when it has become stale.
//
//	go run .
package main

import (
	"context"
	"fmt"
	"log"
	"sync"
	"time"

	larder "github.com/larder-cache/larder/go"
)

// User is what is cached.
type User struct {
	ID   int
	Name string
}

// users is a cache of users before a database.
type users struct {
	cache *larder.Typed[int, User]
	query func(ctx context.Context, id int) (User, bool, error)
}

// newUsers makes it. Users are fresh for a minute; for ten more they are returned while newer ones
// are fetched; that there is no such user is believed for five seconds.
func newUsers(query func(ctx context.Context, id int) (User, bool, error)) (*users, error) {
	cache, err := larder.New(larder.Options{
		MaxBytes:          64 << 20,
		DefaultTTL:        11 * time.Minute,
		DefaultStaleAfter: time.Minute,
		AbsentTTL:         5 * time.Second,
		LoadTimeout:       2 * time.Second,
	})
	if err != nil {
		return nil, err
	}
	codec := larder.Codec[int, User]{Key: larder.IntKey[int], Value: larder.JSON[User]()}
	return &users{larder.NewTyped(cache, codec), query}, nil
}

// get returns a user, or larder.ErrNotFound.
func (u *users) get(ctx context.Context, id int) (User, error) {
	return u.cache.Load(ctx, id, func(ctx context.Context, id int) (larder.LoadedValue[User], error) {
		user, found, err := u.query(ctx, id)
		return larder.LoadedValue[User]{Value: user, Absent: !found}, err
	})
}

func main() {
	u, err := newUsers(func(_ context.Context, id int) (User, bool, error) {
		fmt.Println("the database is asked for", id)
		time.Sleep(50 * time.Millisecond)
		return User{id, fmt.Sprint("user ", id)}, id < 100, nil
	})
	if err != nil {
		log.Fatal(err)
	}
	defer u.cache.Cache().Close()

	var all sync.WaitGroup
	for _, id := range []int{1, 1, 1, 2, 200, 200} {
		all.Add(1)
		go func() {
			defer all.Done()
			user, err := u.get(context.Background(), id)
			fmt.Println(id, user.Name, err)
		}()
	}
	all.Wait()
	s := u.cache.Cache().Stats()
	fmt.Printf("%d reads, %d loads, %d callers waited for another's\n", s.Hits+s.Misses, s.Loads, s.JoinedLoads)
}
