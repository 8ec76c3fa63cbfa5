//! Does the budget hold? Drives one cache at full load through phases of different value sizes,
//! overwrites, deletes, expiries and resizes, and watches the resident memory of the process. Fails
//! when it has ever grown by more than 1.02 x budget + 8 MiB, or when the cache counts more bytes
//! than its budget.
//!
//! `larder-soak [--budget 64MiB] [--threads 4] [--seconds 3] [--turnovers 2] [--policy default|lru|s3fifo]`
//!
//! A phase lasts at least `--seconds`, and until the budget has been stored `--turnovers` times
//! over (but not over a minute).

mod load;
mod memory;

use std::process::ExitCode;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use larder::{Cache, Options, Policy, Stats};
use load::{Done, PHASES, Phase, Worker};

const MIB: u64 = 1 << 20;
/// Live bytes / budget must not be below this where nothing but eviction removes entries.
const LEAST_LIVE: f64 = 0.2;
const LONGEST: Duration = Duration::from_secs(60);

struct Arguments {
    budget: u64,
    threads: usize,
    seconds: f64,
    turnovers: f64,
    policy: Policy,
}

fn arguments() -> Result<Arguments, String> {
    let mut a = Arguments {
        budget: 64 * MIB,
        threads: 4,
        seconds: 3.0,
        turnovers: 2.0,
        policy: Policy::Default,
    };
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
        let bad = || format!("{name} {value}: not understood");
        match name.as_str() {
            "--budget" => a.budget = size(&value).ok_or_else(bad)?,
            "--threads" => a.threads = value.parse().map_err(|_| bad())?,
            "--seconds" => a.seconds = value.parse().map_err(|_| bad())?,
            "--turnovers" => a.turnovers = value.parse().map_err(|_| bad())?,
            "--policy" => {
                a.policy = match value.as_str() {
                    "default" => Policy::Default,
                    "lru" => Policy::Lru,
                    "s3fifo" => Policy::S3Fifo,
                    _ => return Err(bad()),
                }
            }
            _ => return Err(format!("unknown option {name}")),
        }
    }
    Ok(a)
}

/// `64MiB`, `1GiB`, `512KiB`.
fn size(text: &str) -> Option<u64> {
    let (number, shift) = [("KiB", 10), ("MiB", 20), ("GiB", 30)]
        .iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)))?;
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

fn main() -> ExitCode {
    match arguments() {
        Ok(a) if run(&a) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("larder-soak: {message}");
            ExitCode::from(2)
        }
    }
}

/// What was seen in one phase.
#[derive(Default)]
struct Seen {
    growth: u64,
    most_bytes: u64,
    /// Sums of utilisation (live bytes / budget) over the second half, and their number.
    utilisation: f64,
    samples: f64,
    copied: u64,
    appended: u64,
}

/// Shared by the workers and the watcher. Between two waits at the barrier the workers are at rest.
struct Stage {
    phase: AtomicU64,
    stop: AtomicBool,
    barrier: Barrier,
    done: Done,
}

fn run(a: &Arguments) -> bool {
    let allowed = a.budget + a.budget / 50 + 8 * MIB;
    println!(
        "budget {:.0} MiB, {} threads: resident memory may grow by {:.1} MiB",
        a.budget as f64 / MIB as f64,
        a.threads,
        allowed as f64 / MIB as f64
    );
    let stage = Stage {
        phase: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        barrier: Barrier::new(a.threads + 1),
        done: Done::default(),
    };
    let cache = std::sync::OnceLock::new();
    std::thread::scope(|scope| {
        for t in 0..a.threads {
            let (stage, cache) = (&stage, &cache);
            scope.spawn(move || {
                let mut worker = Worker::new(t as u64 + 1, a.budget);
                stage.barrier.wait();
                loop {
                    stage.barrier.wait();
                    let Some(phase) = PHASES.get(stage.phase.load(Ordering::Relaxed) as usize)
                    else {
                        return;
                    };
                    let cache: &Cache = cache.get().expect("made before the first phase");
                    worker.work(cache, phase, a.budget, &stage.stop, &stage.done);
                    stage.barrier.wait();
                }
            });
        }
        stage.barrier.wait();
        // Twice, so that what the measuring itself allocates is there already.
        memory::resident();
        let baseline = memory::resident();
        let exact = memory::reset_peak();
        if !exact {
            println!("the kernel does not measure peaks here: sampling instead");
        }
        let options = Options { policy: a.policy, ..Options::new(a.budget) };
        let cache = cache.get_or_init(|| Cache::new(options).expect("a cache"));
        watch(a, &stage, cache, baseline, allowed)
    })
}

