package linearizability

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"
)

type kind int

const (
	load kind = iota
	get
	set
	add
	change // of what a loader finds; then a delete
	markStale
)

func (k kind) String() string {
	return [...]string{"load", "get", "set", "add", "change", "markStale"}[k]
}

type input struct {
	kind    kind
	key     string
	value   string // of set and add
	version int64  // of change: of what a loader finds from then on
}

type output struct {
	value string // of load and get
	ok    bool   // get, add, delete, markStale: as they return it
	err   bool   // load: it failed
}

// state is what a key has in the model. Each call of a loader makes a value of its own, and
// the model remembers which of them it has seen: a loaded value may come to a key once, and if
// it is read after it was overwritten or deleted, it was loaded before that.
type state struct {
	value string // "": none
	// How often it was marked as stale: so many refreshes it may have had that nobody has seen.
	marks int
	// The value has reached who loads it, and may not have been stored yet. What changes the
	// key now, and finds nothing there, has come in time to prevent that.
	landing bool
	seen    string // sorted, each with a blank behind it
	version int64  // what was loaded of an older one is out of date
}

func (s state) none() bool   { return s.value == "" || s.landing }
func (s state) exists() bool { return s.value != "" }

// stored is the state of which is now known that the value is in the cache.
func (s state) stored() state {
	s.landing = false
	return s
}

// fresh reports whether a value may come from a loader now.
func (s state) fresh(value string) bool {
	var number, version int64
	_, err := fmt.Sscanf(value, "L%d@%d", &number, &version)
	return err == nil && version >= s.version && !strings.Contains(s.seen, value+" ")
}

// loaded is the state after a value came from a loader.
func (s state) loaded(value string) state {
	all := append(strings.Fields(s.seen), value)
	slices.Sort(all)
	return state{value: value, marks: max(s.marks-1, 0), seen: strings.Join(all, " ") + " ", version: s.version}
}

func step(s state, in input, out output) (bool, state) {
	written := state{value: in.value, seen: s.seen, version: max(s.version, in.version)}
	switch in.kind {
	case load:
		switch {
		case out.err:
			return s.value == "", s
		case out.value == s.value:
			return true, s
		case !s.fresh(out.value):
			return false, s
		case s.marks > 0: // a refresh has ended
			return true, s.loaded(out.value)
		}
		next := s.loaded(out.value)
		next.landing = true
		return s.value == "", next
	case get:
		switch {
		case !out.ok:
			return s.none(), s
		case out.value == s.value:
			return true, s.stored()
		}
		return s.marks > 0 && s.fresh(out.value), s.loaded(out.value)
	case set:
		return true, written
	case add:
		if out.ok {
			return s.none(), written
		}
		return s.exists(), s.stored()
	case change:
		written.value = ""
		return out.ok && s.exists() || !out.ok && s.none(), written
	case markStale:
		if out.ok {
			s.marks++
			return s.exists(), s.stored()
		}
		return s.none(), s
	}
	panic("unknown")
}

var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		keys := map[string][]porcupine.Operation{}
		for _, op := range history {
			key := op.Input.(input).key
			keys[key] = append(keys[key], op)
		}
		return slices.Collect(maps.Values(keys))
	},
	Init: func() any { return state{} },
	Step: func(s, in, out any) (bool, any) {
		return step(s.(state), in.(input), out.(output))
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v: %+v", in, out) },
}
