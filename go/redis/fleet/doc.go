// Package fleet keeps the caches of many processes to one truth, by way of a server that
// they have in common: Valkey, Redis 7 or later, or larder-server. It doesn't cache. It
// carries orders ("forget this key", "this tag is invalid", "purge this URL") from the
// process that gives one to all others, and tells each process whether it may still trust
// what it holds. Package tiered builds a cache of two tiers on it, and an HTTP cache shares
// its purges by it.
//
// # How
//
// The server keeps a counter of orders, a ring of the newest [RingSize] of them, and an
// epoch, which is a random word. Whoever gives an order raises the counter and writes the
// order to its place in the ring. Every process follows: it asks for epoch and counter,
// fetches the orders between, carries them out, and has then read the truth as of the
// moment it asked. From that moment on it may serve what it holds for MaxStaleness. It asks
// every PollInterval, and at once when the server pushes that the counter has moved, so that
// an order is carried out elsewhere within a millisecond or so.
//
// A process that can't ask (the server is down or out of reach, or the process was stopped)
// goes on until its MaxStaleness is over. Then it forgets all it holds, and is isolated: what
// it stores from then on it has to bound by itself, until it has caught up.
//
// Forgotten is everything, too, where the past can't be known: when the epoch is another
// (the server was flushed, lost its data, or somebody called InvalidateAll), when more orders
// than the ring holds have passed, when the counter has gone back or an order is not the
// one that was carried out (a failover or a restart from an old snapshot has lost writes), and
// when a place in the ring stays empty because who raised the counter died before he wrote.
// In the second last case the process that sees it changes the epoch, because what the server
// holds is then as old as the snapshot.
//
// docs/fleet.md has the protocol with the reasons why each step is where it is.
package fleet
