//! A program that drops its privileges when it has made its caches, and with them `membarrier`,
//! goes on.
//!
//! One test in a program of its own: a filter can't be taken off again.
#![cfg(target_os = "linux")]

use larder::{Cache, Options};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

mod support;
use support::{Over, team};

const KEYS: u64 = 200;
const LEN: usize = 3_000;

/// Has `membarrier` fail in all threads from now on. False where filters can't be put on.
fn forbid_membarrier() -> bool {
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let mut program = [
        // The number of the call.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        libc::sock_filter {
            code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
            jt: 0,
            jf: 1,
            k: libc::SYS_membarrier as u32,
        },
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: a valid program, which is copied. It forbids one call, to all threads.
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                libc::SECCOMP_FILTER_FLAG_TSYNC,
                &raw const program,
            ) == 0
    }
}

fn value(key: u64, version: u64) -> Vec<u8> {
    let mut value = vec![(key ^ version) as u8; LEN];
    value[..8].copy_from_slice(&key.to_le_bytes());
    value[8..16].copy_from_slice(&version.to_le_bytes());
    value
}

fn check(key: u64, value: &[u8]) {
    let version = u64::from_le_bytes(value[8..16].try_into().unwrap());
    assert_eq!(value[..8], key.to_le_bytes());
    assert!(
        value[16..].iter().all(|&byte| byte == (key ^ version) as u8),
        "a torn value of key {key}"
    );
}

#[test]
fn caches_outlive_a_filter_that_forbids_membarrier() {
    // A few more keys than there is room for: each set gives up what another read.
    let cache = Cache::new(Options { stripes: 1, ..Options::new(512 << 10) }).unwrap();
    let other = Cache::new(Options::new(1 << 20)).unwrap();
    other.set(b"key", b"value").unwrap();
    let (over, sets) = (AtomicBool::new(false), AtomicU64::new(0));
    team(|team| {
        let _over = Over(&over);
        for t in 0..2u64 {
            let (cache, over) = (&cache, &over);
            team.spawn(move || {
                for i in t.. {
                    if over.load(Ordering::Acquire) {
                        break;
                    }
                    let key = i * 11 % KEYS;
                    if let Some(value) = cache.get(&key.to_le_bytes()) {
                        check(key, &value);
                    }
                }
            });
        }
        // While there are readers, and before they are told to pay for barriers since there are
        // many.
        if !forbid_membarrier() {
            eprintln!("no filter can be put on here");
            sets.store(20_000, Ordering::Relaxed);
            return;
        }
        for t in 0..2u64 {
            let (cache, over, sets) = (&cache, &over, &sets);
            team.spawn(move || {
                let _over = Over(over);
                for i in (t..).take(20_000) {
                    let key = i * 7 % KEYS;
                    cache.set(&key.to_le_bytes(), &value(key, i)).unwrap();
                    sets.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        team.join();
    });
    assert!(sets.into_inner() >= 20_000);
    cache.check();
    cache.clear().unwrap();
    cache.close();
    assert_eq!(other.get(b"key").as_deref(), Some(&b"value"[..]));
    other.close();
    let late = Cache::new(Options::new(1 << 20)).unwrap();
    for i in 0..10_000u64 {
        late.set(&i.to_le_bytes(), &[1; 200]).unwrap();
    }
    late.check();
}
