//! A cache takes address space, and what is charged and locked of it, by its budget; and grows where
//! it lies. Most run in processes of their own, since limits are a process's.

#![cfg(target_os = "linux")]

use larder::{Cache, NamespaceOptions, Options};
use std::time::Duration;

/// Runs a test in a process of its own. Returns whether this is that process.
fn alone() -> bool {
    const CHILD: &str = "LARDER_TEST_ALONE";
    if std::env::var_os(CHILD).is_some() {
        return true;
    }
    let name = std::thread::current().name().expect("a test's").to_owned();
    let test = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = [&test.stdout, &test.stderr].map(|said| String::from_utf8_lossy(said));
    assert!(test.status.success(), "{}{}", said[0], said[1]);
    let told = said[1].lines().filter(|line| line.starts_with("told: "));
    told.for_each(|line| eprintln!("{line}"));
    false
}

/// Bytes of a line of /proc/self/status.
fn status(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let found = status.lines().find_map(|it| it.strip_prefix(line)).unwrap();
    found.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().unwrap() << 10
}

/// Bytes that the process could write to of what is private: what a system that doesn't
/// overcommit would have charged for.
fn charged() -> u64 {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let (mut bytes, mut writable) = (0, false);
    for line in maps.lines() {
        if line.contains(" rw-p ") || line.contains(" ---p ") || line.contains(" r") {
            writable = line.contains(" rw-p ");
        }
        if writable && let Some(size) = line.strip_prefix("Size:") {
            bytes += size.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().unwrap();
        }
    }
    bytes << 10
}

fn set_limit(what: libc::__rlimit_resource_t, bytes: u64) {
    // SAFETY: a valid struct; only the soft limit changes, and may be raised again.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(what, &raw mut limit), 0);
        limit.rlim_cur = bytes.min(limit.rlim_max);
        assert_eq!(libc::setrlimit(what, &raw const limit), 0);
    }
}

fn fill(cache: &Cache, sets: u64, len: usize) {
    for i in 0..sets {
        cache.set(&i.to_le_bytes(), &vec![7; len]).unwrap();
        assert_eq!(cache.get(&i.to_le_bytes()).map(|it| it.len()), Some(len));
    }
}

#[test]
fn under_any_limit_on_address_space_above_the_least_a_cache_works_and_leaves_some() {
    if !alone() {
        return;
    }
    const MAPPED: &str = "VmSize:";
    // The allocator, and the background thread, have what they want from here on.
    fill(&Cache::new(Options::new(1 << 20)).unwrap(), 10_000, 100);
    std::thread::sleep(Duration::from_millis(100));
    let base = status(MAPPED);
    for budget in [1 << 20, 64 << 20] {
        let mut limit = 8 * budget + (128 << 20);
        let (mut lean, mut refused) = (0, false);
        while limit > 0 {
            // The background thread may hold the last one a little longer.
            let begun = std::time::Instant::now();
            while status(MAPPED) > base + (8 << 20) {
                let waited = begun.elapsed();
                assert!(waited < Duration::from_secs(60), "{} are mapped", status(MAPPED));
                std::thread::sleep(Duration::from_millis(1));
            }
            set_limit(libc::RLIMIT_AS, base + (8 << 20) + limit);
            let cache = Cache::new(Options { stripes: 1, ..Options::new(budget) });
            let shared = cache
                .as_ref()
                .is_ok_and(|it| it.namespace("n", NamespaceOptions::default()).is_ok());
            let room = Vec::<u8>::new().try_reserve_exact(6 << 20);
            set_limit(libc::RLIMIT_AS, u64::MAX);
            assert!(room.is_ok(), "{} MiB leave nothing", limit >> 20);
            match cache {
                Ok(cache) => {
                    assert!(!refused, "{limit} of {budget}, and not more?");
                    lean += u64::from(!shared);
                    fill(&cache, 1000, 100);
                }
                Err(error) => {
                    assert!(limit < budget + budget / 2 + (40 << 20), "{limit}: {error}");
                    refused = true;
                }
            }
            limit = limit.saturating_sub(limit / 40 + (64 << 10));
        }
        assert!(refused && lean < 10, "{lean}");
    }
}

