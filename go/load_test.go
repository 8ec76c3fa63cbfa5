package larder_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	larder "github.com/larder-cache/larder/go"
)

// gate is a loader that says when it is called, and returns when it is told to.
type gate struct {
	called chan context.Context
	answer chan func() (larder.Loaded, error)
	calls  atomic.Int64
}

func newGate() *gate {
	return &gate{called: make(chan context.Context, 1000), answer: make(chan func() (larder.Loaded, error))}
}

func (g *gate) load(ctx context.Context, _ []byte) (larder.Loaded, error) {
	g.calls.Add(1)
	g.called <- ctx
	return (<-g.answer)()
}

func value(s string) func() (larder.Loaded, error) {
	return func() (larder.Loaded, error) { return larder.Loaded{Value: []byte(s)}, nil }
}

func failure(err error) func() (larder.Loaded, error) {
	return func() (larder.Loaded, error) { return larder.Loaded{}, err }
}

// constant is a loader that returns at once.
func constant(s string) larder.Loader {
	return func(context.Context, []byte) (larder.Loaded, error) { return larder.Loaded{Value: []byte(s)}, nil }
}

// never fails the test.
func never(t testing.TB) larder.Loader {
	return func(_ context.Context, key []byte) (larder.Loaded, error) {
		t.Errorf("%q is loaded", key)
		return larder.Loaded{}, errors.New("loaded")
	}
}

type loadResult struct {
	value    string
	err      error
	panicked any
	exited   bool
}

// goLoad loads on a goroutine.
func goLoad(ctx context.Context, c *larder.Cache, key string, loader larder.Loader) <-chan loadResult {
	ch := make(chan loadResult, 1)
	go func() {
		r := loadResult{exited: true}
		defer func() {
			if p := recover(); p != nil {
				r.panicked, r.exited = p, false
			}
			ch <- r
		}()
		v, err := c.Load(ctx, nil, []byte(key), loader)
		r = loadResult{value: string(v), err: err}
	}()
	return ch
}

func wantLoad(t testing.TB, c *larder.Cache, key string, loader larder.Loader, want string) {
	t.Helper()
	got, err := c.Load(context.Background(), []byte("+"), []byte(key), loader)
	if err != nil || string(got) != "+"+want {
		t.Fatalf("load of %q: %q, %v; want %q", key, got, err, want)
	}
}

func waitWaiters(t testing.TB, c *larder.Cache, n int) {
	t.Helper()
	wait(t, fmt.Sprint(n, " waiters"), func() bool { return c.Waiters() == n })
}

// idle fails the test if loads are left.
func idle(t testing.TB, c *larder.Cache) {
	t.Helper()
	wait(t, "all loads to end", func() bool { return c.Flights() == 0 && c.Refreshes() == 0 })
}

var bg = context.Background()

func TestLoad(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	wantLoad(t, c, "k", constant("one"), "one")
	wantLoad(t, c, "k", never(t), "one")
	wantValue(t, c, "k", []byte("one"))
	mustSet(t, c, "k", []byte("two"))
	wantLoad(t, c, "k", never(t), "two")
	c.Delete([]byte("k"))
	wantLoad(t, c, "k", constant("three"), "three")
	wantLoad(t, c, "", constant("the empty key"), "the empty key")
	wantLoad(t, c, "", never(t), "the empty key")
	wantLoad(t, c, "empty", constant(""), "")
	wantLoad(t, c, "empty", never(t), "")
	large := strings.Repeat("x", 100<<10)
	wantLoad(t, c, "large", constant(large), large)
	wantLoad(t, c, "large", never(t), large)
	idle(t, c)

	// What can't be stored is returned.
	huge := strings.Repeat("x", 1<<20)
	wantLoad(t, c, "huge", constant(huge), huge)
	wantMiss(t, c, "huge")
	// Nor can a key of that length.
	long := strings.Repeat("k", 100<<10)
	wantLoad(t, c, long, constant("value of a long key"), "value of a long key")
	wantMiss(t, c, long)
	idle(t, c)
	if s := c.Stats(); s.UnstoredLoads != 2 || s.LoadErrors != 0 {
		t.Errorf("%+v", s)
	}
}

