// Package child runs a measurement in a process of its own: this program started again, told what to do on its standard
// input. So each cache has a heap, a garbage collector, a CPU account and resident memory that no other one disturbs,
// and can still take turns with the others.
package child

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// argument is the first argument of a program that was started as a child.
const argument = "child"

// Conn is the child's end: requests come in, replies go out, a JSON value a line.
type Conn struct {
	in  *json.Decoder
	out *json.Encoder
}

// Receive reads the next request. It returns io.EOF when the parent has no more.
func (c *Conn) Receive(request any) error { return c.in.Decode(request) }

// Reply answers it.
func (c *Conn) Reply(reply any) error { return c.out.Encode(envelope{Value: reply}) }

type envelope struct {
	Value any    `json:"value,omitempty"`
	Error string `json:"error,omitempty"`
}

// Handler is what a child does. Its error goes to the parent, as the answer to its next Call.
type Handler func(*Conn) error

var handlers = map[string]Handler{}

// Register names a handler. Call it from init functions.
func Register(name string, h Handler) { handlers[name] = h }

// Main turns this process into a child if it was started as one, and then doesn't return. Call it first in main.
func Main() {
	if len(os.Args) != 3 || os.Args[1] != argument {
		return
	}
	conn := &Conn{json.NewDecoder(bufio.NewReader(os.Stdin)), json.NewEncoder(os.Stdout)}
	h := handlers[os.Args[2]]
	err := fmt.Errorf("no handler is called %q", os.Args[2])
	if h != nil {
		err = h(conn)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		_ = conn.out.Encode(envelope{Error: err.Error()}) // if even this fails, the parent sees the exit status
		os.Exit(1)
	}
	os.Exit(0)
}

// Process is the parent's end.
type Process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	enc *json.Encoder
	dec *json.Decoder
}

// Start starts the handler of that name in a child process.
func Start(name string, env ...string) (*Process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(exe, argument, name)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &Process{cmd, in, json.NewEncoder(in), json.NewDecoder(bufio.NewReader(out))}, nil
}

// Call sends a request and waits for the reply.
func (p *Process) Call(request, reply any) error {
	if err := p.enc.Encode(request); err != nil {
		return fmt.Errorf("asking a child process: %w", err)
	}
	var e struct {
		Value json.RawMessage `json:"value"`
		Error string          `json:"error"`
	}
	if err := p.dec.Decode(&e); err != nil {
		return fmt.Errorf("waiting for a child process: %w (%v)", err, p.cmd.Wait())
	}
	if e.Error != "" {
		return errors.New(e.Error)
	}
	return json.Unmarshal(e.Value, reply)
}

// Stop ends the child.
func (p *Process) Stop() error {
	p.in.Close() // the child sees the end of its input
	return p.cmd.Wait()
}

// Once starts a child, makes one call, and stops it.
func Once(name string, request, reply any, env ...string) error {
	p, err := Start(name, env...)
	if err != nil {
		return err
	}
	if err := p.Call(request, reply); err != nil {
		_ = p.Stop() // the call's error says more
		return err
	}
	return p.Stop()
}
