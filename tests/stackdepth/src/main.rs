//! `stackdepth --lib FILE (--fastcall DIRECTORY | --frame BYTES) [--prefix NAME]`: prints each
//! function's depth and deepest chain. Exits with 1 when a depth is unproven or over the limit,
//! with 2 when the check can't run.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use larder_stackdepth::causes::Causes;
use larder_stackdepth::chain::{Graph, Link};
use larder_stackdepth::door;
use larder_stackdepth::image::Image;

struct Options {
    lib: PathBuf,
    frame: u64,
    prefix: String,
}

fn options() -> Result<Options, String> {
    let (mut lib, mut frame, mut prefix) = (None, None, "larder_fast_".to_owned());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
        match arg.as_str() {
            "--lib" => lib = Some(PathBuf::from(value)),
            "--fastcall" => frame = Some(door::declared_frame(Path::new(&value))?),
            "--frame" => frame = Some(value.parse().map_err(|_| format!("not a number: {value}"))?),
            "--prefix" => prefix = value,
            _ => return Err(format!("unknown option {arg}")),
        }
    }
    Ok(Options {
        lib: lib.ok_or("--lib FILE is needed")?,
        frame: frame.ok_or("--fastcall DIRECTORY or --frame BYTES is needed")?,
        prefix,
    })
}

fn main() -> ExitCode {
    match options().and_then(|o| check(&o)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(message) => {
            eprintln!("stackdepth: {message}");
            ExitCode::from(2)
        }
    }
}

/// Prints the table. Returns whether every function is proven to fit.
fn check(o: &Options) -> Result<bool, String> {
    let bytes = std::fs::read(&o.lib).map_err(|e| format!("{}: {e}", o.lib.display()))?;
    let image = Image::parse(&bytes).map_err(|e| format!("{}: {e}", o.lib.display()))?;
    let roots = image.exports(&o.prefix);
    if roots.is_empty() {
        return Err(format!("{} has no function {}*", o.lib.display(), o.prefix));
    }
    let limit = door::limit(o.frame);
    println!(
        "{}: room for {} bytes, limit {limit} (a fifth must stay free)",
        o.lib.display(),
        o.frame
    );
    println!("{:<28} {:>6} {:>6}  deepest chain (bytes)", "function", "depth", "limit");
    let mut graph = Graph::new(&image);
    let mut good = true;
    let mut causes = Causes::default();
    for root in &roots {
        let report = graph.report(root);
        let depth = report.depth + door::OVERHEAD;
        println!("{:<28} {depth:>6} {limit:>6}  {}", root.name, render(&report.chain));
        if depth > limit {
            good = false;
            println!("    FAIL: {depth} bytes exceed the limit of {limit}");
        }
        causes.add(root, report.failures);
    }
    good &= causes.is_empty();
    print!("{}", causes.render(&o.lib));
    println!("{}", if good { "stack depth: ok" } else { "stack depth: FAILED" });
    Ok(good)
}

fn render(chain: &[Link]) -> String {
    let links: Vec<String> = chain.iter().map(|l| format!("{} ({})", l.name, l.bytes)).collect();
    links.join(" > ")
}
