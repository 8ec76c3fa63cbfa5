//! larder's core beside other Rust caches: time of an operation, and resident bytes of an entry.
//!
//! `larder-bench [speed|memory] [--full] [--caches a,b] [--groups 10000x64,...] [--entries n]`; without a command, both.

mod caches;
mod keys;
mod memory;
mod speed;
mod table;

use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("larder-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<(), String> {
    if let [command, name, entries] = args
        && command == memory::CHILD
    {
        return memory::child(name, number(entries)?);
    }
    let mut plan = speed::Plan {
        caches: caches::NAMES.map(String::from).to_vec(),
        groups: vec![(10_000, 64), (10_000, 1024), (1_000_000, 100)],
        rounds: 3,
        round: Duration::from_millis(150),
    };
    let (mut entries, mut command) = (1_000_000, None);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "speed" | "memory" => command = Some(arg.as_str()),
            "--full" => {
                plan.groups = vec![(10_000, 64), (10_000, 1024), (10_000, 8192), (2_000_000, 100)];
                (plan.rounds, plan.round) = (7, Duration::from_millis(400));
                entries = 2_000_000;
            }
            "--caches" => plan.caches = value()?.split(',').map(String::from).collect(),
            "--groups" => plan.groups = value()?.split(',').map(group).collect::<Result<_, _>>()?,
            "--entries" => entries = number(value()?)?,
            _ => return Err(format!("unknown argument {arg:?}; see the top of src/main.rs")),
        }
    }
    if command != Some("memory") {
        speed::measure(&plan)?;
    }
    if command != Some("speed") {
        memory::measure(&plan.caches, entries)?;
    }
    Ok(())
}

fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

fn group(text: &str) -> Result<(usize, usize), String> {
    let (entries, size) = text.split_once('x').ok_or(format!("{text:?} is not entries x bytes"))?;
    let (entries, size) = (number(entries)?, number(size)?);
    if size < 8 {
        return Err("values must be 8 bytes or more, to carry their key's tag".to_string());
    }
    Ok((entries, size))
}