func TestLoadErrors(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	oops := errors.New("oops")
	fails := func(l larder.Loaded, err error) larder.Loader {
		return func(context.Context, []byte) (larder.Loaded, error) { return l, err }
	}
	for _, test := range []struct {
		loader larder.Loader
		want   error
	}{
		{fails(larder.Loaded{Value: []byte("v")}, oops), oops},
		{fails(larder.Loaded{}, larder.ErrNotFound), larder.ErrNotFound},
		{fails(larder.Loaded{SetOptions: larder.SetOptions{TTL: -5}}, nil), larder.ErrInvalidTTL},
		{fails(larder.Loaded{SetOptions: larder.SetOptions{Tags: make([]string, 65)}}, nil), larder.ErrTooManyTags},
	} {
		got, err := c.Load(bg, []byte("dst"), []byte("k"), test.loader)
		if string(got) != "dst" || !errors.Is(err, test.want) {
			t.Errorf("%q, %v; want %v", got, err, test.want)
		}
		// Failures are not kept.
		wantMiss(t, c, "k")
		idle(t, c)
	}
	wantLoad(t, c, "k", constant("v"), "v")
}

func TestLoadStampede(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	g := newGate()
	const crowd = 1000
	var results []<-chan loadResult
	for range crowd {
		results = append(results, goLoad(bg, c, "k", g.load))
	}
	waitWaiters(t, c, crowd)
	g.answer <- value("v")
	for _, r := range results {
		if got := <-r; got.value != "v" || got.err != nil {
			t.Fatalf("%+v", got)
		}
	}
	if n := g.calls.Load(); n != 1 {
		t.Errorf("%d calls", n)
	}
	idle(t, c)
}

// Crowds come and go, of many keys: each value is loaded once.
func TestLoadOnceEach(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 4 << 20})
	var calls [500]atomic.Int64
	var all sync.WaitGroup
	for g := range 16 {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := range calls {
				i := (i + g) % len(calls)
				got, err := c.Load(bg, nil, fmt.Append(nil, i), func(_ context.Context, key []byte) (larder.Loaded, error) {
					calls[i].Add(1)
					runtime.Gosched()
					return larder.Loaded{Value: key}, nil
				})
				if err != nil || string(got) != fmt.Sprint(i) {
					t.Errorf("%d: %q, %v", i, got, err)
				}
			}
		}()
	}
	all.Wait()
	for i := range calls {
		if n := calls[i].Load(); n != 1 {
			t.Errorf("%d was loaded %d times", i, n)
		}
	}
}

func TestLoadContexts(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	type named struct{}
	g := newGate()
	first, leave := context.WithCancel(context.WithValue(bg, named{}, "first"))
	a := goLoad(first, c, "k", g.load)
	ctx := <-g.called
	if ctx.Value(named{}) != "first" {
		t.Error("the loader's context lacks the caller's values")
	}
	b := goLoad(bg, c, "k", g.load)
	waitWaiters(t, c, 2)

	// The first leaves; the load goes on for the second.
	leave()
	if r := <-a; !errors.Is(r.err, context.Canceled) {
		t.Errorf("%+v", r)
	}
	if ctx.Err() != nil {
		t.Error("the loader's context ended with the first caller's")
	}
	g.answer <- value("v")
	if r := <-b; r.value != "v" || r.err != nil {
		t.Errorf("%+v", r)
	}

	// A hit doesn't look at the context; a miss doesn't begin with one that has ended.
	if v, err := c.Load(first, nil, []byte("k"), never(t)); string(v) != "v" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	if _, err := c.Load(first, nil, []byte("l"), never(t)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	idle(t, c)
}

// When the last has left, the load goes on for those to come, and its value is stored.
func TestLoadGoesOn(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	g := newGate()
	var results []<-chan loadResult
	all, leave := context.WithCancel(bg)
	for range 3 {
		results = append(results, goLoad(all, c, "k", g.load))
	}
	ctx := <-g.called
	waitWaiters(t, c, 3)
	leave()
	for _, r := range results {
		if r := <-r; !errors.Is(r.err, context.Canceled) {
			t.Errorf("%+v", r)
		}
	}
	// Nobody waits; who comes now joins, however often.
	for range 3 {
		one, leave := context.WithCancel(bg)
		r := goLoad(one, c, "k", never(t))
		waitWaiters(t, c, 1)
		leave()
		if r := <-r; !errors.Is(r.err, context.Canceled) {
			t.Errorf("%+v", r)
		}
	}
	if ctx.Err() != nil {
		t.Error(ctx.Err())
	}
	g.answer <- value("v")
	idle(t, c)
	wantLoad(t, c, "k", never(t), "v")
	if s := c.Stats(); s.Loads != 1 || s.JoinedLoads != 5 || s.LoadErrors != 0 {
		t.Errorf("%+v", s)
	}
}

// It goes on until the grace is over. As long as its loader runs nobody begins another,
// and if that fails, it says nothing to those who came after the end.
func TestLoadGrace(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20, LoadGrace: time.Millisecond})
	old := newGate()
	one, leave := context.WithCancel(bg)
	r := goLoad(one, c, "k", old.load)
	ctx := <-old.called
	if _, bounded := ctx.Deadline(); bounded {
		t.Error("a deadline, though the one who waits has none")
	}
	leave()
	if r := <-r; !errors.Is(r.err, context.Canceled) {
		t.Errorf("%+v", r)
	}
	<-ctx.Done()
	late := goLoad(bg, c, "k", constant("new"))
	waitWaiters(t, c, 1)
	if n := c.Flights(); n != 1 {
		t.Errorf("%d loads at once for one key", n)
	}
	old.answer <- failure(ctx.Err())
	if r := <-late; r.value != "new" || r.err != nil {
		t.Errorf("%+v", r)
	}
	idle(t, c)

	// Nor do more go on than refreshes may run.
	c = newCache(t, larder.Options{MaxBytes: 1 << 20, LoadGrace: time.Hour, MaxRefreshes: 2})
	g := newGate()
	var running []context.Context
	for i := range 5 {
		one, leave := context.WithCancel(bg)
		r := goLoad(one, c, fmt.Sprint(i), g.load)
		running = append(running, <-g.called)
		leave()
		<-r
	}
	for i, ctx := range running {
		if ended := ctx.Err() != nil; ended != (i >= 2) {
			t.Errorf("load %d: ended: %v", i, ended)
		}
	}
	for range running {
		g.answer <- value("v")
	}
	idle(t, c)
}

