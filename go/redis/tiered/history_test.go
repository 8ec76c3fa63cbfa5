package tiered_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	larder "github.com/larder-cache/larder/go"
	"github.com/larder-cache/larder/go/redis/fleet"
	fleetgoredis "github.com/larder-cache/larder/go/redis/fleet/goredis"
	fleetrueidis "github.com/larder-cache/larder/go/redis/fleet/rueidis"
	"github.com/larder-cache/larder/go/redis/internal/histories"
	"github.com/larder-cache/larder/go/redis/internal/servertest"
	"github.com/larder-cache/larder/go/redis/tiered"
)

// Histories: this test's program is started again three times, as three processes that read
// and write the same keys through a cache, while everything that can go wrong does. The
// origin is a second server, which is left in peace: a counter for each key.

// plan is what a process is told, as JSON in its environment.
type plan struct {
	Process      int
	Subject      string // tiered/go-redis, tiered/rueidis, or a library's own cache
	Server       string
	Origin       string
	Out          string
	For          time.Duration
	MaxStaleness time.Duration
	Strict       bool
	Tags         bool
	OneWriter    bool // process 0: the others learn of all writes by being told
	Faults       tiered.Faults

	Callers int // of one cold key, at once; in place of a history
	Hang    bool
}

const planVariable = "LARDER_HISTORY"

func TestMain(m *testing.M) {
	if text := os.Getenv(planVariable); text != "" {
		var p plan
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			panic(err)
		}
		if p.Callers > 0 {
			p.cold()
		} else {
			p.run()
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const (
	historyKeys = 6
	clients     = 3 // of a process, at once
)

// subject is a cache whose histories are recorded.
type subject struct {
	read  func(ctx context.Context, key int) (int64, error)
	write func(ctx context.Context, key int) (int64, error)
}

func (p *plan) run() {
	origin := redis.NewClient(&redis.Options{Addr: p.Origin})
	s := p.subject(origin)
	file, err := os.Create(p.Out)
	if err != nil {
		panic(err)
	}
	out := bufio.NewWriter(file)
	var mu sync.Mutex
	enc := json.NewEncoder(out)
	end := time.Now().Add(p.For)
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for time.Now().Before(end) {
				key := rand.IntN(historyKeys)
				ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
				op := histories.Op{Process: p.Process, Key: key, Begin: time.Now().UnixNano()}
				var err error
				if op.Write = rand.IntN(12) == 0 && (!p.OneWriter || p.Process == 0); op.Write {
					op.Value, err = s.write(ctx, key)
				} else {
					op.Value, err = s.read(ctx, key)
				}
				cancel()
				op.End = time.Now().UnixNano()
				if err == nil {
					mu.Lock()
					enc.Encode(op)
					mu.Unlock()
				}
				if op.Write && err == nil { // read one's own write
					continue
				}
				time.Sleep(rand.N(time.Millisecond))
			}
		})
	}
	all.Wait()
	out.Flush()
	file.Close()
}

func (p *plan) subject(origin *redis.Client) subject {
	switch p.Subject {
	case "go-redis":
		return goRedisOwn(redis.NewClient(&redis.Options{
			Addr: p.Server, Protocol: 3, ClientSideCacheConfig: &redis.ClientSideCacheConfig{},
		}), origin)
	case "rueidis":
		return rueidisOwn(p.Server, origin)
	}
	return p.tiered(origin)
}

func (p *plan) open() *tiered.Cache {
	var server fleet.Server = fleetgoredis.New(&redis.Options{Addr: p.Server})
	if p.Subject == "tiered/rueidis" {
		var err error
		server, err = fleetrueidis.New(rueidis.ClientOption{
			InitAddress: []string{p.Server}, ForceSingleClient: true,
		})
		if err != nil {
			panic(err)
		}
	}
	near, err := larder.New(larder.Options{MaxBytes: 4 << 20})
	if err != nil {
		panic(err)
	}
	c, err := tiered.New(near, server, tiered.Options{
		Fleet: fleet.Options{
			Name: "history", MaxStaleness: p.MaxStaleness, Timeout: 100 * time.Millisecond,
			Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		},
		Lease: 200 * time.Millisecond, Strict: p.Strict, Faults: p.Faults,
	})
	if err != nil {
		panic(err)
	}
	return c
}

func counter(key int) string { return "origin:" + strconv.Itoa(key) }

