//! What the server counts. Numbers that every batch of commands adds to are kept by thread, each on
//! a line of its own, and summed when somebody asks.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

const LANES: usize = 32;

#[derive(Default)]
#[repr(align(128))]
struct Lane {
    commands: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
}

/// The counters.
#[derive(Default)]
pub struct Counters {
    lanes: [Lane; LANES],
    /// Connections accepted since the start.
    pub connections: AtomicU64,
    /// Connections refused because there were too many.
    pub rejected: AtomicU64,
    /// Connections cut because they didn't read.
    pub output_cut: AtomicU64,
    /// Connections cut because a command was too long.
    pub query_cut: AtomicU64,
    /// Connections now, of all protocols.
    pub connected: AtomicUsize,
    /// Errors answered.
    pub errors: AtomicU64,
}

fn lane() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static OWN: Cell<usize> = const { Cell::new(usize::MAX) });
    OWN.with(|own| {
        if own.get() == usize::MAX {
            own.set(NEXT.fetch_add(1, Ordering::Relaxed) % LANES);
        }
        own.get()
    })
}

impl Counters {
    /// Adds what a batch of commands was.
    #[inline]
    pub fn batch(&self, commands: u64, received: u64, sent: u64) {
        let lane = &self.lanes[lane()];
        lane.commands.fetch_add(commands, Ordering::Relaxed);
        lane.received.fetch_add(received, Ordering::Relaxed);
        lane.sent.fetch_add(sent, Ordering::Relaxed);
    }

    /// Commands, bytes received, bytes sent.
    pub fn traffic(&self) -> (u64, u64, u64) {
        let sum = |of: fn(&Lane) -> &AtomicU64| {
            self.lanes.iter().map(|lane| of(lane).load(Ordering::Relaxed)).sum()
        };
        (sum(|lane| &lane.commands), sum(|lane| &lane.received), sum(|lane| &lane.sent))
    }

    /// Makes all but the connections of now 0.
    pub fn reset(&self) {
        for lane in &self.lanes {
            for counter in [&lane.commands, &lane.received, &lane.sent] {
                counter.store(0, Ordering::Relaxed);
            }
        }
        for counter in
            [&self.connections, &self.rejected, &self.output_cut, &self.query_cut, &self.errors]
        {
            counter.store(0, Ordering::Relaxed);
        }
    }
}
