package fleet

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxOwed is how many orders are kept that could not be given.
const maxOwed = 1024

// attempts is how often an order is given anew that took too long.
const attempts = 5

// Order is what a member tells all others.
type Order struct {
	// Text is what the others' Options.Apply is called with. It isn't empty.
	Text []byte
	// Before change the data that the order is about: they are sent ahead of it, in the same
	// exchange, so whoever has heard the order finds them done.
	Before []Command
	// With are carried out together with the order: whoever finds one done finds the other.
	With []Command
	// Owed take the place of Before, when the order is kept for later because the server isn't
	// there. They must do no harm then, whatever has happened in between.
	Owed []Command
	// Wait lets Order return when every other member has carried the order out, or has
	// ceased to trust what it holds, which takes MaxStaleness at most.
	Wait bool
}

// Order gives an order to all other members. (Here the caller has carried it out: Options.Apply
// isn't called with a process's own orders.) When it returns nil, the others do so within the
// bounds that Options say, or have done, with Order.Wait.
//
// On an error, which wraps ErrUnavailable if the server is at fault, the order may or may not
// have reached the others. It is kept then, and given when the server is back, as long as this
// process lives and is not closed. Beyond a thousand such orders a new epoch takes their
// place, which makes everybody forget everything.
func (m *Member) Order(ctx context.Context, o Order) error {
	number, given, err := m.give(ctx, o)
	if err != nil { // also that of ctx: what the caller holds has changed already
		o.Before = o.Owed
		m.owe(o)
		return err
	}
	if o.Wait {
		return m.awaitSeen(ctx, number, given)
	}
	return nil
}

// give raises the counter and writes the order. It returns the order's number, and a moment
// after which nobody can ask the server and not hear of it.
//
// Nobody may pass over the order's place before it is there, and they wait for it for the
// time grace, from when they see the counter. If half of that has passed since before the
// counter was raised, somebody may have, and the order is given once more.
func (m *Member) give(ctx context.Context, o Order) (number uint64, given int64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, 0, err
	}
	// A caller that leaves between the two steps would leave a hole behind, for which all
	// members forget everything. Each step has its time limit.
	ctx = context.WithoutCancel(ctx)
	raise := append(append([]Command{}, o.Before...), Command{"INCR", m.keys.counter})
	for range attempts {
		began := m.now()
		replies, err := m.send(ctx, raise)
		if err != nil {
			return 0, 0, err
		}
		given = m.now()
		number = uint64(replies[len(replies)-1].Number)
		e := entry{number, word(), m.id, text(o.Text)}
		write := []Command{{"SET", m.keys.place(number), e.encode()}}
		if len(o.With) > 0 {
			write = append(append([]Command{{"MULTI"}}, write...), o.With...)
			write = append(write, Command{"EXEC"})
		}
		if _, err = m.send(ctx, write); err != nil {
			return 0, 0, err
		}
		if m.now()-began < int64(m.grace()/2) {
			m.counters.given.Add(1)
			return number, given, nil
		}
		raise = raise[len(raise)-1:]
	}
	return 0, 0, errSlow
}

// send is an exchange in which each command has to succeed.
func (m *Member) send(ctx context.Context, commands []Command) ([]Reply, error) {
	replies, err := m.guard.do(ctx, commands...)
	if err == nil {
		err = failure(replies)
	}
	return replies, err
}

// errSlow is for a server too slow to give orders to.
var errSlow = fmt.Errorf("%w: it is too slow to take an order", ErrUnavailable)

// awaitSeen waits until every member has seen the order. One that has told nothing for so long
// that the server has forgotten it can't trust what it holds, and will ask before it does.
func (m *Member) awaitSeen(ctx context.Context, number uint64, given int64) error {
	end := given + int64(m.options.MaxStaleness)
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		if seen, err := m.allSeen(ctx, number); seen {
			return nil
		} else if err != nil && ctx.Err() != nil {
			return err
		}
		left := time.Duration(end - m.now())
		if left <= 0 {
			m.counters.waitedOut.Add(1)
			return nil // who hasn't seen it has ceased to trust what he holds
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(pause, left)):
		}
	}
}

func (m *Member) allSeen(ctx context.Context, number uint64) (bool, error) {
	replies, err := m.guard.do(ctx, Command{"MGET", m.keys.members, m.keys.forming})
	if err == nil {
		err = failure(replies)
	}
	if err != nil {
		return false, err
	}
	lists := replies[0].List
	if len(lists) != 2 || lists[0].Kind != Text || lists[1].Kind != Nil {
		return false, nil
	}
	get := Command{"MGET"}
	for id := range strings.SplitSeq(lists[0].Text, ",") {
		if id != m.id && id != first(lists[0].Text) {
			get = append(get, m.keys.ack+id)
		}
	}
	if len(get) == 1 {
		return true, nil
	}
	replies, err = m.guard.do(ctx, get)
	if err == nil {
		err = failure(replies)
	}
	if err != nil {
		return false, err
	}
	for _, r := range replies[0].List {
		if r.Kind != Text {
			continue // silent for so long that he trusts nothing
		}
		if seen, err := strconv.ParseUint(r.Text, 10, 64); err != nil || seen < number {
			return false, nil
		}
	}
	return true, nil
}

