package gateway

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-cache/larder/examples/gateway/internal/config"

	"github.com/larder-cache/larder/go/redis/fleet"
)

// valkey starts a server for the test, or skips it.
func valkey(t *testing.T) (address string, process *os.Process) {
	t.Helper()
	program := ""
	for _, name := range []string{"valkey-server", "redis-server"} {
		local, _ := filepath.Abs("../../../../target/redis-servers/" + name)
		for _, path := range []string{local, name} {
			if found, err := exec.LookPath(path); err == nil && program == "" {
				program = found
			}
		}
	}
	if program == "" {
		t.Skip("skipped: there is no valkey-server nor redis-server; `make redis-servers` gets one")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(address)
	cmd := exec.Command(program, "--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGCONT)
		cmd.Process.Kill()
		cmd.Wait()
	})
	client := redis.NewClient(&redis.Options{Addr: address})
	defer client.Close()
	eventually(t, "the server answers", func() bool {
		return client.Ping(context.Background()).Err() == nil
	})
	return address, cmd.Process
}

// twoGateways before one upstream, which counts.
func twoGateways(t *testing.T, change func(*config.Fleet)) (gateways [2]*Gateway, urls [2]string, server *os.Process) {
	t.Helper()
	address, server := valkey(t)
	var n atomic.Int64
	for i := range gateways {
		c := origin(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=3600")
			w.Header().Set("Surrogate-Key", "x")
			fmt.Fprintf(w, "%d", n.Add(1))
		})
		c.Fleet.Server, c.Fleet.Wait, c.Fleet.MaxStaleness = address, true, 2*time.Second
		if change != nil {
			change(&c.Fleet)
		}
		gateways[i], urls[i], _ = start(t, c)
		eventually(t, "the gateway follows", func() bool {
			return gateways[i].fleet.member.State() == fleet.Following
		})
	}
	return gateways, urls, server
}

// purge posts to a gateway's purge API, and returns its answer.
func purge(t *testing.T, gateway, form string) (int, string) {
	t.Helper()
	resp, err := http.Post(gateway+"/_larder/purge", "application/x-www-form-urlencoded", strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, fmt.Sprintf("%s: %s", resp.Status, text)
}

func TestPurgesReachOtherGateways(t *testing.T) {
	_, urls, _ := twoGateways(t, nil)
	host := strings.TrimPrefix(urls[1], "http://")
	for name, form := range map[string]string{
		"url":    "url=" + url.QueryEscape("http://"+host+"/soup"),
		"prefix": "prefix=" + url.QueryEscape("http://"+host+"/so"),
		"tag":    "tag=x",
		"all":    "all=true",
	} {
		t.Run(name, func(t *testing.T) {
			_, before := get(t, urls[1]+"/soup")
			if _, again := get(t, urls[1]+"/soup"); again != before {
				t.Fatalf("%s is not cached", before)
			}
			if code, text := purge(t, urls[0], form); code != http.StatusOK {
				t.Fatal(text)
			}
			if _, after := get(t, urls[1]+"/soup"); after == before {
				t.Error("it serves what another gateway had purged before it was asked")
			}
		})
	}
}

// A gateway that can't reach the server drops what it holds in time; what was purged meanwhile
// is purged.
func TestGatewayWithoutItsServer(t *testing.T) {
	gateways, urls, server := twoGateways(t, func(f *config.Fleet) { f.MaxStaleness = time.Second })
	_, before := get(t, urls[1]+"/soup")
	server.Signal(syscall.SIGSTOP)
	if code, text := purge(t, urls[0], "tag=x"); code != http.StatusAccepted {
		t.Errorf("a purge that reached nobody: %s", text)
	}
	eventually(t, "isolated", func() bool { return gateways[1].fleet.member.State() == fleet.Isolated })
	if _, after := get(t, urls[1]+"/soup"); after == before {
		t.Error("it serves what it can't know to be good")
	}
	server.Signal(syscall.SIGCONT)
	for _, g := range gateways {
		eventually(t, "following", func() bool { return g.fleet.member.State() == fleet.Following })
	}
	_, before = get(t, urls[1]+"/soup")
	eventually(t, "purges are told again", func() bool {
		code, _ := purge(t, urls[0], "tag=x")
		return code == http.StatusOK
	})
	if _, after := get(t, urls[1]+"/soup"); after == before {
		t.Error("a purge after the return is lost")
	}
}

func TestFleetMetrics(t *testing.T) {
	_, urls, _ := twoGateways(t, nil)
	_, text := get(t, urls[0]+"/metrics")
	if !strings.Contains(text, "gateway_fleet_state 2") {
		t.Error("no gateway_fleet_state among the metrics")
	}
}
