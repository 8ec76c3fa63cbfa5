package tiered

import (
	"context"
	"strconv"
	"time"

	larder "github.com/larder-cache/larder/go"
	"github.com/larder-cache/larder/go/redis/fleet"
)

// state is what lies on the server under a key.
type state uint8

const (
	nothing state = iota // or what is void: of another epoch, its tag invalidated, no frame
	aLease
	aPass
	aValue
)

// found is what was read from the server.
type found struct {
	kind  state
	head  string // of whatever lies there, void or not; "" if there is nothing
	token string // of a lease or pass
	frame frame
	left  time.Duration // to live
	stale bool
}

// loaded is a value for the near tier. stale: it is to be refreshed by who wants it next.
func (f *found) loaded() larder.Loaded {
	l := larder.Loaded{Value: f.frame.value, Absent: f.frame.absent}
	l.TTL, l.Tags = f.left, f.frame.tags
	l.StaleAfter = larder.NoExpiry
	switch age := f.frame.ttl - f.left; {
	case f.stale:
		l.StaleAfter = soon
	case f.frame.staleAfter >= 0:
		l.StaleAfter = max(f.frame.staleAfter-age, soon)
	}
	return l
}

// reading are the commands whose replies parse takes. The time to live comes first: should
// the value be replaced in between, an older one's is taken for it, and that of a frame is
// never longer than the frame itself says. The epoch comes last: a value of the epoch that was
// valid after it was read is valid.
func (c *Cache) reading(key string) []fleet.Command {
	return []fleet.Command{{"PTTL", key}, {"GET", key}, c.member.Now()}
}

// read reads what lies under the key.
func (c *Cache) read(ctx context.Context, key []byte) (found, error) {
	replies, err := c.member.Do(ctx, c.reading(c.valueKey(key))...)
	if err != nil {
		return found{}, err
	}
	return c.parse(ctx, key, replies)
}

func (c *Cache) parse(ctx context.Context, key []byte, replies []fleet.Reply) (f found, err error) {
	for _, r := range replies[:3] {
		if r.Kind == fleet.Failure {
			return f, unavailable(r.Err)
		}
	}
	text := replies[1].Text
	if replies[1].Kind != fleet.Text {
		return f, nil
	}
	f.head = headOf(text)
	if token, ok := tokenOf(text, kindLease); ok {
		f.kind, f.token = aLease, token
		return f, nil
	}
	if token, ok := tokenOf(text, kindPass); ok {
		f.kind, f.token = aPass, token
		return f, nil
	}
	var ok bool
	if f.frame, ok = decode(key, text, c.options.Compressor, maxRaw); !ok {
		c.counters.corrupt.Add(1)
		return f, nil
	}
	now, err := c.member.Point(replies[2])
	if err != nil {
		return f, err
	}
	left := time.Duration(replies[0].Number) * time.Millisecond
	if f.frame.epoch != now.Epoch || left <= 0 {
		c.counters.void.Add(1)
		return f, nil
	}
	f.left = min(left, f.frame.ttl)
	f.stale = f.frame.staleAfter >= 0 && f.frame.ttl-f.left >= f.frame.staleAfter
	if valid, err := c.tagsHold(ctx, &f.frame); err != nil {
		return f, err
	} else if !valid {
		c.counters.void.Add(1)
		return f, nil
	}
	f.kind = aValue
	return f, nil
}

// maxRaw bounds a value that was compressed.
const maxRaw = 1 << 30

// tagsHold reports whether none of the tags has been invalidated since the frame was stored: an
// invalidation changes a tag's word, and so does its loss.
func (c *Cache) tagsHold(ctx context.Context, f *frame) (bool, error) {
	if len(f.tags) == 0 || c.options.Faults.NoTags {
		return true, nil
	}
	get := fleet.Command{"MGET"}
	for _, tag := range f.tags {
		get = append(get, c.tagKey(tag))
	}
	replies, err := c.member.Do(ctx, get)
	if err != nil {
		return false, err
	}
	if replies[0].Kind != fleet.List || len(replies[0].List) != len(f.tags) {
		return false, unavailable(replies[0].Err)
	}
	for i, word := range replies[0].List {
		if word.Kind != fleet.Text || word.Text != f.words[i] {
			return false, nil
		}
	}
	return true, nil
}

// milliseconds is a duration for PX, at least 1.
func milliseconds(d time.Duration) string {
	return strconv.FormatInt(max(d.Milliseconds(), 1), 10)
}
