package fleet

import (
	"context"
	"strconv"
	"strings"
	"time"
)

// The list of members is one value on the server, changed by who joins and who leaves. Who
// wants his order seen by all before he goes on reads it after the order was given: who isn't
// on it then has not begun to trust anything, and hears of the order when he does.
//
// Only a list that is new says nothing yet: the server may have lost an older one (by FLUSHALL,
// by eviction), and who was on that trusts what he holds until he asks again. So a second
// value says that the list is forming, until all have asked or have ceased to trust.

// wordLen is the length of a member's ID, and of the word that the list begins with: another
// each time, for the compare.
const wordLen = 16

// enlist puts this member on the list, and takes those off that have been silent for long.
func (m *Member) enlist() error {
	return m.relist(m.ctx, func(ids []string) []string { return append(ids, m.id) })
}

// leave takes it off the list.
func (m *Member) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), min(m.options.Timeout, time.Second))
	defer cancel()
	if m.guard.open.Load() || m.Epoch() == "" {
		return
	}
	m.relist(ctx, func(ids []string) []string { return ids }) // an error leaves it to expire
	m.guard.probe(ctx, Command{"DEL", m.keys.ack + m.id})
}

// relist replaces the list: a word, then those of its members that the server has heard
// of lately, this one excepted, as change leaves them.
func (m *Member) relist(ctx context.Context, change func([]string) []string) error {
	replies, err := m.guard.probe(ctx, Command{"GET", m.keys.members})
	if err == nil {
		err = failure(replies)
	}
	if err != nil {
		return err
	}
	old := replies[0].Text
	var ids []string
	get := Command{"MGET"}
	for id := range strings.SplitSeq(old, ",") {
		if len(id) == wordLen && id != m.id && id != first(old) {
			ids = append(ids, id)
			get = append(get, m.keys.ack+id)
		}
	}
	if len(ids) > 0 {
		if replies, err = m.guard.probe(ctx, get); err == nil {
			err = failure(replies)
		}
		if err != nil {
			return err
		}
		heard := ids[:0]
		for i, r := range replies[0].List {
			if r.Kind == Text {
				heard = append(heard, ids[i])
			}
		}
		ids = heard
	}
	list := strings.Join(append([]string{word()}, change(ids)...), ",")
	same := func(r Reply) bool { return first(r.Text) == first(old) }
	commands := []Command{{"SET", m.keys.members, list}}
	if old == "" {
		commands = append(commands, Command{"SET", m.keys.forming, "1", "PX",
			strconv.FormatInt(m.options.MaxStaleness.Milliseconds(), 10)})
	}
	_, err = m.guard.when(ctx, m.keys.members, same, commands...)
	return err
}

// first is the word before the first comma.
func first(list string) string {
	word, _, _ := strings.Cut(list, ",")
	return word
}