// Callers with less time than the load takes, one after the other, find its value.
func TestLoadImpatientCallers(t *testing.T) {
	for _, obeys := range []bool{true, false} {
		c := newCache(t, larder.Options{MaxBytes: 1 << 20})
		var atOnce, most, calls atomic.Int64
		loader := func(ctx context.Context, _ []byte) (larder.Loaded, error) {
			calls.Add(1)
			most.Store(max(most.Load(), atOnce.Add(1)))
			defer atOnce.Add(-1)
			end := ctx.Done()
			if !obeys {
				end = nil
			}
			select {
			case <-time.After(60 * time.Millisecond):
				return larder.Loaded{Value: []byte("v")}, nil
			case <-end:
				return larder.Loaded{}, ctx.Err()
			}
		}
		wait(t, "an impatient caller to be answered", func() bool {
			ctx, cancel := context.WithTimeout(bg, 5*time.Millisecond)
			defer cancel()
			v, err := c.Load(ctx, nil, []byte("k"), loader)
			return err == nil && string(v) == "v"
		})
		if most.Load() != 1 || calls.Load() != 1 {
			t.Errorf("%d loaders, %d at once", calls.Load(), most.Load())
		}
	}
}

// The latest of the callers' deadlines is the loader's.
func TestLoadDeadlines(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20, LoadGrace: time.Nanosecond})
	g := newGate()
	want := func(ctx context.Context, want time.Time) {
		t.Helper()
		if d, ok := ctx.Deadline(); !ok || !d.Equal(want) {
			t.Errorf("deadline %v, %v; want %v", d, ok, want)
		}
	}
	hour, two := time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
	a, cancelA := context.WithDeadline(bg, hour)
	b, cancelB := context.WithDeadline(bg, two)
	defer cancelA()
	defer cancelB()
	first := goLoad(a, c, "k", g.load)
	ctx := <-g.called
	want(ctx, hour)
	second := goLoad(b, c, "k", g.load)
	waitWaiters(t, c, 2)
	want(ctx, two)
	third := goLoad(bg, c, "k", g.load)
	waitWaiters(t, c, 3)
	if _, ok := ctx.Deadline(); ok {
		t.Error("a deadline, though one who waits has none")
	}
	g.answer <- value("v")
	for _, r := range []<-chan loadResult{first, second, third} {
		if r := <-r; r.value != "v" {
			t.Errorf("%+v", r)
		}
	}

	// It ends at its deadline, and says so; so do contexts made of it.
	soon, cancel := context.WithTimeout(bg, 20*time.Millisecond)
	defer cancel()
	r := goLoad(soon, c, "l", g.load)
	ctx = <-g.called
	child, cancelChild := context.WithCancel(ctx)
	defer cancelChild()
	<-child.Done()
	if ctx.Err() == nil || child.Err() != ctx.Err() {
		t.Errorf("%v, %v", ctx.Err(), child.Err())
	}
	g.answer <- failure(ctx.Err())
	if r := <-r; r.err == nil {
		t.Errorf("%+v", r)
	}
	idle(t, c)
}

