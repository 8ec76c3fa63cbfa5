// Package servertest starts real servers for tests and benchmarks: valkey-server and redis-server,
// on the loopback interface, and does to them what happens to servers. A server ends with its test,
// and on Linux with its process, however that ends.
package servertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// patience bounds every wait for a server.
const patience = 30 * time.Second

// Server is a server that was started. Its methods are for one goroutine at a time.
type Server struct {
	// Addr is its address, 127.0.0.1:port. It stays the same over a Restart.
	Addr string
	// Kind is what it is.
	Kind Kind

	path, folder string
	args         []string

	process *os.Process
	ended   chan struct{} // closed when the process has been waited for
	said    *output
	control *redis.Client
}

// output is what a server wrote, for the error when it doesn't start.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// Start starts a server for a test, with more arguments for its command line, as
// "--maxmemory", "1mb". It skips the test where there is no such server.
func Start(t testing.TB, kind Kind, args ...string) *Server {
	t.Helper()
	if _, err := Find(kind); err != nil {
		t.Skip("skipped: " + err.Error())
	}
	s, err := Launch(kind, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Any is Start with Valkey, or with Redis where there is no Valkey.
func Any(t testing.TB, args ...string) *Server {
	t.Helper()
	for _, kind := range []Kind{Valkey, Redis} {
		if _, err := Find(kind); err == nil {
			return Start(t, kind, args...)
		}
	}
	return Start(t, Valkey, args...)
}

// Each runs a test with a server of each kind, as a subtest of its name.
func Each(t *testing.T, test func(t *testing.T, s *Server), args ...string) {
	t.Helper()
	for _, kind := range []Kind{Valkey, Redis} {
		t.Run(string(kind), func(t *testing.T) { test(t, Start(t, kind, args...)) })
	}
}

// Launch starts a server without a test. Who calls it calls Close.
func Launch(kind Kind, args ...string) (*Server, error) {
	path, err := Find(kind)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "servertest")
	if err != nil {
		return nil, err
	}
	s := &Server{Kind: kind, path: path, folder: folder, args: args}
	// A free port may be taken by another before the server has it.
	for range 5 {
		if s.Addr, err = freeAddr(); err != nil {
			break
		}
		if err = s.start(); err == nil {
			return s, nil
		}
	}
	_ = os.RemoveAll(folder)
	return nil, err
}

func freeAddr() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String(), nil
}

func (s *Server) start() error {
	_, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return err
	}
	s.said = &output{}
	command := exec.Command(s.path, append([]string{"--bind", "127.0.0.1", "--port", port,
		"--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", s.folder,
		"--enable-debug-command", "yes"}, s.args...)...)
	command.Stdout, command.Stderr = s.said, s.said
	s.ended = make(chan struct{})
	if s.process, err = runTied(command, s.ended); err != nil {
		return fmt.Errorf("servertest: %s: %w", s.path, err)
	}
	s.control = redis.NewClient(&redis.Options{Addr: s.Addr, Protocol: 2, DisableIdentity: true,
		MaxRetries: -1, PoolSize: 2})
	if err := s.waitReady(); err != nil {
		s.Kill()
		return err
	}
	return nil
}

// waitReady waits until the server answers.
func (s *Server) waitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		err := s.control.Ping(ctx).Err()
		if err == nil {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("servertest: %s ended: %s", s.path, s.said)
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("servertest: %s does not answer: %s", s.path, s.said), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Pid is the server's process.
func (s *Server) Pid() int { return s.process.Pid }

// Port is the port of Addr.
func (s *Server) Port() int {
	_, text, _ := net.SplitHostPort(s.Addr)
	port, _ := strconv.Atoi(text)
	return port
}

// Kill ends the server as SIGKILL does, and returns when it is gone.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Stop ends the server as SIGTERM does, and returns when it is gone.
func (s *Server) Stop() { s.end(syscall.SIGTERM) }

func (s *Server) end(signal syscall.Signal) {
	_ = s.process.Signal(signal)
	<-s.ended
	_ = s.control.Close()
}

// Restart starts the server again, on the same port and empty, after Kill or Stop; a running one is
// killed first.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if err := s.Relaunch(); err != nil {
		t.Fatal(err)
	}
}

// Relaunch is Restart without a test.
func (s *Server) Relaunch() error {
	s.Kill()
	return s.start()
}

// Pause stops the server (SIGSTOP): its connections stay, and nothing comes from it.
func (s *Server) Pause() { _ = s.process.Signal(syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (s *Server) Resume() { _ = s.process.Signal(syscall.SIGCONT) }

// Close kills the server and removes its files.
func (s *Server) Close() {
	s.Kill()
	_ = os.RemoveAll(s.folder)
}

// Do sends a command on a connection of its own (RESP2, no tracking) and returns the reply as
// go-redis has it: nil, int64, string or []any.
func (s *Server) Do(t testing.TB, args ...any) any {
	t.Helper()
	reply, err := s.TryDo(args...)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return reply
}

// TryDo is Do without a test.
func (s *Server) TryDo(args ...any) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	reply, err := s.control.Do(ctx, args...).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	return reply, err
}

// Flush empties the server.
func (s *Server) Flush(t testing.TB) {
	t.Helper()
	s.Do(t, "FLUSHALL")
}

// KillClients cuts all connections but this package's own.
func (s *Server) KillClients(t testing.TB) {
	t.Helper()
	s.Do(t, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
}
