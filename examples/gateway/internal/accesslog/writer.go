// Package accesslog writes what the gateway answered: a line for each request
// while there are few, and a summary of the rest. Nothing that is logged makes a
// request wait.
package accesslog

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// maxPending bounds what waits to be written.
const maxPending = 1 << 20

// Writer hands what is written to it to another writer, in the background and
// in large pieces. When that one is too slow, lines are dropped and counted
// rather than anyone kept waiting.
type Writer struct {
	out     io.Writer
	wake    chan struct{}
	stopped chan struct{}
	dropped atomic.Uint64

	mu      sync.Mutex
	pending []byte
	closed  bool
}

// NewWriter returns a Writer to out. Close it to write what is left.
func NewWriter(out io.Writer) *Writer {
	w := &Writer{out: out, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
	go w.run()
	return w
}

// Write takes one line, whole or not at all. It never fails.
func (w *Writer) Write(line []byte) (int, error) {
	w.mu.Lock()
	switch {
	case w.closed:
		// Late lines go out on their own: they may be the interesting ones.
		defer w.mu.Unlock()
		return w.out.Write(line)
	case len(w.pending)+len(line) > maxPending:
		w.dropped.Add(1)
	default:
		w.pending = append(w.pending, line...)
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return len(line), nil
}

// Dropped is the number of lines lost so far.
func (w *Writer) Dropped() uint64 { return w.dropped.Load() }

func (w *Writer) run() {
	defer close(w.stopped)
	var spare []byte
	for {
		<-w.wake
		// A moment's wait gathers what comes together; nobody sees the delay.
		time.Sleep(5 * time.Millisecond)
		w.mu.Lock()
		full := w.pending
		w.pending = spare[:0]
		closed := w.closed
		w.mu.Unlock()
		if len(full) > 0 {
			_, _ = w.out.Write(full) // there is nowhere to tell of a failure
		}
		spare = full
		if closed {
			return
		}
	}
}

// Close writes what is left. It may be called again.
func (w *Writer) Close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	<-w.stopped
	return nil
}