func TestLoadTimeout(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20, LoadTimeout: time.Millisecond})
	_, err := c.Load(bg, nil, []byte("k"), func(ctx context.Context, _ []byte) (larder.Loaded, error) {
		<-ctx.Done()
		return larder.Loaded{}, ctx.Err()
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestLoadPanics(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	g := newGate()
	oops := errors.New("oops")
	var results []<-chan loadResult
	for range 20 {
		results = append(results, goLoad(bg, c, "k", g.load))
	}
	waitWaiters(t, c, 20)
	g.answer <- func() (larder.Loaded, error) { panic(oops) }
	for _, r := range results {
		r := <-r
		p, ok := r.panicked.(*larder.PanicError)
		if !ok || p.Value != oops || !errors.Is(p, oops) || !strings.Contains(p.Error(), "TestLoadPanics") {
			t.Fatalf("%+v", r)
		}
	}
	idle(t, c)
	wantLoad(t, c, "k", constant("v"), "v")
}

func TestLoadGoexit(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	g := newGate()
	var results []<-chan loadResult
	for range 20 {
		results = append(results, goLoad(bg, c, "k", g.load))
	}
	waitWaiters(t, c, 20)
	g.answer <- func() (larder.Loaded, error) { runtime.Goexit(); panic("unreachable") }
	for _, r := range results {
		if r := <-r; !r.exited {
			t.Fatalf("%+v", r)
		}
	}
	idle(t, c)
	wantLoad(t, c, "k", constant("v"), "v")
}

// A panic that nobody waits for doesn't end the program.
func TestLoadPanicsUnheard(t *testing.T) {
	var logged bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
	defer slog.SetDefault(before)
	for _, test := range []struct {
		value any
		want  string
	}{{"nobody hears", "nobody hears"}, {http.ErrAbortHandler, ""}} {
		logged.Reset()
		c := newCache(t, larder.Options{MaxBytes: 1 << 20})
		mustSet(t, c, "k", []byte("v"))
		c.MarkStale([]byte("k"))
		wantLoad(t, c, "k", func(context.Context, []byte) (larder.Loaded, error) { panic(test.value) }, "v")
		idle(t, c)
		c.Close() // returns when it has been logged
		if got := logged.String(); (test.want == "") != (got == "") || !strings.Contains(got, test.want) {
			t.Errorf("%v: logged %q", test.value, got)
		}
	}

	// Not even of one that all have left.
	told := make(chan error, 1)
	c := newCache(t, larder.Options{MaxBytes: 1 << 20, OnRefreshError: func(_ []byte, err error) { told <- err }})
	g := newGate()
	ctx, leave := context.WithCancel(bg)
	r := goLoad(ctx, c, "k", g.load)
	<-g.called
	leave()
	<-r
	g.answer <- func() (larder.Loaded, error) { panic("left") }
	var p *larder.PanicError
	if err := <-told; !errors.As(err, &p) || p.Value != "left" {
		t.Error(err)
	}
	idle(t, c)
}

// net/http knows its panic by identity.
func TestLoadAbortHandler(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	abort := func(context.Context, []byte) (larder.Loaded, error) { panic(http.ErrAbortHandler) }
	if r := <-goLoad(bg, c, "k", abort); r.panicked != http.ErrAbortHandler {
		t.Errorf("%+v", r)
	}
	func() {
		defer func() {
			if p := recover(); p != http.ErrAbortHandler {
				t.Errorf("%v", p)
			}
		}()
		_ = c.LoadMany(bg, batchOf("k"), func(context.Context, [][]byte) ([]larder.Loaded, error) { panic(http.ErrAbortHandler) })
	}()
	idle(t, c)
}

// Whatever the hook does, nothing is left behind.
func TestHookInterrupts(t *testing.T) {
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	defer slog.SetDefault(before)
	for name, interrupt := range map[string]func(){"Goexit": runtime.Goexit, "panic": func() { panic("hook") }} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t, larder.Options{MaxBytes: 1 << 20, MaxRefreshes: 1, OnRefreshError: func([]byte, error) { interrupt() }})
			for _, key := range []string{"a", "b"} {
				mustSet(t, c, key, []byte("old"))
				c.MarkStale([]byte(key))
				g := newGate()
				wantLoad(t, c, key, g.load, "old")
				<-g.called
				g.answer <- failure(errors.New("oops"))
				idle(t, c)
			}
			c.Close()
		})
	}
}

