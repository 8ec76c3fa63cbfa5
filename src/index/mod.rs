//! The index of a stripe: where its entries are.
//!
//! A hash table of buckets of one cache line (`bucket.rs`), each of eight slots that hold a *tag*,
//! the top bits of the hash, and where the entry is. An entry whose home bucket is full lies in the
//! next one with room, and whoever looks for it goes on while buckets are full. `table.rs` has the
//! table as it is at each moment, for readers and for writers; `resize.rs` changes its size,
//! `space.rs` is where it lies.
//!
//! # Order by hash
//!
//! The home of a tag in a table of `n` buckets is `tag * n / 2^28`: not a remainder but a
//! proportion, so that a larger tag never has a smaller home. Three good things follow.
//!
//! * The table can have any number of buckets, so it grows by an eighth at most and stays 71 to 80
//!   % full: 10 to 11.3 bytes an entry, where doubling would swing between 10 and 20.
//! * It grows and shrinks *in place*, a bucket at a time. While it does, tags from `split` on have
//!   their home among `hi` buckets and those below among `lo <= hi`. That is still a proportion
//!   that never decreases, so at each moment the table is an ordinary one.
//! * An iteration in the order of tags sees each entry exactly once, whatever grows meanwhile.
//!
//! # Readers
//!
//! Readers take no lock. A slot is read as one word and points at an entry that is whole. A writer
//! that *moves* slots makes `version` odd before and even again after; a reader that found nothing
//! trusts that only if the version was even and has not changed. A hit needs no such check: what it
//! found was there. Plain inserts, overwrites and removals from buckets that nothing overflowed
//! from move nothing.

mod bucket;
mod resize;
mod space;
mod table;

pub use bucket::{Slot, TAG_END, candidate, tag_of};
pub use space::IndexSpace;
pub use table::{Glance, Index, IndexState, LEAST_BYTES, Moving, Place};
