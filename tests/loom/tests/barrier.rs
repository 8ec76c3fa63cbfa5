//! `src/sync/asymmetric_fence.rs`: whoever pays for the readers' barrier, and whenever that
//! changes, what readers may be looking at is not used again.
//!
//! The world is that of `epoch.rs`, with one slot: a word of memory, which readers find through
//! `link`. But here the reader has a fence only when the flag says so, and the scanner issues
//! `membarrier` unless `scans` says that it needn't.
//!
//! `membarrier` is outside of every memory model. Here it is what the kernel makes of it: the
//! reader is interrupted between two of its operations. What it did before, whoever issued the
//! barrier sees from then on; what it does later is done in sight of all that the issuer had done.
//! That is what two read-modify-writes of one word promise each other. So the reader passes such a
//! word between any two operations ([`World::point`]), and to issue a barrier is to pass it once.
//! Each issuer has a word of its own, or they would be ordered among each other as well. The real
//! barrier is a full fence besides, in either thread. The model does without, so nothing relies on
//! that.
//!
//! Left out: how many slots there are (`epoch.rs` has it; one more read-modify-write in the scan,
//! which only orders more), and when it is worth switching.

use larder_loom::epoch::mirrored;
use larder_loom::{explore, fails};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use loom::sync::{Arc, Mutex};
use loom::thread;

/// Who issues barriers.
const SCANNER: usize = 0;
const OTHER: usize = 1;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// The reader looks at the flag before it stores its slot.
    FlagEarly,
    /// The reader's look at the flag acquires nothing.
    FlagRelaxed,
    /// The reader sees the flag and has no fence.
    ReaderFence,
    /// The scanner may do without a barrier, and does without a fence.
    ScanFence,
    /// The scanner issues no barrier, whatever `scans` says.
    ScanBarrier,
    /// The scanner asks by a load.
    ScanLoads,
    /// The scanner's question releases nothing.
    ScanRelaxed,
    /// On: no barrier.
    OnBarrier,
    /// On: `scans` says so before the barrier.
    OnEarly,
    /// On: the barrier comes before the flag.
    OnFlagLate,
    /// On: `scans` releases nothing.
    OnRelaxed,
    /// Off: the flag first.
    OffFlagFirst,
    /// Off: `scans` acquires nothing.
    OffRelaxed,
    /// Off: the flag releases nothing.
    OffFlagRelaxed,
    /// Nothing keeps two apart who switch.
    NoTurns,
    /// Who switches isn't ordered after whoever did so before.
    TurnsRelaxed,
    /// The scanner looks at the epoch only after the barrier.
    NowLate,
}

struct World {
    /// `GLOBAL.epoch`.
    epoch: AtomicU64,
    /// `Slot::epoch`.
    slot: AtomicU64,
    fences: AtomicBool,
    scans: AtomicU64,
    switching: AtomicBool,
    /// For each who issues barriers, what the reader passes between two operations.
    barriers: [AtomicUsize; 2],
    issuers: usize,
    /// 1 while the index points at the memory.
    link: AtomicUsize,
    memory: UnsafeCell<u64>,
    /// `Pool::limbo`: the stamp of what was unlinked.
    limbo: Mutex<Option<u64>>,
    fault: Fault,
}

// SAFETY: `memory` is what the epoch protects; loom checks each access.
unsafe impl Sync for World {}
// SAFETY: as above.
unsafe impl Send for World {}

impl World {
    fn new(fault: Fault, fences: bool, issuers: usize) -> Arc<World> {
        Arc::new(World {
            epoch: AtomicU64::new(1),
            slot: AtomicU64::new(0),
            fences: AtomicBool::new(fences),
            scans: AtomicU64::new(u64::from(fences)),
            switching: AtomicBool::new(false),
            barriers: [0, 0].map(AtomicUsize::new),
            issuers,
            link: AtomicUsize::new(1),
            memory: UnsafeCell::new(7),
            limbo: Mutex::new(None),
            fault,
        })
    }

    fn unless(&self, fault: Fault, ordering: Ordering, weaker: Ordering) -> Ordering {
        if self.fault == fault { weaker } else { ordering }
    }