/// Runs the phases one after another and prints what was seen. Returns whether everything held.
fn watch(a: &Arguments, stage: &Stage, cache: &Cache, baseline: u64, allowed: u64) -> bool {
    println!(
        "{:<28} {:>8} {:>10} {:>12} {:>12} {:>8} {:>8}",
        "phase", "seconds", "stored/MiB", "growth/MiB", "growth/budget", "live", "copied"
    );
    let mut good = true;
    let mut worst = 0;
    for (n, phase) in PHASES.iter().enumerate() {
        stage.phase.store(n as u64, Ordering::Relaxed);
        stage.stop.store(false, Ordering::Relaxed);
        let stored_before = stage.done.stored_bytes.load(Ordering::Relaxed);
        let stored = || stage.done.stored_bytes.load(Ordering::Relaxed) - stored_before;
        let start = Instant::now();
        stage.barrier.wait();
        let seen = observe(a, cache, phase, baseline, start, &stored);
        stage.stop.store(true, Ordering::Relaxed);
        stage.barrier.wait();

        worst = worst.max(seen.growth);
        let utilisation = seen.utilisation / seen.samples.max(1.0);
        let over = seen.growth > allowed || seen.most_bytes > a.budget;
        // A budget is also kept by a cache that keeps nothing.
        let empty = phase.keeps() && utilisation < LEAST_LIVE;
        good &= !over && !empty;
        println!(
            "{:<28} {:>8.1} {:>10.0} {:>12.2} {:>12.3} {:>7.1}% {:>8.2}{}",
            phase.name,
            start.elapsed().as_secs_f64(),
            stored() as f64 / MIB as f64,
            seen.growth as f64 / MIB as f64,
            seen.growth as f64 / a.budget as f64,
            100.0 * utilisation,
            seen.copied as f64 / seen.appended.max(1) as f64,
            if over {
                "  OVER"
            } else if empty {
                "  EMPTY"
            } else {
                ""
            }
        );
    }
    cache.clear().expect("open");
    let after_clear = memory::resident().saturating_sub(baseline);
    cache.close();
    let after_close = memory::resident().saturating_sub(baseline);
    // The workers see that there is no further phase.
    stage.phase.store(PHASES.len() as u64, Ordering::Relaxed);
    stage.barrier.wait();

    let (full, wrong) =
        (stage.done.full.load(Ordering::Relaxed), stage.done.wrong.load(Ordering::Relaxed));
    println!(
        "after clear {:.2} MiB, after close {:.2} MiB; {full} sets found no room, {wrong} wrong answers",
        after_clear as f64 / MIB as f64,
        after_close as f64 / MIB as f64
    );
    let left = memory::largest_mappings(5);
    if after_close > 8 * MIB {
        println!(
            "FAILED: close left {after_close} bytes resident (the load's own buffers are in these, too):"
        );
        for (bytes, huge, name) in left {
            println!("    {:>8} KiB, of them {:>8} huge: {name}", bytes >> 10, huge >> 10);
        }
        good = false;
    }
    if wrong > 0 {
        println!("FAILED: {wrong} wrong answers");
        good = false;
    }
    println!(
        "{}: worst growth of resident memory {:.2} MiB = {:.4} x budget (allowed {:.4})",
        if good { "ok" } else { "FAILED" },
        worst as f64 / MIB as f64,
        worst as f64 / a.budget as f64,
        allowed as f64 / a.budget as f64
    );
    good
}

/// Watches one phase until it has lasted long enough.
fn observe(
    a: &Arguments,
    cache: &Cache,
    phase: &Phase,
    baseline: u64,
    start: Instant,
    stored: &dyn Fn() -> u64,
) -> Seen {
    let mut seen = Seen::default();
    let exact = memory::reset_peak();
    let at_start = cache.stats().expect("open");
    let enough = (a.budget as f64 * a.turnovers) as u64;
    let mut halved = false;
    loop {
        std::thread::sleep(Duration::from_millis(5));
        let elapsed = start.elapsed();
        let progress =
            (elapsed.as_secs_f64() / a.seconds).min(stored() as f64 / enough.max(1) as f64);
        let resident = if exact { memory::peak() } else { memory::resident() };
        seen.growth = seen.growth.max(resident.saturating_sub(baseline));
        let stats: Stats = cache.stats().expect("open");
        seen.most_bytes = seen.most_bytes.max(stats.bytes);
        if progress >= 0.5 {
            seen.utilisation += stats.live_bytes as f64 / stats.max_bytes as f64;
            seen.samples += 1.0;
        }
        if phase.resize {
            halved = !halved;
            // Full: readers hold what would have to go; the next round tries again.
            let _ = cache.resize(if halved { a.budget / 2 } else { a.budget });
        }
        if progress >= 1.0 || elapsed >= LONGEST {
            break;
        }
    }
    if phase.resize {
        let _ = cache.resize(a.budget);
    }
    let stats = cache.stats().expect("open");
    seen.copied = stats.copied_bytes - at_start.copied_bytes;
    seen.appended = stats.appended_bytes - at_start.appended_bytes;
    seen
}
