//! Time of an operation. All caches are filled first; then, for every case, they take turns, each round starting with
//! another one, and the median of the rounds counts.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::caches::{self, Cache, Capacity};
use crate::keys::{self, Key, Random, Zipf};
use crate::table;

const BATCH: usize = 256;
const SET: u32 = 1 << 31;

/// What to measure.
pub struct Plan {
    pub caches: Vec<String>,
    /// Entries and bytes of a value.
    pub groups: Vec<(usize, usize)>,
    pub rounds: usize,
    pub round: Duration,
}

#[derive(Clone, Copy, PartialEq)]
enum Case {
    GetHit,
    GetMiss,
    Mixed,
    SetOverwrite,
    SetEvicting,
}

const CASES: [(Case, &str); 5] = [
    (Case::GetHit, "get-hit"),
    (Case::GetMiss, "get-miss"),
    (Case::Mixed, "mixed 90/10"),
    (Case::SetOverwrite, "set-overwrite"),
    (Case::SetEvicting, "set-evicting"),
];

/// The keys and the orders in which they are used.
struct Work {
    keys: Vec<Key>,
    absent: Vec<Key>,
    uniform: Vec<u32>,
    zipfian: Vec<u32>,
    size: usize,
}

impl Work {
    fn new(entries: usize, size: usize) -> Work {
        let mut random = Random(11);
        let length = (2 * entries).next_power_of_two().clamp(1 << 16, 1 << 23);
        let zipf = Zipf::new(0.99, entries);
        let mut shuffled: Vec<u32> = (0..entries as u32).collect();
        for i in (1..entries).rev() {
            shuffled.swap(i, random.below(i + 1));
        }
        Work {
            keys: (0..entries as u64).map(keys::key).collect(),
            absent: (0..entries as u64).map(|id| keys::key(id + (1 << 50))).collect(),
            uniform: (0..length).map(|_| random.below(entries) as u32).collect(),
            zipfian: (0..length)
                .map(|_| {
                    shuffled[zipf.next(&mut random)] | if random.below(10) == 0 { SET } else { 0 }
                })
                .collect(),
            size,
        }
    }
}

/// One thread's place in the orders, and its buffers.
struct Worker {
    at: usize,
    next: u64,
    value: Vec<u8>,
    out: Vec<u8>,
}

#[derive(Default)]
struct Count {
    ops: usize,
    misses: usize,
    wrong: usize,
    refused: usize,
}

impl Worker {
    fn new(number: usize, size: usize) -> Worker {
        Worker {
            at: number * 7919 * BATCH,
            next: (number as u64 + 1) << 40,
            value: vec![1; size],
            out: Vec::with_capacity(size + 64),
        }
    }

    fn check(&mut self, cache: &dyn Cache, key: &[u8], size: usize, count: &mut Count) {
        if !cache.get(key, &mut self.out) {
            count.misses += 1;
        } else if !keys::is_value(&self.out, key, size) {
            count.wrong += 1;
        }
    }

    fn set(&mut self, cache: &dyn Cache, key: &[u8], count: &mut Count) {
        keys::stamp(&mut self.value, key);
        if !cache.set(key, &self.value) {
            count.refused += 1;
        }
    }

    fn batch(&mut self, case: Case, cache: &dyn Cache, work: &Work, count: &mut Count) {
        let mask = work.uniform.len() - 1;
        for _ in 0..BATCH {
            self.at = (self.at + 1) & mask;
            match case {
                Case::GetHit => {
                    self.check(cache, &work.keys[work.uniform[self.at] as usize], work.size, count)
                }
                Case::GetMiss => {
                    if cache.get(&work.absent[work.uniform[self.at] as usize], &mut self.out) {
                        count.wrong += 1;
                    }
                }
                Case::Mixed => {
                    let index = work.zipfian[self.at];
                    let key = &work.keys[(index & !SET) as usize];
                    if index & SET == 0 {
                        self.check(cache, key, work.size, count);
                    } else {
                        self.set(cache, key, count);
                    }
                }
                Case::SetOverwrite => {
                    self.set(cache, &work.keys[work.uniform[self.at] as usize], count)
                }
                Case::SetEvicting => {
                    self.next += 1;
                    self.set(cache, &keys::key(self.next), count);
                }
            }
        }
        count.ops += BATCH;
    }
}

/// User and system time of the process.
fn cpu() -> Duration {
    // SAFETY: an all-zero rusage is a valid value, and getrusage fills in the one it is given.
    let usage = unsafe {
        let mut usage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, &mut usage), 0);
        usage
    };
    let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// Runs a case for a while. Returns nanoseconds an operation, wall and CPU, and the counts.
