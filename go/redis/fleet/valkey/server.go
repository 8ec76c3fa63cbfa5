// Package fleetvalkey lets a fleet use valkey-go:
//
//	server, err := fleetvalkey.New(valkey.ClientOption{InitAddress: []string{"valkey:6379"}})
//	if err != nil {
//		return err
//	}
//	defer server.Close()
package fleetvalkey

import (
	"context"
	"errors"
	"time"

	"github.com/valkey-io/valkey-go"

	"github.com/larder-cache/larder/go/redis/fleet"
)

// Server is a fleet.Server.
type Server struct{ client valkey.Client }

// New makes a client of its own of the options, less what a fleet can't have: commands that
// are sent again when a connection was lost. Its client-side cache is not used. It fails, as
// rueidis does, if the server is not there: a program that has to start without it tries again.
func New(o valkey.ClientOption) (*Server, error) {
	o.DisableRetry, o.DisableCache = true, true
	client, err := valkey.NewClient(o)
	if err != nil {
		return nil, err
	}
	return Over(client), nil
}

// Over takes a client as it is: it must have been made with DisableRetry, and without
// ClientTrackingOptions.
func Over(client valkey.Client) *Server { return &Server{client} }

// Close closes the client.
func (s *Server) Close() error {
	s.client.Close()
	return nil
}

// Do implements fleet.Server.
func (s *Server) Do(ctx context.Context, commands ...fleet.Command) ([]fleet.Reply, error) {
	return replies(s.client.DoMulti(ctx, built(s.client.B(), commands)...))
}

func built(b valkey.Builder, commands []fleet.Command) valkey.Commands {
	all := make(valkey.Commands, len(commands))
	for i, command := range commands {
		all[i] = b.Arbitrary(command[0]).Args(command[1:]...).Build()
	}
	return all
}

func replies(results []valkey.ValkeyResult) ([]fleet.Reply, error) {
	all := make([]fleet.Reply, len(results))
	for i, result := range results {
		if err := result.NonValkeyError(); err != nil {
			return nil, err
		}
		message, err := result.ToMessage()
		if err != nil && !valkey.IsValkeyNil(err) {
			all[i] = fleet.Reply{Kind: fleet.Failure, Err: err}
			continue
		}
		all[i] = reply(message)
	}
	return all, nil
}

func reply(m valkey.ValkeyMessage) fleet.Reply {
	switch {
	case m.IsNil():
		return fleet.Reply{}
	case m.IsInt64():
		n, _ := m.AsInt64()
		return fleet.Reply{Kind: fleet.Number, Number: n}
	case m.IsArray():
		values, _ := m.ToArray()
		r := fleet.Reply{Kind: fleet.List}
		for _, v := range values {
			r.List = append(r.List, reply(v))
		}
		return r
	case m.Error() != nil:
		return fleet.Reply{Kind: fleet.Failure, Err: m.Error()}
	}
	text, err := m.ToString()
	if err != nil {
		return fleet.Reply{Kind: fleet.Failure, Err: err}
	}
	return fleet.Reply{Kind: fleet.Text, Text: text}
}

// errLost ends a watch whose connection has gone without a word.
var errLost = errors.New("fleetvalkey: the connection for pushes was lost")

// If implements fleet.Server.
func (s *Server) If(
	ctx context.Context, key string, holds func(fleet.Reply) bool, commands ...fleet.Command,
) (bool, error) {
	done := false
	err := s.client.Dedicated(func(c valkey.DedicatedClient) error {
		heads, err := replies(c.DoMulti(ctx,
			c.B().Watch().Key(key).Build(), c.B().Getrange().Key(key).Start(0).End(63).Build()))
		if err != nil {
			return err
		}
		if heads[1].Kind == fleet.Failure {
			return heads[1].Err
		}
		if heads[1].Text == "" {
			heads[1] = fleet.Reply{} // an absent key
		}
		if !holds(heads[1]) {
			return c.Do(ctx, c.B().Unwatch().Build()).Error()
		}
		all := valkey.Commands{c.B().Multi().Build()}
		all = append(all, built(c.B(), commands)...)
		results := c.DoMulti(ctx, append(all, c.B().Exec().Build())...)
		err = results[len(results)-1].Error()
		if valkey.IsValkeyNil(err) {
			return nil // somebody has changed the key
		}
		done = err == nil
		return err
	})
	return done, err
}

// alive is how often a quiet connection for pushes is asked whether it is.
const alive = 5 * time.Second

// Watch implements fleet.Server.
func (s *Server) Watch(ctx context.Context, key string, changed func()) error {
	c, release := s.client.Dedicate()
	defer release()
	lost := c.SetOnInvalidations(func([]valkey.ValkeyMessage) { changed() })
	on := c.B().Arbitrary("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX").Args(key).Build()
	if err := c.Do(ctx, on).Error(); err != nil {
		return err
	}
	changed() // what happened before
	tick := time.NewTicker(alive)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-lost:
			if err == nil {
				err = errLost
			}
			return err
		case <-tick.C:
			within, cancel := context.WithTimeout(ctx, alive)
			err := c.Do(within, c.B().Ping().Build()).Error()
			cancel()
			if err != nil {
				return err
			}
		}
	}
}
