package servertest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Kind is which server is meant.
type Kind string

const (
	// Valkey is valkey-server.
	Valkey Kind = "valkey"
	// Redis is redis-server.
	Redis Kind = "redis"
)

// variable is the environment variable that names the program of a kind.
func (k Kind) variable() string {
	if k == Valkey {
		return "LARDER_VALKEY"
	}
	return "LARDER_REDIS"
}

// Find is the path of a kind's program: what its environment variable names, or is in PATH, or was
// laid into target/redis-servers by `make redis-servers`. The error is one line, for who is to get
// one.
func Find(kind Kind) (string, error) {
	name := string(kind) + "-server"
	if path := os.Getenv(kind.variable()); path != "" {
		return exec.LookPath(path)
	}
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	if path := installed(name); path != "" {
		return path, nil
	}
	return "", fmt.Errorf("there is no %s: not in PATH, nor named by %s; `make redis-servers` gets a"+
		" valkey-server",
		name, kind.variable())
}

// installed is where `make redis-servers` has put the program, in the repository that holds the
// working directory; "" if it hasn't.
func installed(name string) string {
	folder, err := os.Getwd()
	if err != nil {
		return ""
	}
	for {
		path := filepath.Join(folder, "target", "redis-servers", name)
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return ""
		}
		folder = parent
	}
}
