package nearcache

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	larder "github.com/larder-cache/larder/go"
)

func testTable(t *testing.T, bytes int64) *Table {
	t.Helper()
	cache, err := larder.New(larder.Options{MaxBytes: bytes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cache.Close() })
	return NewTable(cache)
}

// expected is what a reply has to be, if there is one: it may have been evicted.
type expected struct {
	body  string
	mark  uint64
	owner Owner
	keys  []string
	area  uint32
}

// TestTableAgainstMap does the same to a table and to a map: what the table has must be what the map
// has.
func TestTableAgainstMap(t *testing.T) {
	for _, bytes := range []int64{64 << 20, 256 << 10} { // the second evicts
		t.Run(fmt.Sprint(bytes), func(t *testing.T) {
			table := testTable(t, bytes)
			areas := []uint32{table.NewArea(), table.NewArea()}
			owners := []Owner{{}, table.NewOwner(), table.NewOwner(), table.NewOwner()}
			narrow, wide := make(map[Name]expected), make(map[string]expected)
			random := rand.New(rand.NewPCG(1, 2))
			for step := range 20_000 {
				area := areas[random.IntN(len(areas))]
				key := fmt.Sprint("key ", random.IntN(30))
				// Divided anywhere, the same text is another command.
				head := strings.Repeat("h", random.IntN(3))
				name := Name{Area: area, Prefix: "p:", Key: key, Head: head, Tail: strings.Repeat("h", 2-len(head))}
				owner := owners[random.IntN(len(owners))]
				body := strings.Repeat("b", random.IntN(300))
				mark := random.Uint64()
				several := []string{"p:" + key, "p:key 0"}
				command := fmt.Sprint(area, several)
				switch random.IntN(20) {
				case 0, 1, 2, 3, 4:
					if err := table.Put([]byte(body), &name, mark, owner, larder.NoExpiry); err != nil {
						t.Fatal(err)
					}
					narrow[name] = expected{body, mark, owner, nil, area}
				case 5:
					numbers := make(Numbers, len(several))
					for i, one := range several {
						var err error
						if numbers[i], err = table.Number(area, one); err != nil {
							t.Fatal(err)
						}
					}
					// A record that was a reply has a number as well.
					err := table.PutWide([]byte(body), area, command, several, numbers, mark, owner, larder.NoExpiry)
					if err != nil {
						t.Fatal(err)
					}
					wide[command] = expected{body, mark, owner, several, area}
				case 6:
					table.Drop(area, "p:", key)
					for one := range narrow {
						if one.Area == area && one.Key == key {
							delete(narrow, one)
						}
					}
					for one, e := range wide {
						if e.area == area && (e.keys[0] == "p:"+key || e.keys[1] == "p:"+key) {
							delete(wide, one)
						}
					}
				case 7:
					if random.IntN(20) == 0 {
						i := 1 + random.IntN(len(owners)-1)
						table.Revoke(owners[i])
						for one, e := range narrow {
							if e.owner == owners[i] {
								delete(narrow, one)
							}
						}
						for one, e := range wide {
							if e.owner == owners[i] {
								delete(wide, one)
							}
						}
						owners[i] = table.NewOwner()
					}
				case 9:
					if random.IntN(50) == 0 {
						table.sweep()
					}
				case 8:
					if random.IntN(20) == 0 {
						i := random.IntN(len(areas))
						table.Leave(areas[i])
						areas[i] = table.NewArea()
					}
				default:
					got, mark, ok := table.Get([]byte("before"), &name)
					see(t, step, narrow, name, got, mark, ok)
					got, mark, ok = table.GetWide([]byte("before"), area, command)
					see(t, step, wide, command, got, mark, ok)
				}
			}
		})
	}
}

// see compares what a table gave with what it had to. A first command's reply is given up when a
// second comes: so a table needn't have one that the map has.
func see[K comparable](
	t *testing.T, step int, all map[K]expected, name K, got []byte, mark uint64, ok bool,
) {
	t.Helper()
	want, there := all[name]
	switch {
	case ok && !there:
		t.Fatalf("step %d: %v: got %q, which is not there", step, name, got)
	case ok && (string(got) != "before"+want.body || mark != want.mark):
		t.Fatalf("step %d: %v: got %q, %d, want %q, %d", step, name, got, mark, want.body, want.mark)
	}
}

