// Package nearcache keeps replies of a Redis server in a larder cache, so that a key of the server
// names all replies that depend on it, and that one delete takes them all: what adapters to client
// libraries have in common.
//
// # Records
//
// A server's push names a key; what is cached are replies to commands, of which one key may have
// many (GET k, STRLEN k, HGET k a, HGET k b). Nothing lists them. Each key of the server has one
// entry, its record:
//
//   - Of the first command that is cached for the key, the record is the reply itself. So it is
//     for nearly all keys, and a hit is one get.
//   - When a second command comes, the record gives its reply up and becomes a number, which no
//     other record ever has or had. Replies are then entries of their own, named by that number
//     and the command: a hit is two gets.
//   - A reply to a command of several keys names the numbers of all their records, and is good as
//     long as each of them is there.
//
// To delete the record is all that an invalidation has to do: what is named by its number can't be
// found any more, and goes as what is not used goes. The same happens when the cache evicts the
// record, so an entry is never there that an invalidation wouldn't reach.
//
// # Owners
//
// A server tells of changes on the connection that a value was read through. When the connection
// is lost, so are its invalidations: each entry has the slot of its owner and the slot's turn, and
// is good while the slot still has that turn. To revoke an owner is to raise the turn.
//
// # Areas
//
// An area is a number before all names of a store: a store that takes a new one is empty.
//
// Area and owner are read without a lock. Who puts must see to it that for one key of the server
// one put runs at a time, and none that an invalidation has overtaken: the adapters do, since how
// they know of that is their library's.
package nearcache
