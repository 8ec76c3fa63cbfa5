//! The cache's memory: who has which pages, and what they add up to.
//!
//! Two ranges of address space, one behind the other, hold two kinds of pieces, both called
//! segments:
//!
//! * *segments* of one size, cut from the lower part. They belong to one stripe at a time and come
//!   from the pool here, so no capacity is split among stripes. A free one stays committed and is
//!   handed out again, last in first out, so that a cache that overwrites a small set stays in the
//!   CPU's caches.
//! * *runs*, one for each entry too big for a segment, in the upper part (`runs`).
//!
//! The budget: `committed` = index + bookkeeping + segments + runs never exceeds `max`; whoever
//! wants memory reserves it here first. When it is used up, free segments go back to the system for
//! what isn't a segment, and stripes are told to drain.
//!
//! `space` is what there is, `budget` what is reserved, `pool` who gets segments, `quota` what one
//! cache has of it all, `admission` whether one more can live on it. Beside them: where a segment
//! is and what is known of it (`segment`), and of its parts (`deadlines`); what becomes of a piece
//! that a stripe gives up, until nobody can be looking at it (`limbo`), with the rows in which it
//! waits (`list`); the large entries' `runs`, and the `address_space` between them; and how large
//! caches commit memory 2 MiB at a time, before it is asked for (`prefault`).

mod address_space;
mod admission;
mod budget;
mod deadlines;
mod limbo;
mod list;
mod pool;
mod prefault;
mod pressure;
pub mod quota;
mod reservation;
mod runs;
mod segment;
mod space;

pub use admission::least_segments;
pub use deadlines::{PART, first_due};
pub use pressure::Pressure;
pub use reservation::{INDEX_TAIL, MAX_BUDGET, MIN_BUDGET, segment_bytes};
pub use segment::NONE;
pub use space::Space;
