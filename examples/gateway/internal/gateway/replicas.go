package gateway

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/larder-cache/larder/examples/gateway/internal/airports"
)

// replicas are servers of the embedded upstream, each on a loopback port of its
// own, started when a configuration first names them.
type replicas struct {
	mu      sync.Mutex
	running map[string]*replica
}

type replica struct {
	server *http.Server
	url    *url.URL
}

// resolve turns a configured target into a URL.
func (s *replicas) resolve(target string) (*url.URL, error) {
	name, ok := strings.CutPrefix(target, "embedded:")
	if !ok {
		return url.Parse(target)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.running[name]; r != nil {
		return r.url, nil
	}
	r, err := startReplica(name)
	if err != nil {
		return nil, err
	}
	if s.running == nil {
		s.running = make(map[string]*replica)
	}
	s.running[name] = r
	return r.url, nil
}

func startReplica(name string) (*replica, error) {
	handler, err := airports.NewHandler(airports.Options{
		MinLatency: 30 * time.Millisecond, MaxLatency: 80 * time.Millisecond, Name: name,
	})
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &replica{
		server: &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second},
		url:    &url.URL{Scheme: "http", Host: listener.Addr().String()},
	}
	go func() { _ = r.server.Serve(listener) }() // ends with ErrServerClosed
	return r, nil
}

func (s *replicas) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, r := range s.running {
		errs = append(errs, r.server.Close())
	}
	s.running = nil
	return errors.Join(errs...)
}
