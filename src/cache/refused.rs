//! Memory refused, one request after the other: address space, pages of the budget, ghosts, tables,
//! the thread. Whatever comes of it is a status, and a cache that goes on.

use crate::cache::background;
use crate::sys::os::{Ask, refusals};
use crate::{Cache, Error, NamespaceOptions, Options, Policy, Reasons, SetOptions, Ttl};
use std::time::Duration;

/// What a call may come to that was refused memory.
fn status<T>(result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(done) => Some(done),
        Err(Error::OutOfMemory | Error::Full | Error::InvalidOptions(_)) => None,
        Err(error) => panic!("{error}"),
    }
}

/// Most of what a cache does that takes memory, and gives it back.
fn live(policy: Policy) -> Option<Cache> {
    let options = Options {
        policy,
        stripes: 2,
        event_bytes: 16 << 10,
        events: Reasons::ALL,
        ..Options::new(2 << 20)
    };
    let cache = status(Cache::new(options))?;
    let namespace = status(
        cache.namespace("n", NamespaceOptions { stripes: 1, ..NamespaceOptions::default() }),
    );
    let tags: [&[u8]; 2] = [b"a", b"b"];
    let tagged = SetOptions { tags: &tags, ..SetOptions::from(Ttl::Millis(1)) };
    for round in 0..3u64 {
        for i in 0..6_000u64 {
            status(cache.set(&i.to_le_bytes(), &vec![1; 40 + 100 * (round % 2) as usize]));
        }
        for i in 0..100 {
            status(cache.set_with(format!("tagged {i}").as_bytes(), &[2; 30], &tagged));
            status(cache.set(format!("run {}", i % 30).as_bytes(), &vec![3; 5_000 + 100 * i]));
            status(cache.invalidate_tag(format!("tag {i}").as_bytes(), i % 2 == 0));
        }
        if let Some(namespace) = &namespace {
            for i in 0..1_000u64 {
                status(namespace.set(&i.to_le_bytes(), &[4; 100]));
            }
        }
        // Not pinned meanwhile: other tests wait for what they gave up.
        background::sweep(&cache.hold().unwrap());
        status(cache.settle_tags());
        status(cache.resize([1, 2, 3][round as usize] << 20));
        cache.check();
    }
    status(cache.clear());
    for i in 0..2_000u64 {
        status(cache.set(&i.to_le_bytes(), &[1; 100]));
    }
    cache.check();
    Some(cache)
}

/// With nothing refused any more it does what any cache does.
fn goes_on(cache: &Cache) {
    cache.check();
    for i in 0..500u64 {
        cache.set(&i.to_le_bytes(), &[5; 100]).unwrap();
        assert_eq!(cache.get(&i.to_le_bytes()).as_deref(), Some(&[5; 100][..]));
    }
    cache.check();
}

fn each_policy(f: impl Fn(Policy)) {
    [Policy::Cellar, Policy::Lru, Policy::S3Fifo].into_iter().for_each(f);
}

#[test]
fn any_one_request_may_be_refused() {
    each_policy(|policy| {
        let asked = refusals::with(|_, _| false, || live(policy)).1;
        assert!(asked > 100, "{asked}");
        // All of the first, where a cache is made, and some of the others.
        for n in (0..40).chain((40..asked).step_by(asked as usize / 40)) {
            let cache = refusals::with(move |_, i| i == n, || live(policy)).0;
            cache.iter().for_each(goes_on);
        }
    });
}

#[test]
fn many_may_be_refused_in_a_row_or_at_random() {
    each_policy(|policy| {
        for first in [0, 5, 20, 60, 200] {
            let cache =
                refusals::with(move |_, i| (first..first + 30).contains(&i), || live(policy)).0;
            cache.iter().for_each(goes_on);
        }
        for seed in 1..20u64 {
            let mut random = seed;
            let plan = move |_, _| {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (random >> 33).is_multiple_of(2 + seed % 7)
            };
            let cache = refusals::with(plan, || live(policy)).0;
            cache.iter().for_each(goes_on);
        }
    });
}

/// In a process of its own, where nobody has started the thread.
#[test]
fn without_the_thread_memory_is_touched_all_the_same_and_it_is_tried_again() {
    const CHILD: &str = "LARDER_TEST_WITHOUT_THREAD";
    if std::env::var_os(CHILD).is_none() {
        let name =
            "refused::without_the_thread_memory_is_touched_all_the_same_and_it_is_tried_again";
        let test = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        assert!(test.status.success(), "{}", String::from_utf8_lossy(&test.stderr));
        return;
    }
    let filled = || {
        let cache = Cache::new(Options { stripes: 2, ..Options::new(64 << 20) }).unwrap();
        let mut slow = 0;
        for i in 0..300_000u64 {
            if !cache.set_by_the_fast_door(&i.to_le_bytes(), &[1; 100]) {
                slow += 1;
                cache.set(&i.to_le_bytes(), &[1; 100]).unwrap();
            }
        }
        (cache, slow)
    };
    let ((cache, slow), _) = refusals::with(|ask, _| ask == Ask::Thread, filled);
    assert!(!background::is_running());
    // Not for each of the thousand segments, but for each 2 MiB and each growth of the index.
    assert!(slow < 400, "{slow}");
    cache.check();
    let begun = std::time::Instant::now();
    while !background::is_running() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it was not tried again");
        crate::sync::waker::wake_now();
        std::thread::sleep(Duration::from_millis(20));
    }
}