fn run(
    case: Case,
    cache: &dyn Cache,
    work: &Work,
    workers: &mut [Worker],
    time: Duration,
) -> (f64, f64, Count) {
    let barrier = Barrier::new(workers.len() + 1);
    let mut sum = Count::default();
    let (mut start, mut used) = (Instant::now(), cpu());
    std::thread::scope(|scope| {
        let threads: Vec<_> = workers
            .iter_mut()
            .map(|worker| {
                let barrier = &barrier;
                scope.spawn(move || {
                    let mut count = Count::default();
                    barrier.wait();
                    let begin = Instant::now();
                    while begin.elapsed() < time {
                        worker.batch(case, cache, work, &mut count);
                    }
                    count
                })
            })
            .collect();
        (start, used) = (Instant::now(), cpu());
        barrier.wait();
        for thread in threads {
            let count = thread.join().expect("a worker panicked");
            sum.ops += count.ops;
            sum.misses += count.misses;
            sum.wrong += count.wrong;
            sum.refused += count.refused;
        }
    });
    let per_op = |d: Duration| d.as_nanos() as f64 / sum.ops as f64;
    (per_op(start.elapsed()), per_op(cpu() - used), sum)
}

/// Sets what is missing, until nothing is.
fn fill(cache: &dyn Cache, work: &Work, worker: &mut Worker) {
    for _ in 0..4 {
        let mut missing = 0;
        for key in &work.keys {
            if !cache.get(key, &mut worker.out) {
                missing += 1;
                worker.set(cache, key, &mut Count::default());
            }
        }
        if missing == 0 {
            return;
        }
    }
}

/// Measures and prints; an error if a value was wrong.
pub fn measure(plan: &Plan) -> Result<(), String> {
    for &(entries, size) in &plan.groups {
        let work = Work::new(entries, size);
        let mut header = vec!["case, threads".to_string()];
        header.extend(plan.caches.iter().cloned());
        header.extend(["best peer", "larder / best", "CPU / best CPU"].map(String::from));
        let mut rows = Vec::new();
        for evicting in [false, true] {
            let capacity = Capacity {
                entries: if evicting { entries } else { 2 * entries },
                entry_bytes: 24 + size,
            };
            let made: Result<Vec<_>, _> =
                plan.caches.iter().map(|name| caches::make(name, capacity)).collect();
            let made = made?;
            let mut workers: Vec<Vec<Worker>> =
                made.iter().map(|_| (0..2).map(|n| Worker::new(n, size)).collect()).collect();
            for (cache, workers) in made.iter().zip(&mut workers) {
                if evicting {
                    for _ in 0..3 * entries / 2 / BATCH {
                        workers[0].batch(Case::SetEvicting, &**cache, &work, &mut Count::default());
                    }
                }
            }
            for &(case, name) in
                CASES.iter().filter(|(case, _)| (*case == Case::SetEvicting) == evicting)
            {
                for threads in [1, 2] {
                    let mut results = vec![(Vec::new(), Vec::new(), Count::default()); made.len()];
                    for round in 0..plan.rounds {
                        for turn in 0..made.len() {
                            let i = (turn + round) % made.len();
                            let (cache, workers) = (&*made[i], &mut workers[i]);
                            if !evicting {
                                fill(cache, &work, &mut workers[0]);
                            }
                            run(case, cache, &work, &mut workers[..threads], plan.round / 8);
                            let (wall, cpu, count) =
                                run(case, cache, &work, &mut workers[..threads], plan.round);
                            if count.wrong > 0 {
                                return Err(format!(
                                    "{} returned {} wrong values",
                                    plan.caches[i], count.wrong
                                ));
                            }
                            results[i].0.push(wall);
                            results[i].1.push(cpu);
                            results[i].2.ops += count.ops;
                            results[i].2.misses += count.misses;
                            results[i].2.refused += count.refused;
                        }
                    }
                    rows.push(row(&format!("{name}, {threads}"), &plan.caches, results));
                }
            }
        }
        println!(
            "\n{entries} entries of {size} bytes: ns per operation, wall (CPU); medians of {} rounds\n",
            plan.rounds
        );
        table::print(&header, &rows);
    }
    println!(
        "\n\"?n\": n per thousand gets missed that should have hit. \"!n\": n per thousand sets were refused."
    );
    Ok(())
}

impl Clone for Count {
    fn clone(&self) -> Count {
        Count { ..*self }
    }
}

fn row(name: &str, caches: &[String], results: Vec<(Vec<f64>, Vec<f64>, Count)>) -> Vec<String> {
    let mut cells = vec![name.to_string()];
    let (mut mine, mut best, mut best_cpu) = (None, (f64::INFINITY, "-"), f64::INFINITY);
    for (cache, (mut wall, mut cpu, count)) in caches.iter().zip(results) {
        let (wall, cpu) = (table::median(&mut wall), table::median(&mut cpu));
        let mut cell = format!("{wall:.0} ({cpu:.0})");
        for (mark, n) in [('?', count.misses), ('!', count.refused)] {
            let share = 1000 * n / count.ops.max(1);
            if share > 0 {
                cell += &format!(" {mark}{share}");
            }
        }
        cells.push(cell);
        if cache == "larder" {
            mine = Some((wall, cpu));
        } else if wall < best.0 {
            best = (wall, cache);
        }
        if cache != "larder" {
            best_cpu = best_cpu.min(cpu);
        }
    }
    cells.push(best.1.to_string());
    match mine {
        Some((wall, cpu)) if best.0.is_finite() => {
            cells.push(format!("{:.2}", wall / best.0));
            cells.push(format!("{:.2}", cpu / best_cpu));
        }
        _ => cells.extend(["-".to_string(), "-".to_string()]),
    }
    cells
}
