package tiered

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	larder "github.com/larder-cache/larder/go"
	"github.com/larder-cache/larder/go/redis/fleet"
)

// The lease. Where a value is to come, its loader lays a lease: a token of his. All others who
// find it wait. He stores the value only in its place: whatever has happened to the key
// meanwhile (a Set, a Delete, another's lease after his was over) has taken the token away, so
// the token is the fence. Nothing else has to be asked, and a lease and a value can't disagree.

// What waiting does: it looks again after a pause, that grows.
const (
	firstLook = time.Millisecond
	lastLook  = 25 * time.Millisecond
)

// failureTTL is how long those who wait have to learn that the loader has failed.
const failureTTL = 5 * time.Second

// lead gets the value of a key that the server doesn't have: as the one that loads it, or as
// one of those who wait.
func (c *Cache) lead(
	ctx context.Context, key []byte, loader larder.Loader, at found,
) (larder.Loaded, error) {
	waited := "" // the token of the lease that was waited for
	for pause := firstLook; ; pause = min(2*pause, lastLook) {
		switch at.kind {
		case aValue:
			c.counters.hits.Add(1)
			return at.loaded(), nil
		case aPass:
			c.counters.passes.Add(1)
			return c.origin(ctx, key, loader)
		case aLease:
			if waited == "" {
				c.counters.waits.Add(1)
			}
			waited = at.token
			select {
			case <-ctx.Done():
				return larder.Loaded{}, ctx.Err()
			case <-time.After(pause/2 + rand.N(pause)):
			}
		case nothing:
			token, from, err := c.acquire(ctx, key, at.head)
			if err != nil {
				return c.alone(ctx, key, loader, err)
			}
			if token != "" {
				return c.hold(ctx, key, loader, token, from)
			}
		}
		var failed error
		var err error
		if at, failed, err = c.lookAgain(ctx, key, waited); err != nil {
			return c.alone(ctx, key, loader, err)
		}
		if failed != nil && at.kind != aValue {
			return larder.Loaded{}, failed
		}
	}
}

// lookAgain reads the key, and whether the load that was waited for has failed.
func (c *Cache) lookAgain(
	ctx context.Context, key []byte, waited string,
) (at found, failed, err error) {
	commands := append(c.reading(c.valueKey(key)), fleet.Command{"GET", c.failureKey(key)})
	replies, err := c.member.Do(ctx, commands...)
	if err != nil {
		return at, nil, err
	}
	if at, err = c.parse(ctx, key, replies); err != nil {
		return at, nil, err
	}
	token, text, ok := strings.Cut(replies[3].Text, " ")
	if ok && waited != "" && token == waited {
		failed = &LoadError{Text: text}
		if text == larder.ErrNotFound.Error() {
			failed = larder.ErrNotFound
		}
	}
	return at, failed, nil
}

// acquire lays a lease in place of nothing, or of what is void and begins with head. No token:
// another was first.
func (c *Cache) acquire(ctx context.Context, key []byte, head string) (string, fleet.Point, error) {
	token := newToken()
	lease := fleet.Command{
		"SET", c.valueKey(key), mark(kindLease, token), "PX", milliseconds(c.options.Lease),
	}
	if head != "" {
		done, err := c.member.If(ctx, c.valueKey(key), beginsWith(head), lease)
		if err != nil || !done {
			return "", fleet.Point{}, err
		}
		lease = nil
	}
	commands := []fleet.Command{c.member.Now()}
	if lease != nil {
		commands = []fleet.Command{append(lease, "NX"), c.member.Now()}
	}
	replies, err := c.member.Do(ctx, commands...)
	if err != nil {
		return "", fleet.Point{}, err
	}
	if replies[0].Kind == fleet.Failure {
		return "", fleet.Point{}, unavailable(replies[0].Err)
	}
	if replies[0].Kind == fleet.Nil {
		return "", fleet.Point{}, nil
	}
	from, err := c.member.Point(replies[len(replies)-1])
	return token, from, err
}

// beginsWith is a condition on what lies under a key.
func beginsWith(head string) func(fleet.Reply) bool {
	return func(r fleet.Reply) bool { return r.Kind == fleet.Text && headOf(r.Text) == head }
}

// hold runs the loader under a lease, and stores what it brings.
func (c *Cache) hold(
	ctx context.Context, key []byte, loader larder.Loader, token string, from fleet.Point,
) (larder.Loaded, error) {
	lease := mark(kindLease, token)
	stop := c.renew(key, lease)
	finished := false
	defer func() {
		if !finished { // the loader has panicked, or ended its goroutine
			stop()
			c.fail(key, lease, "the loader has panicked")
		}
	}()
	loaded, err := c.origin(ctx, key, loader)
	finished = true
	if err == nil {
		// A load that is told to stop after its loader has returned need not be in vain.
		loaded, err = c.store(context.WithoutCancel(ctx), key, loaded, from, lease)
	}
	stop()
	if err != nil {
		c.fail(key, lease, err.Error())
	}
	return loaded, err
}

// renew keeps a lease alive until stop is called, or it is gone.
func (c *Cache) renew(key []byte, lease string) (stop func()) {
	ctx, cancel := context.WithCancel(c.ctx)
	c.done.Add(1)
	go func() {
		defer c.done.Done()
		tick := time.NewTicker(c.options.Lease / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			held, err := c.swap(ctx, key, lease, lease, c.options.Lease)
			if err == nil && !held {
				return
			}
		}
	}()
	return cancel
}

// fail gives the lease back, and tells those who wait why.
func (c *Cache) fail(key []byte, lease, why string) {
	token, _ := tokenOf(lease, kindLease)
	const most = 512
	why = token + " " + why[:min(len(why), most)]
	ctx := context.WithoutCancel(c.ctx) // the caller's may have ended
	_, err := c.member.Do(ctx,
		fleet.Command{"SET", c.failureKey(key), why, "PX", milliseconds(failureTTL)})
	if err == nil {
		c.release(ctx, key, lease)
	}
}

// release gives a lease back; what is none is left where it lies. If that can't be done it
// ends by itself.
func (c *Cache) release(ctx context.Context, key []byte, lease string) {
	if _, ok := tokenOf(lease, kindLease); !ok {
		return
	}
	c.member.If(ctx, c.valueKey(key), beginsWith(lease), fleet.Command{"DEL", c.valueKey(key)})
}

// swap replaces what begins with head by a value, for ttl, and reports whether it was still
// there. Where it is a lease, which is short, IFEQ does so in one exchange.
func (c *Cache) swap(
	ctx context.Context, key []byte, head, value string, ttl time.Duration,
) (bool, error) {
	name := c.valueKey(key)
	set := fleet.Command{"SET", name, value, "PX", milliseconds(ttl)}
	_, short := tokenOf(head, kindLease)
	if short && !c.noIfEqual.Load() {
		replies, err := c.member.Do(ctx, append(set[:len(set):len(set)], "IFEQ", head))
		if err != nil {
			return false, err
		}
		switch r := replies[0]; {
		case r.Kind != fleet.Failure:
			return r.Kind == fleet.Text, nil
		case !strings.Contains(strings.ToLower(r.Err.Error()), "syntax"):
			return false, unavailable(r.Err)
		}
		c.noIfEqual.Store(true)
	}
	return c.member.If(ctx, name, beginsWith(head), set)
}
