//! A hot hit writes nothing that threads share: not to the entry, the index, the segment table, nor
//! to the cache's own structures. Proven by taking away the permission to write to all of them.
//!
//! A hit may write to what belongs to its thread alone: its place in the epoch and its line of
//! counters.
#![allow(missing_docs)]

mod support;

use larder::{Cache, Options, Policy};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::Range;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::ptr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use support::*;

/// Memory for what a cache allocates when it is made, so that it can be protected without the rest
/// of the heap.
struct Arena;

const ARENA_BYTES: usize = 16 << 20;
/// A block of counters: one line for each of 64 threads. Not shared, so it stays out of the arena.
const COUNTERS: (usize, usize) = (64 * 64, 64);
static START: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
static USED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static IN_ARENA: Cell<bool> = const { Cell::new(false) };
}

#[global_allocator]
static ALLOCATOR: Arena = Arena;

// SAFETY: a bump allocator over a mapping that is never given back, and System for the rest.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !IN_ARENA.try_with(Cell::get).unwrap_or(false)
            || (layout.size(), layout.align()) == COUNTERS
        {
            // SAFETY: passed on.
            return unsafe { System.alloc(layout) };
        }
        let at = USED
            .fetch_add(layout.size() + layout.align(), Ordering::Relaxed)
            .next_multiple_of(layout.align());
        assert!(at + layout.size() <= ARENA_BYTES);
        // SAFETY: within the arena.
        unsafe { START.load(Ordering::Relaxed).add(at) }
    }

    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        let start = START.load(Ordering::Relaxed) as usize;
        if start == 0 || !(start..start + ARENA_BYTES).contains(&(p as usize)) {
            // SAFETY: passed on; it came from System.
            unsafe { System.dealloc(p, layout) };
        }
    }
}

/// Writable memory of this process.
fn writable() -> Vec<Range<usize>> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let parse = |line: &str| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let range = usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?;
        rest.starts_with("rw").then_some(range)
    };
    maps.lines().filter_map(parse).collect()
}

/// What is in `now` but was not in `before`.
fn new_ranges(before: &[Range<usize>], now: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut new = now.to_vec();
    for old in before {
        new = new
            .into_iter()
            .flat_map(|range| {
                [range.start..range.end.min(old.start), range.start.max(old.end)..range.end]
            })
            .filter(|range| range.start < range.end)
            .collect();
    }
    new
}

fn protect(ranges: &[Range<usize>], protection: libc::c_int) {
    for range in ranges {
        // SAFETY: mappings of the cache or of the arena. Writing to them is what the test forbids.
        let failed = unsafe { libc::mprotect(range.start as *mut _, range.len(), protection) };
        assert_eq!(failed, 0, "{}", std::io::Error::last_os_error());
    }
}