func (p *plan) tiered(origin *redis.Client) subject {
	c := p.open()
	source := c.From(func(ctx context.Context, key []byte) (larder.Loaded, error) {
		n, err := origin.Get(ctx, "origin:"+string(key)).Result()
		if err == redis.Nil {
			n, err = "0", nil
		}
		time.Sleep(rand.N(6 * time.Millisecond)) // what happens meanwhile overtakes it
		l := larder.Loaded{Value: []byte(n)}
		if p.Tags {
			l.Tags = []string{"tag " + string(key)}
		}
		return l, err
	})
	return subject{
		read: func(ctx context.Context, key int) (int64, error) {
			value, err := source.Load(ctx, nil, strconv.AppendInt(nil, int64(key), 10))
			if err != nil {
				return 0, err
			}
			return strconv.ParseInt(string(value), 10, 64)
		},
		write: func(ctx context.Context, key int) (int64, error) {
			n, err := origin.Incr(ctx, counter(key)).Result()
			if err != nil {
				return 0, err
			}
			if p.Tags {
				return n, c.InvalidateTag(ctx, "tag "+strconv.Itoa(key))
			}
			return n, c.Delete(ctx, strconv.AppendInt(nil, int64(key), 10))
		},
	}
}

// What libraries cache by themselves: the value on the server is the truth, and a write sets it.
// Only writes of a key's greatest number count, as only they are to be seen.
func writeTo(origin *redis.Client, set func(ctx context.Context, key int, n int64) error) func(context.Context, int) (int64, error) {
	var mu sync.Mutex
	return func(ctx context.Context, key int) (int64, error) {
		mu.Lock()
		defer mu.Unlock()
		n, err := origin.Incr(ctx, counter(key)).Result()
		if err != nil {
			return 0, err
		}
		return n, set(ctx, key, n)
	}
}

func goRedisOwn(client, origin *redis.Client) subject {
	return subject{
		read: func(ctx context.Context, key int) (int64, error) {
			return client.Get(ctx, strconv.Itoa(key)).Int64()
		},
		write: writeTo(origin, func(ctx context.Context, key int, n int64) error {
			return client.Set(ctx, strconv.Itoa(key), n, 0).Err()
		}),
	}
}

func rueidisOwn(addr string, origin *redis.Client) subject {
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, ForceSingleClient: true})
	if err != nil {
		panic(err)
	}
	return subject{
		read: func(ctx context.Context, key int) (int64, error) {
			get := client.B().Get().Key(strconv.Itoa(key)).Cache()
			return client.DoCache(ctx, get, time.Hour).AsInt64()
		},
		write: writeTo(origin, func(ctx context.Context, key int, n int64) error {
			set := client.B().Set().Key(strconv.Itoa(key)).Value(strconv.FormatInt(n, 10)).Build()
			return client.Do(ctx, set).Error()
		}),
	}
}

// trouble is what happens during a history.
type trouble struct {
	server  *servertest.Server
	proxies []*histories.Proxy
	workers []*exec.Cmd
	wait    time.Duration // longer than MaxStaleness
}

// partition cuts one process off for longer than it may go on.
func (x *trouble) partition(i int) {
	x.proxies[i].Block(true)
	time.Sleep(x.wait)
	x.proxies[i].Block(false)
}

// stop stops one process for as long, wherever it is.
func (x *trouble) stop(i int) {
	x.workers[i].Process.Signal(syscall.SIGSTOP)
	time.Sleep(x.wait)
	x.workers[i].Process.Signal(syscall.SIGCONT)
}

var troubles = map[string]func(x *trouble){
	"partition":   func(x *trouble) { x.partition(rand.IntN(3)) },
	"stop":        func(x *trouble) { x.stop(rand.IntN(3)) },
	"client kill": func(x *trouble) { x.server.TryDo("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") },
	"flush":       func(x *trouble) { x.server.TryDo("FLUSHALL") },
	"pause": func(x *trouble) {
		x.server.Pause()
		time.Sleep(x.wait / 2)
		x.server.Resume()
	},
	"overflow": func(x *trouble) { x.server.TryDo("CONFIG", "SET", "tracking-table-max-keys", "1") },
	"kill":     func(x *trouble) { x.server.Relaunch() },
}

// record runs a history and returns it.
func record(t *testing.T, p plan, happenings []string) []histories.Op {
	t.Helper()
	server, origin := servertest.Any(t), servertest.Any(t)
	p.Origin = origin.Addr
	x := &trouble{server: server, wait: p.MaxStaleness * 3 / 2}
	folder := t.TempDir()
	var outs []string
	for i := range 3 {
		proxy, err := histories.NewProxy(server.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer proxy.Close()
		x.proxies = append(x.proxies, proxy)
		own := p
		own.Process, own.Server, own.Out = i, proxy.Addr(), filepath.Join(folder, strconv.Itoa(i))
		text, err := json.Marshal(own)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), planVariable+"="+string(text))
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		outs = append(outs, own.Out)
		x.workers = append(x.workers, cmd)
	}
	end := time.Now().Add(p.For - x.wait)
	for i := 0; len(happenings) > 0 && time.Now().Before(end); i++ {
		time.Sleep(p.MaxStaleness / 2)
		troubles[happenings[i%len(happenings)]](x)
	}
	for _, w := range x.workers {
		if err := w.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	return read(t, outs)
}