// What changes the key during a load wins.
func TestLoadSuperseded(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(c *larder.Cache)
		after  string // the value; "": none
	}{
		{"Set", func(c *larder.Cache) { _ = c.SetString("k", []byte("newer")) }, "newer"},
		{"SetWith", func(c *larder.Cache) { _ = c.SetWith([]byte("k"), []byte("newer"), larder.SetOptions{}) }, "newer"},
		{"SetMany", func(c *larder.Cache) {
			var b larder.Batch
			b.AddEntry([]byte("k"), []byte("newer"))
			_ = c.SetMany(&b)
		}, "newer"},
		{"Add", func(c *larder.Cache) { _, _ = c.Add([]byte("k"), []byte("newer"), larder.SetOptions{}) }, "newer"},
		{"Increment", func(c *larder.Cache) { _, _ = c.Increment([]byte("k"), 7, larder.SetOptions{}) }, "7"},
		{"Delete", func(c *larder.Cache) { c.Delete([]byte("k")) }, ""},
		{"DeleteMany", func(c *larder.Cache) {
			var b larder.Batch
			b.AddString("k")
			c.DeleteMany(&b)
		}, ""},
		{"Set and Delete", func(c *larder.Cache) { _ = c.SetString("k", []byte("x")); c.Delete([]byte("k")) }, ""},
		{"Clear", func(c *larder.Cache) { c.Clear() }, ""},
		{"InvalidateTag", func(c *larder.Cache) { _ = c.InvalidateTag("tag") }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCache(t, larder.Options{MaxBytes: 1 << 20})
			tagged := func(s string) func() (larder.Loaded, error) {
				return func() (larder.Loaded, error) {
					return larder.Loaded{Value: []byte(s), SetOptions: larder.SetOptions{Tags: []string{"other", "tag"}}}, nil
				}
			}
			old := newGate()
			before := []<-chan loadResult{goLoad(bg, c, "k", old.load), goLoad(bg, c, "k", old.load)}
			<-old.called
			waitWaiters(t, c, 2)
			test.change(c)

			// Who comes now gets nothing of the old load.
			if test.after != "" {
				wantLoad(t, c, "k", never(t), test.after)
				old.answer <- tagged("old")
			} else if test.name == "InvalidateTag" {
				// That the value has the tag turns out at the end.
				newer := newGate()
				after := goLoad(bg, c, "k", newer.load)
				waitWaiters(t, c, 3)
				old.answer <- tagged("old")
				<-newer.called
				newer.answer <- tagged("new")
				if r := <-after; r.value != "new" || r.err != nil {
					t.Errorf("after: %+v", r)
				}
				test.after = "new"
			} else {
				newer := newGate()
				after := goLoad(bg, c, "k", newer.load)
				<-newer.called
				old.answer <- tagged("old")
				for old.calls.Load() != 1 || c.Flights() > 1 {
					runtime.Gosched()
				}
				wantMiss(t, c, "k")
				newer.answer <- tagged("new")
				if r := <-after; r.value != "new" || r.err != nil {
					t.Errorf("after: %+v", r)
				}
				test.after = "new"
			}
			// Those who came before do.
			for _, r := range before {
				if r := <-r; r.value != "old" || r.err != nil {
					t.Errorf("before: %+v", r)
				}
			}
			idle(t, c)
			wantValue(t, c, "k", []byte(test.after))
		})
	}
}

func TestLoadAbsent(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	absent := func(context.Context, []byte) (larder.Loaded, error) {
		return larder.Loaded{Absent: true, SetOptions: larder.SetOptions{TTL: 50 * time.Millisecond, Tags: []string{"tag"}}}, nil
	}
	for _, loader := range []larder.Loader{absent, never(t), never(t)} {
		if v, err := c.Load(bg, []byte("dst"), []byte("k"), loader); err != larder.ErrNotFound || string(v) != "dst" {
			t.Errorf("%q, %v", v, err)
		}
	}
	wantMiss(t, c, "k")
	if _, info, ok := c.GetWith(nil, []byte("k"), false); !ok || info.State != larder.Absent {
		t.Errorf("%+v, %v", info, ok)
	}
	// It is forgotten in time.
	wait(t, "the absence to expire", func() bool {
		v, err := c.Load(bg, nil, []byte("k"), constant("there"))
		return err == nil && string(v) == "there"
	})

	long := func(context.Context, []byte) (larder.Loaded, error) {
		return larder.Loaded{Absent: true, SetOptions: larder.SetOptions{Tags: []string{"tag"}}}, nil
	}
	// Or when it is deleted, invalidated, or there is a value.
	for i, end := range []func(){
		func() { c.Delete([]byte("l")) },
		func() { _ = c.InvalidateTag("tag") },
		func() {
			if added, err := c.Add([]byte("l"), []byte("v"), larder.SetOptions{}); !added || err != nil {
				t.Errorf("add: %v, %v", added, err)
			}
		},
	} {
		c.Delete([]byte("l"))
		if _, err := c.Load(bg, nil, []byte("l"), long); err != larder.ErrNotFound {
			t.Error(i, err)
		}
		end()
		wantLoad(t, c, "l", constant("v"), "v")
	}
}