/// A cache with `keys` entries, and all memory that was taken for it.
fn make(policy: Policy, keys: u64) -> (Cache, Vec<Range<usize>>) {
    // This thread's place in the epoch belongs to no cache.
    let _ = Cache::new(Options::new(1 << 20)).unwrap().get(b"");
    if START.load(Ordering::Relaxed).is_null() {
        // SAFETY: a new mapping.
        let start = unsafe {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            libc::mmap(
                ptr::null_mut(),
                ARENA_BYTES,
                protection,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(start, libc::MAP_FAILED);
        START.store(start.cast(), Ordering::Relaxed);
    }
    let before = writable();
    IN_ARENA.set(true);
    let cache = Cache::new(Options { policy, stripes: 2, ..Options::new(16 << 20) }).unwrap();
    IN_ARENA.set(false);
    assert!(USED.load(Ordering::Relaxed) > 0, "the cache's structures are not in the arena");
    for key in 0..keys {
        cache.set(&key.to_le_bytes(), &[1; 100]).unwrap();
    }
    // What it can write to by now, which is not all that it may come to: that lies where nothing
    // else does.
    let mut ranges = new_ranges(&before, &writable());
    ranges.retain(|range| range.end <= 0x5000_0000_0000);
    let bytes: usize = ranges.iter().map(|range| range.len()).sum();
    assert!(bytes > 4 << 20, "the cache's memory was not found: {ranges:?}");
    let start = START.load(Ordering::Relaxed) as usize;
    ranges.push(start..start + ARENA_BYTES);
    (cache, ranges)
}

fn read_all(cache: &Cache, keys: u64, buffer: &mut Vec<u8>) {
    for key in 0..keys {
        assert!(fast_get(cache, &key.to_le_bytes(), buffer).unwrap());
        buffer.clear();
        assert!(cache.get_into(&key.to_le_bytes(), buffer));
    }
}

const KEYS: u64 = 1000;
const CHILD: &str = "LARDER_QUIET_HITS_CHILD";

fn quiet() {
    for policy in [Policy::Lru, Policy::S3Fifo, Policy::Default] {
        let (cache, ranges) = make(policy, KEYS);
        let barrier = Barrier::new(3);
        team(|team| {
            let (cache, barrier) = (&cache, &barrier);
            for _ in 0..2 {
                team.spawn(move || {
                    let mut buffer = Vec::with_capacity(4096);
                    // Counters saturate at 3; this thread's line of counters is made.
                    cache.get_into(&0u64.to_le_bytes(), &mut buffer);
                    (0..4).for_each(|_| read_all(cache, KEYS, &mut buffer));
                    barrier.wait();
                    barrier.wait();
                    (0..10).for_each(|_| read_all(cache, KEYS, &mut buffer));
                    // A miss is quiet too.
                    assert!(!cache.get_into(b"nothing", &mut buffer));
                    barrier.wait();
                });
            }
            barrier.wait();
            protect(&ranges, libc::PROT_READ);
            barrier.wait();
            barrier.wait();
            protect(&ranges, libc::PROT_READ | libc::PROT_WRITE);
        });
        cache.check();
    }
}

/// The first hit of an entry must raise its counter: it fails here, which shows that the protection
/// works.
fn first_hit() {
    let (cache, ranges) = make(Policy::Lru, KEYS);
    let mut buffer = Vec::with_capacity(4096);
    cache.get_into(&0u64.to_le_bytes(), &mut buffer);
    protect(&ranges, libc::PROT_READ);
    assert!(cache.get_into(&1u64.to_le_bytes(), &mut buffer));
}

/// A view counts itself on its segment, which others share.
fn view() {
    let (cache, ranges) = make(Policy::Lru, KEYS);
    let mut buffer = Vec::with_capacity(4096);
    (0..4).for_each(|_| read_all(&cache, KEYS, &mut buffer));
    cache.get_into(&0u64.to_le_bytes(), &mut buffer);
    protect(&ranges, libc::PROT_READ);
    drop(cache.view(&1u64.to_le_bytes()));
}

/// A lock is shared.
fn len() {
    let (cache, ranges) = make(Policy::Lru, KEYS);
    protect(&ranges, libc::PROT_READ);
    let _ = cache.len();
}

#[test]
fn hot_hits_write_nothing_that_is_shared() {
    // Each in a process of its own: where the kernel stops a write, the process ends.
    match std::env::var(CHILD).as_deref() {
        Ok("quiet") => return quiet(),
        Ok("first_hit") => return first_hit(),
        Ok("view") => return view(),
        Ok("len") => return len(),
        _ => {}
    }
    let run = |what: &str| {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child
            .args(["--exact", "hot_hits_write_nothing_that_is_shared", "--test-threads=1"])
            .env(CHILD, what);
        let output = child.output().unwrap();
        (output.status, format!("{what}: {}", String::from_utf8_lossy(&output.stdout)))
    };
    let (status, output) = run("quiet");
    assert!(status.success(), "{status:?} {output}");
    for what in ["first_hit", "view", "len"] {
        let (status, output) = run(what);
        assert_eq!(status.signal(), Some(libc::SIGSEGV), "{status:?} {output}");
    }
}
