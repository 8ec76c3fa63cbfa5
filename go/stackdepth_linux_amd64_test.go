package larder

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/larder-cache/larder/go/internal/fastcall"
	"github.com/larder-cache/larder/go/internal/stackpaint"

	"github.com/larder-cache/larder/go/internal/capi"
)

// Every function of the fast path must leave a fifth of its room alone, on
// all paths that can be provoked: hits and misses, values of all sizes, sets that overwrite, fill
// segments and evict. (The proof for all paths there are is the stack-depth check of
// the library.)
func TestFastDoorStackUse(t *testing.T) {
	const limit = fastcall.Room * 4 / 5
	c, err := New(Options{MaxBytes: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	deepest := map[string]uintptr{}
	taken := map[string]map[status]int{}
	paint := func(name string, fn uintptr, args unsafe.Pointer, slow func() status) {
		result, depth := stackpaint.Call(fn, args)
		deepest[name] = max(deepest[name], depth)
		if taken[name] == nil {
			taken[name] = map[status]int{}
		}
		taken[name][status(result)]++
		if status(result) == capi.StatusBusy {
			slow()
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	bytes := make([]byte, 80<<10)
	key := func() []byte {
		k := fmt.Appendf(nil, "key %d", rng.IntN(3000))
		if rng.IntN(100) == 0 {
			k = append(bytes[:rng.IntN(64<<10):64<<10], k...)
		}
		return k
	}
	dst := make([]byte, 80<<10)
	var room tagRoom
	for range 20_000 {
		key := key()
		a := call{Cache: c.through(), Key: unsafe.SliceData(key), KeyLen: uintptr(len(key))}
		size := 1 << rng.IntN(17)
		switch rng.IntN(8) {
		case 0:
			paint("delete", capi.FastDeleteAt, unsafe.Pointer(&a), a.SlowDelete)
		case 1, 2, 3:
			a.Buf, a.BufLen = &bytes[0], uintptr(rng.IntN(size))
			if rng.IntN(2) == 0 {
				a.Flags, a.TTLMS = capi.FlagTTL, uint64(rng.IntN(20))
			}
			if rng.IntN(4) == 0 {
				o := SetOptions{TTL: time.Second, StaleAfter: time.Millisecond, Sliding: true, Tags: []string{"tag"}}
				options, err := c.pack(&o, &room)
				if err != nil {
					t.Fatal(err)
				}
				a.Options = &options
			}
			paint("set", capi.FastSetAt, unsafe.Pointer(&a), a.SlowSet)
		default:
			a.Buf, a.BufLen = &dst[0], uintptr(size)
			if rng.IntN(2) == 0 {
				a.Flags = capi.FlagState
			}
			paint("get", capi.FastGetAt, unsafe.Pointer(&a), a.SlowGet)
		}
	}
	for range 5_000 {
		var b Batch
		for range 1 + rng.IntN(20) {
			b.AddEntry(key(), bytes[:rng.IntN(1<<rng.IntN(15))])
		}
		m := b.call(c)
		switch rng.IntN(8) {
		case 0:
			paint("delete_many", capi.FastDeleteManyAt, unsafe.Pointer(&m), m.SlowDelete)
		case 1, 2, 3:
			paint("set_many", capi.FastSetManyAt, unsafe.Pointer(&m), m.SlowSet)
		default:
			m.Buf, m.BufLen = &dst[0], uintptr(rng.IntN(len(dst)))
			paint("get_many", capi.FastGetManyAt, unsafe.Pointer(&m), m.SlowGet)
		}
		runtime.KeepAlive(&b)
	}
	for name, depth := range deepest {
		t.Logf("%-11s %4d bytes; statuses %v", name, depth, taken[name])
		if depth > limit {
			t.Errorf("larder_fast_%s uses %d bytes of stack; the limit is %d", name, depth, limit)
		}
		if taken[name][capi.StatusOK] == 0 {
			t.Errorf("larder_fast_%s never succeeded: nothing was measured", name)
		}
	}
}

// A goroutine that calls once keeps the small stack it began with.
func TestStacksStaySmall(t *testing.T) {
	if !FastDoor() {
		t.Skip("the fast path is shut")
	}
	c, err := New(Options{MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetString("key", make([]byte, 64)); err != nil {
		t.Fatal(err)
	}
	const goroutines = 20_000
	inUse := func(f func()) uint64 {
		var ready, ended sync.WaitGroup
		stop := make(chan struct{})
		for range goroutines {
			ready.Add(1)
			ended.Add(1)
			go func() {
				defer ended.Done()
				f()
				ready.Done()
				<-stop
			}()
		}
		ready.Wait()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		close(stop)
		ended.Wait()
		runtime.GC()
		return m.StackInuse
	}
	without := inUse(func() {})
	with := inUse(func() {
		var key = [3]byte{'k', 'e', 'y'}
		var room [64]byte
		if _, ok := c.Get(room[:0], key[:]); !ok {
			t.Error("a miss")
		}
	})
	if with > without*13/10 {
		t.Errorf("stacks of %d goroutines: %d KiB with a Get each, %d without", goroutines, with>>10, without>>10)
	}
}

// The room is written into the assembly; what relies on it reads Room.
func TestRoom(t *testing.T) {
	const file = "internal/fastcall/call_linux_amd64.s"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	call := regexp.MustCompile(`TEXT ·Call\(SB\), NOSPLIT, \$0-24\n\tMOVQ \(TLS\), CX\n\tLEAQ -(\d+)\(SP\), DX`).FindSubmatch(text)
	if call == nil || string(call[1]) != fmt.Sprint(fastcall.Room) {
		t.Errorf("%s: Call asks for %q, Room is %d", file, call, fastcall.Room)
	}
	deep := regexp.MustCompile(`TEXT ·CallDeep\(SB\), 0, \$(\d+)-24\n\tMOVQ \(TLS\), CX\n\tLEAQ -(\d+)\(SP\), DX[^T]*ADDQ \$(\d+), SP`).FindSubmatch(text)
	if deep == nil {
		t.Fatalf("%s: no CallDeep", file)
	}
	var frame, below, back int
	for i, n := range []*int{&frame, &below, &back} {
		*n, _ = strconv.Atoi(string(deep[1+i]))
	}
	if frame+below != fastcall.Room || back != frame {
		t.Errorf("%s: CallDeep has a frame of %d, asks for %d more and gives %d back; Room is %d", file, frame, below, back, fastcall.Room)
	}
}