func TestLoadStale(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	for i, makeStale := range []func(key string){
		func(key string) {
			_ = c.SetWith([]byte(key), []byte("old"), larder.SetOptions{StaleAfter: time.Millisecond})
			wait(t, "the entry to be stale", func() bool {
				_, info, _ := c.GetWith(nil, []byte(key), false)
				return info.State == larder.Stale
			})
		},
		func(key string) {
			mustSet(t, c, key, []byte("old"))
			if !c.MarkStale([]byte(key)) {
				t.Error("no such entry")
			}
		},
		func(key string) {
			_ = c.SetWith([]byte(key), []byte("old"), larder.SetOptions{Tags: []string{"tag"}})
			if err := c.InvalidateTagSoft("tag"); err != nil {
				t.Error(err)
			}
		},
	} {
		key := fmt.Sprint("key ", i)
		makeStale(key)
		wantValue(t, c, key, []byte("old")) // plain gets don't mind
		g := newGate()
		for range 100 {
			wantLoad(t, c, key, g.load, "old")
		}
		<-g.called
		g.answer <- value("new")
		idle(t, c)
		wantLoad(t, c, key, never(t), "new")
		if n := g.calls.Load(); n != 1 {
			t.Errorf("%d refreshes", n)
		}
	}
}

// A refresh is for the key, not for the caller: his context doesn't end it.
func TestLoadRefreshOutlivesCaller(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	mustSet(t, c, "k", []byte("old"))
	c.MarkStale([]byte("k"))
	g := newGate()
	ctx, cancel := context.WithCancel(bg)
	if r := <-goLoad(ctx, c, "k", g.load); r.value != "old" {
		t.Errorf("%+v", r)
	}
	cancel()
	in := <-g.called
	if _, bounded := in.Deadline(); in.Err() != nil || !bounded {
		t.Error(in.Err(), bounded)
	}
	// Nor those who join it, and leave.
	c2, leave := context.WithCancel(bg)
	if !c.MarkStale([]byte("k")) {
		t.Error("gone")
	}
	wantLoad(t, c, "k", never(t), "old") // has the lease, and finds that somebody loads
	leave()
	_ = c2
	g.answer <- value("new")
	idle(t, c)
	wantLoad(t, c, "k", never(t), "new")
}

// Who finds nothing waits for a refresh, and doesn't end it by leaving.
func TestLoadJoinsRefresh(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	if err := c.SetWith([]byte("k"), []byte("old"), larder.SetOptions{TTL: 200 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	c.MarkStale([]byte("k"))
	g := newGate()
	wantLoad(t, c, "k", g.load, "old")
	in := <-g.called
	wait(t, "the old value to expire", func() bool { _, ok := c.GetString(nil, "k"); return !ok })
	ctx, leave := context.WithCancel(bg)
	a := goLoad(ctx, c, "k", never(t))
	b := goLoad(bg, c, "k", never(t))
	waitWaiters(t, c, 2)
	leave()
	if r := <-a; !errors.Is(r.err, context.Canceled) {
		t.Errorf("%+v", r)
	}
	if in.Err() != nil {
		t.Error(in.Err())
	}
	g.answer <- value("new")
	if r := <-b; r.value != "new" || r.err != nil {
		t.Errorf("%+v", r)
	}
}

func TestLoadRefreshFails(t *testing.T) {
	type told struct {
		key string
		err error
	}
	heard := make(chan told, 10)
	c := newCache(t, larder.Options{MaxBytes: 1 << 20, OnRefreshError: func(key []byte, err error) {
		heard <- told{string(key), err}
	}})
	oops := errors.New("oops")
	for i, test := range []struct {
		answer func() (larder.Loaded, error)
		is     func(err error) bool
	}{
		{failure(oops), func(err error) bool { return errors.Is(err, oops) }},
		{func() (larder.Loaded, error) { panic(oops) }, func(err error) bool {
			var p *larder.PanicError
			return errors.As(err, &p) && p.Value == oops
		}},
		{func() (larder.Loaded, error) { runtime.Goexit(); return larder.Loaded{}, nil }, func(err error) bool { return err != nil }},
		{func() (larder.Loaded, error) { return larder.Loaded{SetOptions: larder.SetOptions{TTL: -7}}, nil }, func(err error) bool {
			return errors.Is(err, larder.ErrInvalidTTL)
		}},
	} {
		key := fmt.Sprint("key ", i)
		mustSet(t, c, key, []byte("old"))
		c.MarkStale([]byte(key))
		g := newGate()
		wantLoad(t, c, key, g.load, "old")
		<-g.called
		g.answer <- test.answer
		if h := <-heard; h.key != key || !test.is(h.err) {
			t.Errorf("%d: %+v", i, h)
		}
		idle(t, c)
		// The value stays, and for the time of the lease it isn't tried again.
		wantLoad(t, c, key, never(t), "old")
		wantValue(t, c, key, []byte("old"))
		// A new reason to refresh it is another matter.
		c.MarkStale([]byte(key))
		wantLoad(t, c, key, constant("new"), "old")
		wait(t, "the refresh", func() bool { v, _ := c.GetString(nil, key); return string(v) == "new" })
	}
}

func TestMaxRefreshes(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20, MaxRefreshes: 3})
	g := newGate()
	for i := range 10 {
		key := fmt.Sprint(i)
		mustSet(t, c, key, []byte("old"))
		c.MarkStale([]byte(key))
		wantLoad(t, c, key, g.load, "old")
	}
	for range 3 {
		<-g.called
	}
	if n := c.Refreshes(); n != 3 {
		t.Errorf("%d refreshes", n)
	}
	for range 3 {
		g.answer <- value("new")
	}
	idle(t, c)
	for i := range 10 {
		want := "old"
		if i < 3 {
			want = "new"
		}
		wantValue(t, c, fmt.Sprint(i), []byte(want))
	}
	if n := g.calls.Load(); n != 3 {
		t.Errorf("%d calls", n)
	}
	// There is room again, and nobody's lease was used up in vain.
	wantLoad(t, c, "9", constant("new"), "old")
	wait(t, "the refresh", func() bool { v, _ := c.GetString(nil, "9"); return string(v) == "new" })
}

