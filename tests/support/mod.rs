//! What the concurrent tests share: values that prove what they are, random numbers, the clock, the
//! doors for Go.
#![allow(dead_code, missing_docs)] // each test program uses its part

use larder::Cache;
use std::cell::RefCell;
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

/// How long a stress test runs: `LARDER_STRESS_SECONDS`, or 2.
pub fn stress() -> Duration {
    let seconds = std::env::var("LARDER_STRESS_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(2.0);
    Duration::from_secs_f64(seconds)
}

/// Threads that may borrow, each of which is joined at the end, or before by hand. (A plain scope
/// only waits for them, by means that ThreadSanitizer doesn't see in a standard library that was
/// built without it.)
pub struct Team<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    handles: RefCell<Vec<ScopedJoinHandle<'scope, ()>>>,
}

impl<'scope> Team<'scope, '_> {
    /// Starts a thread.
    pub fn spawn(&self, f: impl FnOnce() + Send + 'scope) {
        self.handles.borrow_mut().push(self.scope.spawn(f));
    }

    /// Joins all threads started so far.
    pub fn join(&self) {
        for handle in self.handles.take() {
            if let Err(panic) = handle.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

/// Runs `f` with a team, and joins it.
pub fn team<'env, T>(f: impl for<'scope> FnOnce(&Team<'scope, 'env>) -> T) -> T {
    std::thread::scope(|scope| {
        let team = Team { scope, handles: RefCell::default() };
        let result = f(&team);
        team.join();
        result
    })
}

/// Says that something is over when it is dropped, also by a panic, so that nobody waits for ever.
pub struct Over<'a>(pub &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Random numbers (splitmix64), the same in every run for the same seed.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// A size in bytes, small ones more often: each power of two up to `most` is as likely as the
    /// others.
    pub fn size(&mut self, most: u64) -> usize {
        let top = self.below(u64::from(most.ilog2()) + 1);
        self.below((2u64 << top).min(most + 1)) as usize
    }
}

fn mix(x: u64) -> u64 {
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// Bytes of a value before its filling: key, version and checksum.
pub const PREFIX: usize = 24;

/// Writes a value that says whose it is and which one, in `PREFIX + filling` bytes.
pub fn fill_value(out: &mut Vec<u8>, key: u64, version: u64, filling: usize) {
    out.clear();
    out.extend_from_slice(&key.to_le_bytes());
    out.extend_from_slice(&version.to_le_bytes());
    out.extend_from_slice(&checksum(key, version, filling).to_le_bytes());
    out.resize(PREFIX + filling, 0);
    let (words, rest) = out[PREFIX..].as_chunks_mut::<8>();
    let mut word = mix(key ^ version.rotate_left(32));
    for chunk in words {
        *chunk = word.to_le_bytes();
        word = word.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
    }
    for byte in rest {
        *byte = word as u8;
        word = word.wrapping_add(1);
    }
}

fn checksum(key: u64, version: u64, filling: usize) -> u64 {
    mix(mix(key.wrapping_add(1)) ^ mix(version.wrapping_mul(3)) ^ filling as u64)
}

/// The version of a value of `key`.
///
/// # Panics
/// If it is torn, or another key's.
pub fn version_of(key: u64, value: &[u8]) -> u64 {
    assert!(value.len() >= PREFIX, "a value of {} bytes for key {key}", value.len());
    let word = |i: usize| u64::from_le_bytes(value[i * 8..i * 8 + 8].try_into().unwrap());
    assert_eq!(word(0), key, "another key's value");
    let version = word(1);
    let filling = value.len() - PREFIX;
    assert_eq!(
        word(2),
        checksum(key, version, filling),
        "a torn value of key {key}, version {version}"
    );
    let (words, rest) = value[PREFIX..].as_chunks::<8>();
    let mut expected = mix(key ^ version.rotate_left(32));
    for chunk in words {
        assert_eq!(
            u64::from_le_bytes(*chunk),
            expected,
            "a torn value of key {key}, version {version}"
        );
        expected = expected.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
    }
    for &byte in rest {
        assert_eq!(byte, expected as u8, "a torn value of key {key}, version {version}");
        expected = expected.wrapping_add(1);
    }
    version
}

/// The bytes of a key: some short, some with a tail.
pub fn key_bytes(key: u64) -> Vec<u8> {
    let mut bytes = key.to_le_bytes().to_vec();
    bytes.resize(8 + (key % 5 * key % 40) as usize, b'k');
    bytes
}

/// The key of [`key_bytes`].
pub fn key_of(bytes: &[u8]) -> u64 {
    let key = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    assert_eq!(bytes, key_bytes(key), "a key that was never set");
    key
}

/// Milliseconds of the clock that caches use.
pub fn now() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut now) };
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}

/// Bytes of this process in memory.
pub fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("procfs");
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("statm")
        * 4096
}