    /// Where a barrier may interrupt the reader.
    fn point(&self) {
        for barrier in &self.barriers[..self.issuers] {
            barrier.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// `membarrier`.
    fn membarrier(&self, issuer: usize) {
        assert!(issuer < self.issuers);
        self.barriers[issuer].fetch_add(1, Ordering::AcqRel);
    }

    /// `pin_slot` with `Barrier::enter`, a look, `Guard::drop`.
    fn read(&self) {
        let ordering = self.unless(Fault::FlagRelaxed, Ordering::Acquire, Ordering::Relaxed);
        self.point();
        let epoch = self.epoch.load(Ordering::Acquire);
        self.point();
        let early = self.fault == Fault::FlagEarly && {
            let fences = self.fences.load(ordering);
            self.point();
            fences
        };
        self.slot.store(epoch, Ordering::Release);
        self.point();
        let fences =
            if self.fault == Fault::FlagEarly { early } else { self.fences.load(ordering) };
        self.point();
        if fences && self.fault != Fault::ReaderFence {
            fence(Ordering::SeqCst);
            self.point();
        }
        if self.link.load(Ordering::Acquire) == 1 {
            self.point();
            // SAFETY: what the model is about. loom fails the model if it isn't so.
            let there = self.memory.with(|memory| unsafe { *memory });
            assert_eq!(there, 7, "the memory was used again under a reader");
        }
        self.point();
        self.slot.store(0, Ordering::Release);
        self.point();
    }

    /// Unlinks the memory; returns its stamp.
    fn give_up(&self) -> u64 {
        self.link.store(0, Ordering::Release);
        self.epoch.fetch_add(1, Ordering::SeqCst)
    }

    /// `Barrier::scan`.
    fn scan(&self, issuer: usize) {
        let scans = match self.fault {
            Fault::ScanLoads => self.scans.load(Ordering::Acquire),
            Fault::ScanRelaxed => self.scans.fetch_add(2, Ordering::Acquire),
            _ => self.scans.fetch_add(2, Ordering::AcqRel),
        };
        if scans & 1 == 1 {
            if self.fault != Fault::ScanFence {
                fence(Ordering::SeqCst);
            }
        } else if self.fault != Fault::ScanBarrier {
            self.membarrier(issuer);
        }
    }

    /// `safe_before`.
    fn safe_before(&self, issuer: usize) -> u64 {
        let mut now = self.epoch.load(Ordering::SeqCst);
        self.scan(issuer);
        if self.fault == Fault::NowLate {
            now = self.epoch.load(Ordering::SeqCst);
        }
        let epoch = self.slot.load(Ordering::Acquire);
        if epoch == 0 { now } else { now.min(epoch) }
    }

    /// Uses the memory again if that is allowed.
    fn reuse(&self, stamp: u64, safe: u64) {
        if stamp < safe {
            // SAFETY: as in `read`.
            self.memory.with_mut(|memory| unsafe { *memory = 8 });
        }
    }

    /// What a scanner does that unlinks as well.
    fn replace(&self) {
        let stamp = self.give_up();
        self.reuse(stamp, self.safe_before(SCANNER));
    }

    /// What a writer does that leaves the scan to others: `Space::retire`.
    fn retire(&self) {
        let stamp = self.give_up();
        *self.limbo.lock().unwrap() = Some(stamp);
    }

    /// What a scanner does that hasn't unlinked: `Space::reclaim`.
    fn reclaim(&self) {
        let safe = self.safe_before(SCANNER);
        let stamp = *self.limbo.lock().unwrap();
        if let Some(stamp) = stamp {
            self.reuse(stamp, safe);
        }
    }

    /// `Barrier::fence_readers`: on.
    fn fence_readers(&self, issuer: usize) {
        if self.taken() {
            return;
        }
        if self.scans.load(Ordering::Relaxed) & 1 == 0 {
            if self.fault == Fault::OnFlagLate {
                self.membarrier(issuer);
            }
            self.fences.store(true, Ordering::SeqCst);
            if self.fault == Fault::OnEarly {
                self.scans.fetch_or(1, Ordering::AcqRel);
            }
            if !matches!(self.fault, Fault::OnBarrier | Fault::OnFlagLate) {
                self.membarrier(issuer);
            }
            if self.fault != Fault::OnEarly {
                self.scans.fetch_or(
                    1,
                    self.unless(Fault::OnRelaxed, Ordering::AcqRel, Ordering::Acquire),
                );
            }
        }
        self.leave();
    }

    /// `Barrier::fence_scanners`: off.
    fn fence_scanners(&self) {
        if self.taken() {
            return;
        }
        let release = self.unless(Fault::OffFlagRelaxed, Ordering::Release, Ordering::Relaxed);
        if self.fault == Fault::OffFlagFirst {
            self.fences.store(false, release);
        }
        self.scans
            .fetch_and(!1, self.unless(Fault::OffRelaxed, Ordering::AcqRel, Ordering::Release));
        if self.fault != Fault::OffFlagFirst {
            self.fences.store(false, release);
        }
        self.leave();
    }

    /// Whether somebody else is switching; else it's the caller's turn.
    fn taken(&self) -> bool {
        self.switching.swap(true, Ordering::Acquire) && self.fault != Fault::NoTurns
    }

    fn leave(&self) {
        self.switching
            .store(false, self.unless(Fault::TurnsRelaxed, Ordering::Release, Ordering::Relaxed));
    }
}

/// How a model begins, and how much of it is tried.
#[derive(Clone, Copy)]
struct Start {
    /// Readers pay.
    fences: bool,
    /// Who issues barriers: the scanner, or another as well.
    issuers: usize,
    /// How often the reader pins.
    reads: usize,
    preemptions: usize,
}

/// The scanner, and others who do something else, against a reader.
fn run<const N: usize>(fault: Fault, start: Start, scanner: fn(&World), others: [fn(&World); N]) {
    explore(start.preemptions, move || {
        let world = World::new(fault, start.fences, start.issuers);
        let spawn = |act: fn(&World), times| {
            let world = world.clone();
            thread::spawn(move || (0..times).for_each(|_| act(&world)))
        };
        let mut threads = vec![spawn(World::read, start.reads)];
        threads.extend(others.map(|other| spawn(other, 1)));
        scanner(&world);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

/// Nobody switches: the scanner pays.
fn scanner_pays(fault: Fault) {
    run(fault, Start { fences: false, issuers: 1, reads: 2, preemptions: 5 }, World::replace, []);
}

/// Nobody switches: the reader pays.
fn reader_pays(fault: Fault) {
    run(fault, Start { fences: true, issuers: 1, reads: 2, preemptions: 5 }, World::replace, []);
}

/// The scanner switches on, then scans.
fn on(fault: Fault) {
    let switch_and_replace = |world: &World| {
        world.fence_readers(SCANNER);
        world.replace();
    };
    run(
        fault,
        Start { fences: false, issuers: 1, reads: 2, preemptions: 5 },
        switch_and_replace,
        [],
    );
}

/// Another thread switches on.
fn on_by_another(fault: Fault) {
    let on = |world: &World| world.fence_readers(OTHER);
    run(fault, Start { fences: false, issuers: 2, reads: 1, preemptions: 4 }, World::replace, [on]);
}

/// Another thread switches off.
fn off_by_another(fault: Fault) {
    run(
        fault,
        Start { fences: true, issuers: 1, reads: 1, preemptions: 4 },
        World::replace,
        [World::fence_scanners],
    );
}

/// Another thread switches on, and off again.
fn on_and_off(fault: Fault) {
    let on_and_off = |world: &World| {
        world.fence_readers(OTHER);
        world.fence_scanners();
    };
    run(
        fault,
        Start { fences: false, issuers: 2, reads: 2, preemptions: 3 },
        World::replace,
        [on_and_off],
    );
}

/// Another thread switches off, and on again.
fn off_and_on(fault: Fault) {
    let off_and_on = |world: &World| {
        world.fence_scanners();
        world.fence_readers(OTHER);
    };
    run(
        fault,
        Start { fences: true, issuers: 2, reads: 2, preemptions: 3 },
        World::replace,
        [off_and_on],
    );
}

/// The scanner switches on, then scans, while another switches off. Either may come first, or find
/// the other at it.
fn both(fault: Fault, fences: bool) {
    let switch_and_replace = |world: &World| {
        world.fence_readers(SCANNER);
        world.replace();
    };
    let start = Start { fences, issuers: 1, reads: 1, preemptions: 4 };
    run(fault, start, switch_and_replace, [World::fence_scanners]);
}

fn both_from_off(fault: Fault) {
    both(fault, false);
}

fn both_from_on(fault: Fault) {
    both(fault, true);
}

/// One unlinks, another scans, a third switches on.
fn on_for_others(fault: Fault) {
    let on = |world: &World| world.fence_readers(OTHER);
    run(
        fault,
        Start { fences: false, issuers: 2, reads: 1, preemptions: 2 },
        World::reclaim,
        [World::retire, on],
    );
}

/// One unlinks, another scans, a third switches off.
fn off_for_others(fault: Fault) {
    let start = Start { fences: true, issuers: 1, reads: 1, preemptions: 2 };
    run(fault, start, World::reclaim, [World::retire, World::fence_scanners]);
}

#[test]
fn the_model_is_a_copy() {
    mirrored();
    larder_loom::mirrors(
        "sync/epoch.rs",
        &[
            "slot.epoch.store(epoch, Ordering::Release); GLOBAL.barrier.enter();",
            "let now = now(); GLOBAL.barrier.scan();",
        ],
    );
    larder_loom::mirrors(
        "sync/asymmetric_fence.rs",
        &[
            "if self.fences.load(Ordering::Acquire) { fence(Ordering::SeqCst); }",
            "if self.scanners.scans.fetch_add(2, Ordering::AcqRel) & 1 == 1 { return fence(Ordering::SeqCst); } membarrier();",
            "if self.scanners.switching.swap(true, Ordering::Acquire) { return; } if self.scanners.scans.load(Ordering::Relaxed) & 1 == 0 {",
            "self.fences.store(true, Ordering::SeqCst); membarrier(); self.scanners.scans.fetch_or(1, Ordering::AcqRel);",
            "if self.scanners.switching.swap(true, Ordering::Acquire) { return; } self.scanners.scans.fetch_and(!1, Ordering::AcqRel);",
            "self.fences.store(false, Ordering::Release); self.scanners.switching.store(false, Ordering::Release);",
        ],
    );
    larder_loom::mirrors(
        "memory/limbo.rs",
        &["let safe = epoch::safe_before(); epoch::relieve(); let mut pool = self.pool.lock();"],
    );
}

macro_rules! holds {
    ($($name:ident: $model:ident;)*) => {$(
        #[test]
        fn $name() {
            $model(Fault::None);
        }
    )*};
}

holds! {
    the_memory_is_kept_while_the_scanner_pays: scanner_pays;
    the_memory_is_kept_while_the_reader_pays: reader_pays;
    a_scan_after_switching_on_sees_all_readers: on;
    switching_on_may_come_at_any_time: on_by_another;
    switching_off_may_come_at_any_time: off_by_another;
    so_may_on_and_off: on_and_off;
    so_may_off_and_on: off_and_on;
    so_may_both_at_once_while_the_scanner_pays: both_from_off;
    so_may_both_at_once_while_the_reader_pays: both_from_on;
    others_may_switch_on_for_the_scanner: on_for_others;
    others_may_switch_off_for_the_scanner: off_for_others;
}

fails! {
    fails_without_the_scanners_barrier: scanner_pays(ScanBarrier), "Causality violation";
    fails_without_the_scanners_fence: reader_pays(ScanFence), "Causality violation";
    fails_without_the_readers_fence: reader_pays(ReaderFence), "Causality violation";
    fails_when_the_reader_looks_at_the_flag_early: on(FlagEarly), "Causality violation";
    fails_when_the_readers_look_acquires_nothing: off_by_another(FlagRelaxed), "Causality violation";
    fails_when_the_scanner_asks_by_a_load: off_by_another(ScanLoads), "Causality violation";
    fails_when_the_scanners_question_releases_nothing: off_by_another(ScanRelaxed), "Causality violation";
    fails_when_switched_on_without_a_barrier: on(OnBarrier), "Causality violation";
    fails_when_the_barrier_comes_before_the_flag: on(OnFlagLate), "Causality violation";
    fails_when_scanners_rely_on_it_before_the_barrier: on_by_another(OnEarly), "Causality violation";
    fails_when_switching_on_releases_nothing: on_by_another(OnRelaxed), "Causality violation";
    fails_when_the_flag_goes_first: off_by_another(OffFlagFirst), "Causality violation";
    fails_when_switching_off_acquires_nothing: off_by_another(OffRelaxed), "Causality violation";
    fails_when_the_flag_goes_and_releases_nothing: off_by_another(OffFlagRelaxed), "Causality violation";
    fails_when_two_switch_at_once: both_from_off(NoTurns), "Causality violation";
    fails_when_turns_are_not_ordered: both_from_on(TurnsRelaxed), "Causality violation";
    fails_when_the_epoch_is_read_after_the_barrier: off_for_others(NowLate), "Causality violation";
    fails_when_the_epoch_is_read_after_the_scanners_barrier: on_for_others(NowLate), "Causality violation";
}
