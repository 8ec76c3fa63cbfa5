package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	larder "github.com/larder-cache/larder/go"
	"github.com/larder-cache/larder/go/redis/goredisx"
	"github.com/larder-cache/larder/go/redis/internal/servertest"
	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
)

// What a million cached entries take, keys of 12 bytes and values of 100, each cache in a process
// of its own. go-redis' caches are filled by their interface, as the client does it; rueidis' by
// the client, since its own can't be had otherwise.

const memoryEntries = 1_000_000

// taken is what a child tells.
type taken struct {
	Resident, Heap, Objects int64 // more than before
	Entries                 int
}

func memory() error {
	server, err := servertest.Launch(servertest.Valkey)
	if err != nil {
		return err
	}
	defer server.Close()
	if err := fill(server.Addr); err != nil {
		return err
	}
	fmt.Printf("\n%d entries of a key of 12 bytes and a value of 100: resident bytes and heap objects"+
		" of an entry, resident of the rival\n", memoryEntries)
	for _, library := range []string{"go-redis", "rueidis"} {
		var own float64
		for _, kind := range []string{"own", "larder"} {
			got, err := child(library + " " + kind + " " + server.Addr)
			if err != nil {
				return err
			}
			resident := float64(got.Resident) / float64(got.Entries)
			line := fmt.Sprintf("  %-36s %7.0f %8.4f", library+", "+kind, resident,
				float64(got.Objects)/float64(got.Entries))
			if kind == "own" {
				own = resident
			} else {
				line += fmt.Sprintf("   %.2f", resident/own)
			}
			fmt.Println(line)
		}
	}
	return nil
}

// fill has the server hold all keys.
func fill(addr string) error {
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer func() { _ = client.Close() }()
	const batch = 10_000
	for from := 0; from < memoryEntries; from += batch {
		pairs := make([]any, 0, 2*batch)
		for i := range batch {
			pairs = append(pairs, keyOf(from+i), memoryValue(from+i))
		}
		if err := client.MSet(context.Background(), pairs...).Err(); err != nil {
			return err
		}
	}
	return nil
}

func memoryValue(i int) string {
	text := strconv.Itoa(i)
	return text + strings.Repeat("v", 100-len(text))
}

func child(what string) (got taken, err error) {
	self, err := os.Executable()
	if err != nil {
		return got, err
	}
	command := exec.Command(self, "-child", what)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return got, err
	}
	return got, json.Unmarshal(out, &got)
}

// measureChild fills a cache and tells what that took.
func measureChild(what string) error {
	words := strings.Fields(what)
	library, kind, addr := words[0], words[1], words[2]
	var into func() int
	switch library + " " + kind {
	case "go-redis own":
		into = byInterface(redis.NewLocalCache(redis.CacheConfig{MaxMemoryBytes: budget}))
	case "go-redis larder":
		into = byInterface(must(goredisx.New(newLarder(), goredisx.Options{MaxAge: larder.NoExpiry})))
	case "rueidis own":
		own, _, _ := ofRueidis(addr)
		into = byClient(own)
	case "rueidis larder":
		_, ours, _ := ofRueidis(addr)
		into = byClient(ours)
	}
	heap, objects, resident := footprint()
	entries := into()
	heapAfter, objectsAfter, residentAfter := footprint()
	runtime.KeepAlive(into)
	return json.NewEncoder(os.Stdout).Encode(taken{residentAfter - resident, heapAfter - heap,
		objectsAfter - objects, entries})
}

func byInterface(c redis.Cache) func() int {
	return func() int {
		for i := range memoryEntries {
			key, value := keyOf(i), memoryValue(i)
			name := nameOf(key)
			token, _ := c.Reserve(name, []string{scope + key})
			if !c.FulfillOwned(name, token, uint64(i%10+1), []byte("$100\r\n"+value+"\r\n")) {
				panic("not stored: " + key)
			}
		}
		runtime.KeepAlive(c)
		return memoryEntries
	}
}

func byClient(client rueidis.Client) func() int {
	return func() int {
		const batch = 1000
		for round := range 2 {
			hits := 0
			for from := 0; from < memoryEntries; from += batch {
				commands := make([]rueidis.CacheableTTL, batch)
				for i := range commands {
					commands[i] = rueidis.CT(client.B().Get().Key(keyOf(from+i)).Cache(), time.Hour)
				}
				for _, reply := range client.DoMultiCache(context.Background(), commands...) {
					if reply.IsCacheHit() {
						hits++
					}
				}
			}
			if round == 1 {
				return hits
			}
		}
		return 0
	}
}

// footprint is what the process takes, once the collector has done what it can.
func footprint() (heap, objects, resident int64) {
	runtime.GC()
	debug.FreeOSMemory()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	data, err := os.ReadFile("/proc/self/statm")
	if err == nil {
		if fields := strings.Fields(string(data)); len(fields) > 1 {
			pages, _ := strconv.ParseInt(fields[1], 10, 64)
			resident = pages * int64(os.Getpagesize())
		}
	}
	return int64(stats.HeapAlloc), int64(stats.HeapObjects), resident
}