func TestReplyIsFoundAgain(t *testing.T) {
	table := testTable(t, 16<<20)
	owner := table.NewOwner()
	names := []Name{
		{Area: table.NewArea(), Key: "k", Head: "first"},
		{Area: table.areas.last, Key: "k", Head: "second"},
		{Area: table.areas.last, Key: "k", Head: strings.Repeat("long", 20_000)},
		{Area: table.areas.last, Key: strings.Repeat("k", 1000), Head: "first"},
		{Area: table.areas.last, Prefix: "", Key: "", Head: ""},
	}
	for range 2 { // the first command's reply is given up for the second's
		for i := range names {
			if _, _, ok := table.Get(nil, &names[i]); ok {
				continue
			}
			err := table.Put([]byte("body"), &names[i], 7, owner, larder.NoExpiry)
			if long := len(names[i].Head) > 64<<10; (err != nil) != long {
				t.Fatalf("%.20q: %v", names[i].Head, err)
			}
		}
	}
	for i, name := range names {
		got, mark, ok := table.Get(nil, &name)
		if i != 2 && (!ok || string(got) != "body" || mark != 7) {
			t.Errorf("%.20q %.20q: %q, %d, %v", name.Key, name.Head, got, mark, ok)
		}
	}
	table.Revoke(owner)
	for _, name := range names {
		if got, _, ok := table.Get(nil, &name); ok {
			t.Errorf("%.20q: %q is there though its owner is gone", name.Key, got)
		}
	}
}

func TestFrontIsBounded(t *testing.T) {
	table := testTable(t, 16<<20)
	front := NewFront[string](table, 100_000)
	area := table.NewArea()
	for i := range 10_000 {
		name := Name{Area: area, Key: fmt.Sprint("key ", i)}
		for range 3 {
			_, _, at := front.Find(&name)
			front.Keep(at, &name, Owner{}, name.Key, 1000, 0)
		}
	}
	held, bytes := 0, int64(0)
	for i := range front.sets {
		for j := range front.sets[i].held {
			if h := front.sets[i].held[j].Load(); h != nil {
				held++
				bytes += h.bytes
			}
		}
	}
	if held == 0 || bytes > 100_000 || front.room.Load() != 100_000-bytes {
		t.Fatalf("%d are held, of %d bytes, and there is room for %d more", held, bytes, front.room.Load())
	}
	for i := range 10_000 {
		front.Drop("", fmt.Sprint("key ", i))
	}
	if front.room.Load() != 100_000 {
		t.Fatalf("there is room for %d when nothing is held", front.room.Load())
	}
}

// TestFrontKeepsNothingOvertaken has a key dropped between a look and what it leads to.
func TestFrontKeepsNothingOvertaken(t *testing.T) {
	table := testTable(t, 1<<20)
	front := NewFront[string](table, 1<<20)
	name := Name{Area: table.NewArea(), Key: "k"}
	_, _, at := front.Find(&name)
	front.Drop("", "k")
	for range 3 {
		front.Keep(at, &name, Owner{}, "old", 3, 0)
	}
	if value, _, _ := front.Find(&name); value != nil {
		t.Fatal("what was dropped is kept")
	}
	_, _, at = front.Find(&name)
	front.Keep(at, &name, Owner{}, "new", 3, 0)
	if value, _, _ := front.Find(&name); value == nil || *value != "new" {
		t.Fatal("what was asked for is not kept")
	}
}

// TestSweep has just what can't be found any more go.
func TestSweep(t *testing.T) {
	table := testTable(t, 16<<20)
	owners := []Owner{table.NewOwner(), table.NewOwner()}
	areas := []uint32{table.NewArea(), table.NewArea()}
	names := make(map[Name]bool) // whether they are to stay
	for i := range 100 {
		name := Name{Area: areas[i%2], Key: fmt.Sprint("key ", i/8), Head: fmt.Sprint("command ", i%8)}
		if err := table.Put([]byte("body"), &name, 0, owners[i/2%2], larder.NoExpiry); err != nil {
			t.Fatal(err)
		}
		_, _, found := table.Get(nil, &name)
		names[name] = found && i%2 == 1 && i/2%2 == 1
	}
	table.Leave(areas[0])
	table.Revoke(owners[0])
	before := table.cache.Len()
	for end := time.Now().Add(30 * time.Second); table.cache.Len() == before; {
		if time.Now().After(end) {
			t.Fatal("nothing was swept in half a minute")
		}
		time.Sleep(time.Millisecond)
	}
	table.sweep()
	kept := 0
	for name, stays := range names {
		_, _, ok := table.Get(nil, &name)
		if ok {
			kept++
		}
		if stays && !ok && name.Head != "command 3" { // which gave its reply up for command 7
			t.Errorf("%v is gone", name)
		}
	}
	if left := table.cache.Len(); left > before/2 || kept == 0 {
		t.Fatalf("%d of %d entries are left, %d replies", left, before, kept)
	}
}