/// `larder_call`: the arguments of the doors for Go.
#[repr(C)]
struct Call {
    cache: *const c_void,
    key: *const u8,
    key_len: usize,
    buf: *mut u8,
    buf_len: usize,
    out_len: usize,
    ttl_ms: u64,
    flags: u64,
    options: *const c_void,
    state: u64,
}

#[repr(C)]
struct Many {
    cache: *const c_void,
    keys: *const u8,
    key_ends: *const u32,
    n: usize,
    values: *const u8,
    value_ends: *const u32,
    buf: *mut u8,
    buf_len: usize,
    out_ends: *mut u32,
    out_status: *mut u8,
    done: usize,
    used: usize,
    need: usize,
    ttl_ms: u64,
    flags: u64,
}

unsafe extern "C" {
    fn larder_fast_get_many(many: *mut Many) -> usize;
    fn larder_fast_get(call: *mut Call) -> usize;
    fn larder_fast_set(call: *mut Call) -> usize;
    fn larder_fast_delete(call: *mut Call) -> usize;
}

const OK: usize = 0;
const NOT_FOUND: usize = 1;
const BUSY: usize = 3;
const CLOSED: usize = 19;

/// What the fast door says when it can't.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fast {
    /// Repeat by the slow door.
    Busy,
    /// The cache is closed.
    Closed,
    /// Something else, as a `larder_status`.
    Other(usize),
}

fn call(cache: &Cache, key: &[u8], value: (*mut u8, usize), ttl: Option<u64>) -> Call {
    Call {
        // The handle of the C ABI holds a Cache and nothing else.
        cache: std::ptr::from_ref(cache).cast(),
        key: key.as_ptr(),
        key_len: key.len(),
        buf: value.0,
        buf_len: value.1,
        out_len: 0,
        ttl_ms: ttl.unwrap_or(0),
        flags: u64::from(ttl.is_some()),
        options: std::ptr::null(),
        state: 0,
    }
}

fn result(status: usize) -> Result<bool, Fast> {
    match status {
        OK => Ok(true),
        NOT_FOUND => Ok(false),
        BUSY => Err(Fast::Busy),
        CLOSED => Err(Fast::Closed),
        other => Err(Fast::Other(other)),
    }
}

/// Gets by the fast door: false for a miss. `out` must have room.
pub fn fast_get(cache: &Cache, key: &[u8], out: &mut Vec<u8>) -> Result<bool, Fast> {
    out.clear();
    let mut call = call(cache, key, (out.as_mut_ptr(), out.capacity()), None);
    // SAFETY: the call's pointers are valid for their lengths.
    let found = result(unsafe { larder_fast_get(&mut call) })?;
    // SAFETY: after LARDER_OK so many bytes were written, within the capacity.
    unsafe { out.set_len(if found { call.out_len } else { 0 }) };
    Ok(found)
}

/// Gets the first of many keys by the fast door, as far as it goes. All values together have at
/// most 4 KiB.
pub fn fast_get_many(cache: &Cache, keys: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
    let mut end = 0;
    let ends: Vec<u32> = keys
        .iter()
        .map(|key| {
            end += key.len() as u32;
            end
        })
        .collect();
    let packed = keys.concat();
    let (mut buf, mut out_ends, mut out_status) =
        (vec![0; 4096], vec![0u32; keys.len()], vec![0u8; keys.len()]);
    let mut many = Many {
        cache: std::ptr::from_ref(cache).cast(),
        keys: packed.as_ptr(),
        key_ends: ends.as_ptr(),
        n: keys.len(),
        values: std::ptr::null(),
        value_ends: std::ptr::null(),
        buf: buf.as_mut_ptr(),
        buf_len: buf.len(),
        out_ends: out_ends.as_mut_ptr(),
        out_status: out_status.as_mut_ptr(),
        done: 0,
        used: 0,
        need: 0,
        ttl_ms: 0,
        flags: 0,
    };
    // SAFETY: the call's pointers are valid for their lengths.
    let status = unsafe { larder_fast_get_many(&mut many) };
    assert!(status == OK || status == BUSY && many.done == 0);
    let mut start = 0;
    let values = out_ends.iter().zip(out_status).take(many.done).map(|(&end, status)| {
        let value = buf[start..end as usize].to_vec();
        start = end as usize;
        (status as usize == OK).then_some(value)
    });
    values.collect()
}

/// Sets by the fast door.
pub fn fast_set(cache: &Cache, key: &[u8], value: &[u8], ttl: Option<u64>) -> Result<(), Fast> {
    let mut call = call(cache, key, (value.as_ptr().cast_mut(), value.len()), ttl);
    // SAFETY: as above; a set only reads the value.
    result(unsafe { larder_fast_set(&mut call) }).map(|_| ())
}

/// Deletes by the fast door: false if it wasn't there.
pub fn fast_delete(cache: &Cache, key: &[u8]) -> Result<bool, Fast> {
    let mut call = call(cache, key, (std::ptr::null_mut(), 0), None);
    // SAFETY: as above.
    result(unsafe { larder_fast_delete(&mut call) })
}
