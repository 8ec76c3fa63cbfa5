package fleetgoredis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Pushes. go-redis looks at them when it reads a reply, and so not while a connection is idle.
// So this is a connection of its own, which reads nothing but pushes, and of them no more
// than that they are some: the follower asks by itself what has happened.

const (
	// silence is after how long a quiet connection is asked whether it is alive.
	silence = 5 * time.Second
	// maxLine bounds a line, and maxBulk what is skipped at once: nothing larger is sent here.
	maxBulk  = 1 << 20
	maxDepth = 8
)

// Watch implements fleet.Server.
func (s *Server) Watch(ctx context.Context, key string, changed func()) error {
	o := s.client.Options()
	dialing, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	conn, err := o.Dialer(dialing, o.Network, o.Addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	in := bufio.NewReader(conn)
	for _, command := range s.opening(ctx, key) {
		if err := send(conn, command...); err != nil {
			return err
		}
		if err := answered(conn, in, changed); err != nil {
			return fmt.Errorf("%s: %w", command[0], err)
		}
	}
	changed() // what happened before
	return listen(conn, in, changed)
}

// opening is what the connection begins with. Databases don't matter: names of keys that are
// pushed are of all of them.
func (s *Server) opening(ctx context.Context, key string) [][]string {
	o := s.client.Options()
	name, password := o.Username, o.Password
	if o.CredentialsProviderContext != nil {
		name, password, _ = o.CredentialsProviderContext(ctx)
	} else if o.CredentialsProvider != nil {
		name, password = o.CredentialsProvider()
	}
	hello := []string{"HELLO", "3"}
	if password != "" {
		if name == "" {
			name = "default"
		}
		hello = append(hello, "AUTH", name, password)
	}
	return [][]string{hello, {"CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", key}}
}

// listen reads until the connection ends or is silent in spite of a PING.
func listen(conn net.Conn, in *bufio.Reader, changed func()) error {
	for asked := false; ; {
		if err := conn.SetReadDeadline(time.Now().Add(silence)); err != nil {
			return err
		}
		_, err := in.Peek(1) // a deadline that passes here has read nothing
		var late net.Error
		switch {
		case err == nil:
			asked = false
			if push, err := skip(in, 0); err != nil {
				return err
			} else if push {
				changed()
			}
		case errors.As(err, &late) && late.Timeout() && !asked:
			asked = true
			if err := send(conn, "PING"); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// answered reads up to the reply to a command.
func answered(conn net.Conn, in *bufio.Reader, changed func()) error {
	if err := conn.SetReadDeadline(time.Now().Add(silence)); err != nil {
		return err
	}
	for {
		push, err := skip(in, 0)
		if err != nil || !push {
			return err
		}
		changed()
	}
}

func send(conn net.Conn, words ...string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(word), word)
	}
	if err := conn.SetWriteDeadline(time.Now().Add(silence)); err != nil {
		return err
	}
	_, err := io.WriteString(conn, b.String())
	return err
}

var errMalformed = errors.New("fleetgoredis: malformed reply")

// skip reads one reply of RESP3, and reports whether it was a push. An error that the server
// says is returned as one.
func skip(in *bufio.Reader, depth int) (push bool, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return false, err
	}
	if len(line) < 3 || depth > maxDepth {
		return false, errMalformed
	}
	kind, rest := line[0], string(line[1:len(line)-2])
	elements := 0
	switch kind {
	case '-':
		return false, errors.New(rest)
	case '$', '=', '!':
		return false, skipBulk(in, rest)
	case '*', '~', '>':
		elements = 1
	case '%', '|':
		elements = 2
	default:
		return false, nil
	}
	n, err := strconv.Atoi(rest)
	if err != nil || n > maxBulk {
		return false, errMalformed
	}
	for range n * elements {
		if _, err := skip(in, depth+1); err != nil {
			return false, err
		}
	}
	return kind == '>', nil
}

func skipBulk(in *bufio.Reader, length string) error {
	n, err := strconv.Atoi(length)
	if err != nil || n > maxBulk {
		return errMalformed
	}
	if n < 0 {
		return nil // RESP2's null
	}
	_, err = in.Discard(n + 2)
	return err
}