func TestStaleIfError(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20, StaleIfError: time.Hour})
	oops := errors.New("oops")
	stale := func(key string, ttl time.Duration) {
		if err := c.SetWith([]byte(key), []byte("old"), larder.SetOptions{TTL: ttl}); err != nil {
			t.Fatal(err)
		}
		c.MarkStale([]byte(key))
	}
	// Long before it expires, a stale value is returned at once.
	stale("early", 2*time.Hour)
	g := newGate()
	wantLoad(t, c, "early", g.load, "old")
	g.answer <- failure(oops)
	idle(t, c)

	// In its last hour, not before the loader has failed;
	stale("late", 30*time.Minute)
	g = newGate()
	a := goLoad(bg, c, "late", g.load)
	<-g.called
	b := goLoad(bg, c, "late", never(t)) // without the lease, it joins
	waitWaiters(t, c, 2)
	g.answer <- failure(oops)
	for _, r := range []<-chan loadResult{a, b} {
		if r := <-r; r.value != "old" || r.err != nil {
			t.Errorf("%+v", r)
		}
	}
	// and then not again for a while;
	wantLoad(t, c, "late", never(t), "old")
	// or before the caller's patience ends;
	c.MarkStale([]byte("late"))
	ctx, leave := context.WithCancel(bg)
	a = goLoad(ctx, c, "late", g.load)
	<-g.called
	leave()
	if r := <-a; r.value != "old" || r.err != nil {
		t.Errorf("%+v", r)
	}
	g.answer <- failure(oops)
	idle(t, c)
	// and not at all if the loader succeeds.
	c.MarkStale([]byte("late"))
	wantLoad(t, c, "late", constant("new"), "new")
	wantValue(t, c, "late", []byte("new"))

	// What is deleted meanwhile is not returned.
	stale("late", 30*time.Minute)
	a = goLoad(bg, c, "late", g.load)
	<-g.called
	c.Delete([]byte("late"))
	g.answer <- failure(oops)
	if r := <-a; !errors.Is(r.err, oops) {
		t.Errorf("%+v", r)
	}
	idle(t, c)
}

