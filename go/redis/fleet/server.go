package fleet

import (
	"context"
	"errors"
	"unsafe"
)

// Server is the server that a fleet has in common, as this package needs it. Packages
// fleetgoredis and fleetrueidis make one of a client of these libraries. Its methods are
// called by many goroutines at once.
//
// Commands used are GET, MGET, SET (NX, PX, and IFEQ where the server has it), DEL, INCR,
// PTTL, PEXPIRE, GETRANGE, and WATCH, MULTI, EXEC; and CLIENT TRACKING with BCAST for Watch.
// All of them must be answered by the primary: a replica may be behind.
type Server interface {
	// Do sends the commands in order over one connection, and returns a reply for each. The
	// error is of the connection or of ctx; that of a single command is in its reply. After
	// an error nobody knows which commands were carried out. Commands must not be sent again
	// by the library after a connection was lost.
	Do(ctx context.Context, commands ...Command) ([]Reply, error)

	// If reads the first 64 bytes of key's value and, if holds says so of them, carries out the
	// commands, all or none, provided that nobody has changed key meanwhile. It reports whether
	// they were carried out.
	If(ctx context.Context, key string, holds func(Reply) bool, commands ...Command) (bool, error)

	// Watch calls changed, which is fast, each time the value of key may have changed. It may
	// call it too often, and may miss changes. It returns, with an error, when it can't go on;
	// it is called again then, after a pause.
	Watch(ctx context.Context, key string, changed func()) error
}

// Command is a command and its arguments, which are bytes in the form of strings.
type Command []string

// Kind is what a Reply is.
type Kind uint8

// The kinds of replies.
const (
	Nil Kind = iota // there is nothing
	Text
	Number
	List
	Failure
)

// Reply is what a server answers to one command.
type Reply struct {
	Kind   Kind
	Text   string // of a Text
	Number int64  // of a Number
	List   []Reply
	Err    error // of a Failure
}

// errUnexpected is for replies of another kind than a command has.
var errUnexpected = errors.New("fleet: the server answered something else than was asked for")

// failure is the error of a reply that is one.
func failure(replies []Reply) error {
	for _, r := range replies {
		if r.Kind == Failure {
			return r.Err
		}
	}
	return nil
}

// text is bytes as a string, without a copy: commands are not changed once they are made.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