// InvalidateAll changes the epoch: every member forgets everything, and what the server holds
// of former epochs is void. Here that has happened when it returns, on an error too;
// elsewhere it is as with Order.
func (m *Member) InvalidateAll(ctx context.Context, wait bool) error {
	epoch := m.void()
	number, given, err := m.give(ctx, Order{
		Before: []Command{{"SET", m.keys.epoch, epoch}},
	})
	if err != nil {
		m.owed.everything()
		return err
	}
	if wait {
		return m.awaitSeen(ctx, number, given)
	}
	return nil
}

// void makes the present epoch void, and returns the next.
func (m *Member) void() string {
	epoch := word()
	m.mu.Lock()
	defer m.mu.Unlock()
	if old := m.epoch.Swap(&epoch); old != nil {
		m.voided = append(m.voided, *old)
		if len(m.voided) > maxVoided {
			m.voided = m.voided[1:]
		}
	}
	m.forget("InvalidateAll")
	return epoch
}

// maxVoided is how many epochs are kept in mind: only what is still on its way from the
// server can name one.
const maxVoided = 16

// isVoid reports whether InvalidateAll was called in the epoch.
func (m *Member) isVoid(epoch string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Contains(m.voided, epoch)
}

// Epoch is the word of all that is valid at present, as last seen; "" if the server was
// never asked.
func (m *Member) Epoch() string {
	if e := m.epoch.Load(); e != nil {
		return *e
	}
	return ""
}

// owed are orders that could not be given.
type owed struct {
	mu     sync.Mutex
	orders []Order
	all    bool // more than that
}

func (o *owed) some() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all || len(o.orders) > 0
}

// everything takes the place of all that is owed: a new epoch.
func (o *owed) everything() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all, o.orders = true, nil
}

// owe keeps an order for later.
func (m *Member) owe(order Order) {
	o := &m.owed
	o.mu.Lock()
	defer o.mu.Unlock()
	m.counters.owed.Add(1)
	switch {
	case o.all:
	case len(o.orders) >= maxOwed:
		o.all, o.orders = true, nil
	default:
		order.Text = slices.Clone(order.Text)
		o.orders = append(o.orders, order)
	}
}

// settle gives what is owed. Called by the follower.
func (m *Member) settle() {
	o := &m.owed
	o.mu.Lock()
	all, orders := o.all, o.orders
	o.all, o.orders = false, nil
	o.mu.Unlock()
	if all {
		m.InvalidateAll(m.ctx, false) // on an error it is owed again
		return
	}
	for i, order := range orders {
		if _, _, err := m.give(m.ctx, order); err != nil {
			for _, order := range orders[i:] {
				m.owe(order)
			}
			return
		}
	}
}

// Do sends commands to the fleet's server, under the same time limit and breaker as all else.
// Its errors wrap ErrUnavailable or are those of ctx; a command's own is in its reply.
func (m *Member) Do(ctx context.Context, commands ...Command) ([]Reply, error) {
	return m.guard.do(ctx, commands...)
}

// If is Server.If under the same time limit and breaker as all else.
func (m *Member) If(
	ctx context.Context, key string, holds func(Reply) bool, commands ...Command,
) (bool, error) {
	return m.guard.when(ctx, key, holds, commands...)
}

// Now is the command whose reply Point reads.
func (m *Member) Now() Command { return Command{"MGET", m.keys.epoch, m.keys.counter} }

// Point is a point in the fleet's time: in which epoch, after how many orders.
type Point struct {
	Epoch string
	Order uint64
}

// Point reads the reply to Now.
func (m *Member) Point(r Reply) (Point, error) {
	if r.Kind != List || len(r.List) != 2 {
		return Point{}, errUnexpected
	}
	order, err := number(r.List[1])
	return Point{r.List[0].Text, order}, err
}

// Since returns the orders after one point up to another; false if they can't be known.
func (m *Member) Since(ctx context.Context, from, to Point) ([][]byte, bool) {
	if from.Epoch != to.Epoch || to.Order < from.Order || to.Order-from.Order > RingSize/2 {
		return nil, false
	}
	if to.Order == from.Order {
		return nil, true
	}
	var commands []Command
	for first := from.Order + 1; first <= to.Order; first += pages {
		get := Command{"MGET"}
		for n := first; n < first+pages && n <= to.Order; n++ {
			get = append(get, m.keys.place(n))
		}
		commands = append(commands, get)
	}
	replies, err := m.send(ctx, commands)
	if err != nil {
		return nil, false
	}
	var orders [][]byte
	for _, page := range replies {
		for _, r := range page.List {
			e, ok := decode(r)
			if !ok || e.number != from.Order+1+uint64(len(orders)) {
				return nil, false
			}
			orders = append(orders, []byte(e.order))
		}
	}
	return orders, uint64(len(orders)) == to.Order-from.Order
}

// Prefix is what the names of the fleet's keys begin with, for those of the caller: all in
// one slot of a cluster.
func (m *Member) Prefix() string { return "{" + m.options.Name + "}:" }