func TestLoadClosed(t *testing.T) {
	var zero larder.Cache
	if _, err := zero.Load(bg, nil, nil, never(t)); err != larder.ErrClosed {
		t.Error(err)
	}
	if err := zero.Close(); err != nil {
		t.Error(err)
	}
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	g := newGate()
	a := goLoad(bg, c, "k", g.load)
	ctx := <-g.called
	mustSet(t, c, "l", []byte("old"))
	c.MarkStale([]byte("l"))
	wantLoad(t, c, "l", g.load, "old")
	background := <-g.called

	closed := make(chan struct{})
	go func() { c.Close(); close(closed) }()
	if r := <-a; r.err != larder.ErrClosed {
		t.Errorf("%+v", r)
	}
	for _, ctx := range []context.Context{ctx, background} {
		<-ctx.Done()
		if cause := context.Cause(ctx); cause != larder.ErrClosed {
			t.Error(cause)
		}
	}
	g.answer <- value("v")
	select {
	case <-closed:
		t.Error("closed while a loader runs")
	default:
	}
	g.answer <- value("v")
	<-closed
	idle(t, c)
	if _, err := c.Load(bg, nil, []byte("k"), never(t)); err != larder.ErrClosed {
		t.Error(err)
	}
	if err := c.LoadMany(bg, batchOf("k"), nil); err != larder.ErrClosed {
		t.Error(err)
	}
}

// Close may be called from where it can't wait.
func TestCloseInsideLoader(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	r := <-goLoad(bg, c, "k", func(context.Context, []byte) (larder.Loaded, error) {
		defer func() { c.Close() }()
		return larder.Loaded{Value: []byte("v")}, c.Close()
	})
	if r.err != larder.ErrClosed && r.value != "v" {
		t.Errorf("%+v", r)
	}
	c.Close()

	var d *larder.Cache
	told := make(chan error, 1)
	d = newCache(t, larder.Options{MaxBytes: 1 << 20, OnRefreshError: func([]byte, error) { told <- d.Close() }})
	mustSet(t, d, "k", []byte("v"))
	d.MarkStale([]byte("k"))
	wantLoad(t, d, "k", func(context.Context, []byte) (larder.Loaded, error) { return larder.Loaded{}, errors.New("oops") }, "v")
	if err := <-told; err != nil {
		t.Error(err)
	}
}

// Everything at once, for the race detector and for what is left behind.
func TestLoadTurmoil(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20, MaxRefreshes: 2, LoadTimeout: time.Second, StaleIfError: time.Millisecond})
	var all sync.WaitGroup
	for g := range 16 {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := range 1000 {
				key := fmt.Append(nil, (i*7+g)%20)
				ctx, cancel := context.WithCancel(bg)
				switch (i + g) % 10 {
				case 0:
					c.Delete(key)
				case 1:
					_ = c.SetWith(key, key, larder.SetOptions{StaleAfter: time.Millisecond, TTL: 3 * time.Millisecond})
				case 2:
					c.MarkStale(key)
				case 3:
					_ = c.InvalidateTag("tag")
				case 4:
					cancel()
				case 5:
					_ = c.LoadMany(ctx, batchOf(string(key), "1", "2", "3"), func(_ context.Context, keys [][]byte) ([]larder.Loaded, error) {
						l := make([]larder.Loaded, len(keys))
						for i := range l {
							l[i].Value = keys[i]
						}
						return l, nil
					})
				}
				v, err := c.Load(ctx, nil, key, func(_ context.Context, key []byte) (larder.Loaded, error) {
					runtime.Gosched()
					if i%7 == 0 {
						return larder.Loaded{}, errors.New("oops")
					}
					return larder.Loaded{Value: key, SetOptions: larder.SetOptions{Tags: []string{"tag"}, StaleAfter: time.Millisecond, TTL: 3 * time.Millisecond}}, nil
				})
				cancel()
				if err == nil && string(v) != string(key) {
					t.Errorf("%q: %q", key, v)
				}
			}
		}()
	}
	all.Wait()
	idle(t, c)
}

func batchOf(keys ...string) *larder.Batch {
	var b larder.Batch
	for _, key := range keys {
		b.AddString(key)
	}
	return &b
}

// After a defect the core closes the cache: Load calls the loader then, one for a key.
func TestLoadAfterDefect(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	mustSet(t, c, "k", []byte("old"))
	c.Break()
	wantLoad(t, c, "k", constant("v"), "v")
	wantLoad(t, c, "k", constant("w"), "w")
	g := newGate()
	a := goLoad(bg, c, "l", g.load)
	<-g.called
	b := goLoad(bg, c, "l", never(t))
	waitWaiters(t, c, 2)
	g.answer <- value("one")
	for _, r := range []<-chan loadResult{a, b} {
		if r := <-r; r.value != "one" || r.err != nil {
			t.Errorf("%+v", r)
		}
	}
	var calls [][]string
	batch := batchOf("a", "b")
	if err := c.LoadMany(bg, batch, bulk(&calls)); err != nil {
		t.Error(err)
	}
	wantBatch(t, batch, "A", "B")
	idle(t, c)
	// Closed by the program is another matter.
	c.Close()
	if _, err := c.Load(bg, nil, []byte("k"), never(t)); err != larder.ErrClosed {
		t.Error(err)
	}
}