#[test]
fn a_small_cache_lives_under_a_limit_of_half_a_gibibyte_and_fills() {
    if !alone() {
        return;
    }
    set_limit(libc::RLIMIT_AS, 512 << 20);
    let caches: Vec<_> = (0..20).map(|_| Cache::new(Options::new(1 << 20)).unwrap()).collect();
    for cache in &caches {
        fill(cache, 20_000, 100);
        assert!(cache.stats().unwrap().bytes > 800 << 10, "{:?}", cache.stats());
        fill(cache, 300, 50_000);
    }
    // What there is no address space for is refused, and nothing is lost.
    let before = caches[0].stats().unwrap();
    assert!(caches[0].resize(4 << 30).is_err());
    assert_eq!(caches[0].stats().unwrap().max_bytes, before.max_bytes);
    assert!(Cache::new(Options::new(1 << 30)).is_err());
    fill(&caches[0], 1000, 100);
}

#[test]
fn thousands_of_caches_take_what_their_budgets_say() {
    if !alone() {
        return;
    }
    let budget = 1 << 20;
    let (mapped, charged_before) = (status("VmSize:"), charged());
    let caches: Vec<_> =
        (0..5_000).map(|_| Cache::new(Options { stripes: 1, ..Options::new(budget) })).collect();
    for (i, cache) in caches.iter().enumerate() {
        let cache = cache.as_ref().unwrap_or_else(|error| panic!("cache {i}: {error}"));
        cache.set(b"key", b"value").unwrap();
    }
    let each = |bytes: u64| bytes / caches.len() as u64;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap().lines().count() as u64;
    eprintln!(
        "told: each has {} KiB mapped, {} charged, {} maps",
        each(status("VmSize:") - mapped) >> 10,
        each(charged() - charged_before) >> 10,
        each(maps)
    );
    assert!(each(status("VmSize:") - mapped) < 6 * budget);
    assert!(each(charged() - charged_before) < 4 * budget);
    // Those that came first, and last, can grow, too.
    for cache in [&caches[0], &caches[4_999]] {
        let cache = cache.as_ref().unwrap();
        cache.resize(100 << 20).unwrap();
        fill(cache, 100_000, 500);
    }
}

#[test]
fn what_is_charged_and_locked_is_about_the_budget_however_far_it_is_resized() {
    if !alone() {
        return;
    }
    // SAFETY: it locks what is there and what comes, and changes nothing.
    let locks = unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) } == 0;
    if !locks {
        eprintln!("told: skipped is the part under mlockall, which is forbidden here");
    }
    let (charged_before, resident) = (charged(), status("VmRSS:"));
    let cache = Cache::new(Options { stripes: 4, ..Options::new(16 << 20) }).unwrap();
    let beside = (charged() - charged_before, status("VmRSS:").saturating_sub(resident));
    assert!(beside.0 < 12 << 20 && beside.1 < 12 << 20, "empty: {beside:?}");
    for budget in [16, 256, 1024, 64u64] {
        cache.resize(budget << 20).unwrap();
        fill(&cache, (budget << 20) / 900, 800);
    }
    let most = 1024 << 20;
    assert!(charged() - charged_before < most + most / 8, "{}", charged() - charged_before);
    assert!(status("VmRSS:") - resident < most + most / 8);
    cache.check();
}

#[test]
fn it_grows_where_it_lies_by_a_thousand_times() {
    let cache = Cache::new(Options { stripes: 4, ..Options::new(1 << 20) }).unwrap();
    let namespace = cache.namespace("n", NamespaceOptions::default()).unwrap();
    fill(&cache, 100, 1000);
    let view = cache.view(&99u64.to_le_bytes()).unwrap().unwrap();
    for budget in [3 << 20, 200 << 20, 1 << 30u64] {
        cache.resize(budget).unwrap();
        fill(&cache, 100_000.min(budget / 2000), 1000);
        fill(&namespace, 100, 100);
    }
    assert_eq!((view.len(), view[999]), (1000, 7));
    cache.resize(16 << 30).unwrap();
    assert!(cache.resize(17 << 30).is_err());
    cache.check();
}