func read(t *testing.T, outs []string) (ops []histories.Op) {
	t.Helper()
	for _, out := range outs {
		file, err := os.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		for dec := json.NewDecoder(file); ; {
			var op histories.Op
			if err := dec.Decode(&op); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			ops = append(ops, op)
		}
	}
	return ops
}

// historyTime is how long a history takes: LARDER_FLEET_CHECK makes it longer.
func historyTime(t *testing.T, short time.Duration) time.Duration {
	if text := os.Getenv("LARDER_FLEET_CHECK"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatalf("LARDER_FLEET_CHECK: %v", err)
		}
		return d
	}
	return short
}

// slack is what clocks and scheduling may add.
const slack = 5 * time.Millisecond

func TestHistories(t *testing.T) {
	everything := []string{"partition", "client kill", "flush", "stop", "overflow", "kill", "pause"}
	for _, c := range []struct {
		name       string
		subject    string
		tags       bool
		strict     bool
		happenings []string
	}{
		{"go-redis", "tiered/go-redis", false, false, everything},
		{"rueidis, tags", "tiered/rueidis", true, false, everything},
		{"strict", "tiered/go-redis", true, true, everything},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := plan{
				Subject: c.subject, Tags: c.tags, Strict: c.strict, For: historyTime(t, 9*time.Second),
				MaxStaleness: 500 * time.Millisecond,
			}
			ops := record(t, p, c.happenings)
			rules := histories.Rules{Staleness: p.MaxStaleness + slack, OwnWrites: true}
			if c.strict {
				rules.Staleness = slack
			}
			report(t, ops, histories.Check(ops, rules))
			if broken := histories.Check(ops, rules); len(broken) > 0 {
				t.Errorf("%d reads broke the rules; the first: %v", len(broken), broken[0])
			}
		})
	}
}

func report(t *testing.T, ops []histories.Op, broken []histories.Violation) {
	writes, kinds := 0, map[string]int{}
	for _, op := range ops {
		if op.Write {
			writes++
		}
	}
	for _, v := range broken {
		kinds[v.Rule]++
	}
	t.Logf("%s: %d reads, %d writes, broken: %v", t.Name(), len(ops)-writes, writes, kinds)
	if writes < 10 || len(ops) < 100 {
		t.Errorf("a history of %d operations, %d of them writes, shows nothing", len(ops), writes)
	}
}

// What the checker must see: faults planted in ours, and those that libraries' own caches have.
func TestHistoriesShowFaults(t *testing.T) {
	for _, c := range []struct {
		name       string
		subject    string
		tags       bool
		faults     tiered.Faults
		happenings []string
	}{
		{"go-redis' own cache", "go-redis", false, tiered.Faults{}, []string{"partition"}},
		{"rueidis' own cache", "rueidis", false, tiered.Faults{}, []string{"partition"}},
		{"orders not carried out", "", false, tiered.Faults{Fleet: fleet.Faults{NoApply: true}}, nil},
		{"trusted for ever", "", false, tiered.Faults{Fleet: fleet.Faults{NoDeadline: true}}, []string{"partition"}},
		{"not asked whether trusted", "", false, tiered.Faults{NoTrust: true}, []string{"stop"}},
		{"epoch ignored", "", false, tiered.Faults{Fleet: fleet.Faults{NoEpoch: true}}, []string{"flush"}},
		{"no fence", "", false, tiered.Faults{NoFence: true}, nil},
		{"tags ignored on the server", "", true, tiered.Faults{NoTags: true}, nil},
		{"own write kept", "", false, tiered.Faults{KeepOwn: true}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := plan{
				Subject: c.subject, Tags: c.tags, Faults: c.faults, For: 4 * time.Second,
				OneWriter:    c.faults.Fleet != fleet.Faults{} || c.faults.NoTrust,
				MaxStaleness: 500 * time.Millisecond,
			}
			if p.Subject == "" {
				p.Subject = "tiered/go-redis"
			}
			var broken []histories.Violation
			for range 3 { // by chance it may not show
				ops := record(t, p, c.happenings)
				broken = histories.Check(ops, histories.Rules{Staleness: p.MaxStaleness + slack, OwnWrites: true})
				report(t, ops, broken)
				if len(broken) > 0 {
					return
				}
			}
			t.Error("the fault doesn't show in the history")
		})
	}
}
