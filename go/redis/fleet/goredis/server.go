// Package fleetgoredis lets a fleet use go-redis:
//
//	server := fleetgoredis.New(&redis.Options{Addr: "valkey:6379"})
//	defer server.Close()
package fleetgoredis

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/larder-cache/larder/go/redis/fleet"
)

// Server is a fleet.Server.
type Server struct{ client *redis.Client }

// New makes a client of its own of the options, less what a fleet can't have: go-redis must not
// send commands again when a connection was lost, and must keep to the context's deadline. Its
// client-side cache is not used.
func New(o *redis.Options) *Server { return Over(redis.NewClient(options(o))) }

// NewFailover is New for a primary that sentinels know.
func NewFailover(o *redis.FailoverOptions) *Server {
	own := *o
	own.MaxRetries, own.ContextTimeoutEnabled = -1, true
	return Over(redis.NewFailoverClient(&own))
}

// Over takes a client as it is: it must have been made with MaxRetries -1 and
// ContextTimeoutEnabled.
func Over(client *redis.Client) *Server { return &Server{client} }

// options is a copy with what a fleet needs.
func options(o *redis.Options) *redis.Options {
	own := *o
	own.MaxRetries, own.ContextTimeoutEnabled = -1, true
	return &own
}

// Close closes the client.
func (s *Server) Close() error { return s.client.Close() }

// Do implements fleet.Server.
func (s *Server) Do(ctx context.Context, commands ...fleet.Command) ([]fleet.Reply, error) {
	pipe := s.client.Pipeline()
	results := queue(ctx, pipe, commands)
	if _, err := pipe.Exec(ctx); err != nil && !isReply(err) {
		return nil, err
	}
	return replies(results)
}

// If implements fleet.Server.
func (s *Server) If(
	ctx context.Context, key string, holds func(fleet.Reply) bool, commands ...fleet.Command,
) (bool, error) {
	done := false
	err := s.client.Watch(ctx, func(tx *redis.Tx) error {
		// An absent key and an empty value are the same to GETRANGE; both are told as Nil.
		head, err := tx.GetRange(ctx, key, 0, 63).Result()
		if err != nil {
			return err
		}
		reply := fleet.Reply{}
		if head != "" {
			reply = fleet.Reply{Kind: fleet.Text, Text: head}
		}
		if !holds(reply) {
			return nil
		}
		_, err = tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			queue(ctx, pipe, commands)
			return nil
		})
		done = err == nil
		return err
	}, key)
	if errors.Is(err, redis.TxFailedErr) {
		return false, nil
	}
	return done, err
}

func queue(ctx context.Context, pipe redis.Pipeliner, commands []fleet.Command) []*redis.Cmd {
	results := make([]*redis.Cmd, len(commands))
	for i, command := range commands {
		args := make([]any, len(command))
		for j, word := range command {
			args[j] = word
		}
		results[i] = pipe.Do(ctx, args...)
	}
	return results
}

// isReply reports whether the server has said it: the connection is fine.
func isReply(err error) bool {
	var said redis.Error
	return errors.Is(err, redis.Nil) || errors.As(err, &said)
}

func replies(results []*redis.Cmd) ([]fleet.Reply, error) {
	all := make([]fleet.Reply, len(results))
	for i, result := range results {
		value, err := result.Result()
		switch {
		case errors.Is(err, redis.Nil):
		case err != nil && !isReply(err):
			return nil, err
		case err != nil:
			all[i] = fleet.Reply{Kind: fleet.Failure, Err: err}
		default:
			all[i] = reply(value)
		}
	}
	return all, nil
}

func reply(value any) fleet.Reply {
	switch v := value.(type) {
	case nil:
		return fleet.Reply{}
	case string:
		return fleet.Reply{Kind: fleet.Text, Text: v}
	case int64:
		return fleet.Reply{Kind: fleet.Number, Number: v}
	case []any:
		r := fleet.Reply{Kind: fleet.List}
		for _, one := range v {
			r.List = append(r.List, reply(one))
		}
		return r
	case error:
		return fleet.Reply{Kind: fleet.Failure, Err: v}
	}
	return fleet.Reply{Kind: fleet.Failure, Err: errors.New("fleetgoredis: a reply of another type")}
}
