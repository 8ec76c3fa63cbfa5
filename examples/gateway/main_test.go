package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

// output is a buffer that tests can read while it is written.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// program is the program running.
type program struct {
	stdout, stderr output
	reload         chan os.Signal
	stop           context.CancelFunc
	status         chan int
}

func startProgram(t *testing.T, args ...string) (*program, string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	p := &program{reload: make(chan os.Signal, 1), stop: stop, status: make(chan int, 1)}
	go func() {
		p.status <- run(ctx, append([]string{"-listen", "127.0.0.1:0", "-max-bytes", "8MiB"}, args...), &p.stdout, &p.stderr, p.reload)
	}()
	t.Cleanup(stop)
	address := regexp.MustCompile(`gateway at (http://\S+)`)
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if m := address.FindStringSubmatch(p.stdout.String()); m != nil {
			return p, m[1]
		}
	}
	t.Fatalf("no address was printed:\n%s\n%s", &p.stdout, &p.stderr)
	return nil, ""
}

func status(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode, resp.Header.Get("Cache-Status")
}

func TestDemoAnswersAndStopsCleanly(t *testing.T) {
	p, url := startProgram(t)
	// The address is printed first; what to try follows.
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(p.stdout.String(), "Ctrl-C"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("nothing to try was printed:\n%s", &p.stdout)
		}
	}
	if n := strings.Count(p.stdout.String(), "\n  curl "); n != 3 {
		t.Errorf("%d curl lines:\n%s", n, &p.stdout)
	}
	// What is printed must work, and show a miss and then a hit.
	for _, line := range regexp.MustCompile(`curl -i '?([^'\n]+)`).FindAllStringSubmatch(p.stdout.String(), -1) {
		for _, want := range []string{"fwd=uri-miss", "; hit"} {
			if code, cache := status(t, line[1]); code != http.StatusOK || !strings.Contains(cache, want) {
				t.Errorf("%s: %d %s, want %s", line[1], code, cache, want)
			}
		}
	}
	if code, _ := status(t, url+"/healthz"); code != http.StatusOK {
		t.Errorf("/healthz: %d", code)
	}
	p.stop()
	select {
	case code := <-p.status:
		if code != 0 {
			t.Errorf("exit status %d:\n%s", code, &p.stderr)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it did not stop")
	}
	for _, want := range []string{"cache=miss", "cache=hit", "msg=stopped"} {
		if !strings.Contains(p.stderr.String(), want) {
			t.Errorf("the log has no %s:\n%s", want, &p.stderr)
		}
	}
}

func TestReload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const with = "upstreams: {a: {targets: [\"embedded:a\"]}}\nroutes: [{path: %s, upstream: a}]\n"
	write(fmt.Sprintf(with, "/airports/"))
	p, url := startProgram(t, "-config", file)
	if code, _ := status(t, url+"/airports/CDG"); code != http.StatusOK {
		t.Fatalf("before: %d", code)
	}
	reload := func(want string) {
		t.Helper()
		p.reload <- syscall.SIGHUP
		for deadline := time.Now().Add(10 * time.Second); !strings.Contains(p.stderr.String(), want); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the log never had %q:\n%s", want, &p.stderr)
			}
		}
	}
	write("routes: [{path: /, upstream: gone}]")
	reload("not reloaded")
	if code, cache := status(t, url+"/airports/CDG"); code != http.StatusOK || !strings.Contains(cache, "; hit") {
		t.Errorf("after a wrong file: %d %s", code, cache)
	}
	write(fmt.Sprintf(with, "/countries/"))
	reload("msg=reloaded")
	if code, _ := status(t, url+"/airports/CDG"); code != http.StatusNotFound {
		t.Errorf("a route that is gone: %d", code)
	}
	if code, _ := status(t, url+"/countries/FR"); code != http.StatusOK {
		t.Errorf("a new route: %d", code)
	}
	write(fmt.Sprintf(with, "/airports/"))
	p.stderr.mu.Lock()
	p.stderr.text.Reset()
	p.stderr.mu.Unlock()
	reload("msg=reloaded")
	if _, cache := status(t, url+"/airports/CDG"); !strings.Contains(cache, "; hit") {
		t.Errorf("the cache was lost over reloads: %s", cache)
	}
}

func TestWrongFlags(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{"-max-bytes", "lots"}, "size", 2},
		{[]string{"-nonsense"}, "nonsense", 2},
		{[]string{"surplus"}, "surplus", 2},
		{[]string{"-config", "x", "-upstream", "http://x"}, "exclude", 2},
		{[]string{"-config", "/does/not/exist"}, "no such file", 1},
		{[]string{"-upstream", "localhost:80"}, "neither a URL", 1},
		{[]string{"-access-log", "loud"}, "log.access", 1},
		{[]string{"-listen", "256.0.0.1:1"}, "256.0.0.1", 1},
		{[]string{"-h"}, "usage", 0},
		{[]string{"-version"}, "gateway ", 0},
		{[]string{"-check", "-config", "gateway.example.yaml"}, "the configuration is right: 2 routes, 1 upstreams", 0},
		{[]string{"-check"}, "the configuration is right", 0},
		{[]string{"-check", "-upstream", "ftp://x"}, "neither a URL", 1},
	} {
		var out output
		code := run(context.Background(), c.args, &out, &out, nil)
		if code != c.code || !strings.Contains(out.String(), c.want) {
			t.Errorf("%v: exit status %d, want %d, and %q in:\n%s", c.args, code, c.code, c.want, &out)
		}
	}
}

// The example must show every option with its default, where it has one.
func TestExampleIsTrue(t *testing.T) {
	c, err := config.Load("gateway.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d := config.Default()
	c.Upstreams, c.Routes, d.Upstreams, d.Routes = nil, nil, nil, nil
	c.Demo.Paths, d.RequestID = nil, "X-Request-Id"
	if fmt.Sprintf("%+v", *c) != fmt.Sprintf("%+v", *d) { // an empty list is none
		t.Errorf("the example says\n%+v\nthe defaults are\n%+v", c, d)
	}
	text, err := os.ReadFile("gateway.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []any{
		config.Config{}, config.Admin{}, config.Log{}, config.Server{}, config.Shutdown{}, config.Tracing{}, config.Cache{}, config.Demo{},
		config.Upstream{}, config.Timeout{}, config.Health{}, config.Retry{}, config.Breaker{},
		config.Route{}, config.Aggregate{}, config.Part{}, config.CORS{}, config.RateLimit{}, config.ClientRateLimit{},
	} {
		for i := range reflect.TypeOf(part).NumField() {
			name := reflect.TypeOf(part).Field(i).Tag.Get("yaml")
			if name != "" && !regexp.MustCompile(`(^|[\s{])`+name+`:`).Match(text) {
				t.Errorf("%T: %s is not in the example", part, name)
			}
		}
	}
}

// The tests that README names beside its promises must be there.
func TestReadmeNamesItsTests(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	there := make(map[string]bool)
	err = filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`).FindAllStringSubmatch(string(source), -1) {
			there[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)\\w+)`").FindAllStringSubmatch(string(readme), -1)
	if len(named) < 20 {
		t.Errorf("README names %d tests", len(named))
	}
	for _, m := range named {
		if !there[m[1]] {
			t.Errorf("README names %s, which is no test", m[1])
		}
	}
}
