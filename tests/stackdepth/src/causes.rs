//! Failures, gathered for reading: what a lock or an allocator does further down is one finding, at
//! the place where the library's own code calls it, however many fast functions come by.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use crate::chain::Failure;
use crate::image::Func;

/// All that was found, by the last function of the library's own and the first that is not.
#[derive(Default)]
pub struct Causes(BTreeMap<(String, String), Cause>);

struct Cause {
    what: BTreeSet<String>,
    /// Calls from the one function to the other.
    sites: BTreeSet<u64>,
    roots: BTreeSet<String>,
    example: Vec<String>,
}

impl Causes {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Files what was found below a fast function.
    pub fn add(&mut self, root: &Func, failures: Vec<Failure>) {
        for failure in failures {
            let own = |name: &str| name.starts_with("larder") || name.starts_with("<larder");
            let last = failure.chain.len() - 1;
            let first_foreign =
                failure.chain.iter().position(|step| !own(&step.name)).unwrap_or(last);
            let caller = failure.chain[first_foreign.saturating_sub(1)].name.clone();
            let callee = &failure.chain[first_foreign];
            let cause = self.0.entry((caller, callee.name.clone())).or_insert_with(|| Cause {
                what: BTreeSet::new(),
                sites: BTreeSet::new(),
                roots: BTreeSet::new(),
                example: failure.names().into_iter().map(Into::into).collect(),
            });
            cause.what.insert(failure.what);
            cause.sites.extend(callee.called_at);
            cause.roots.insert(root.name.clone());
        }
    }

    /// A paragraph a cause. With `lib` a shared library that has line tables, and `addr2line` at
    /// hand, the places in the source too.
    pub fn render(&self, lib: &Path) -> String {
        let mut text = String::new();
        for ((caller, callee), cause) in &self.0 {
            writeln!(text, "FAIL {caller} > {callee}").expect("to memory");
            let mut what: Vec<&str> = cause.what.iter().map(String::as_str).collect();
            let more = what.len().saturating_sub(3);
            what.truncate(3);
            for what in what {
                writeln!(text, "     {what}").expect("to memory");
            }
            if more > 0 {
                writeln!(text, "     and {more} other reasons").expect("to memory");
            }
            let places: BTreeSet<String> =
                cause.sites.iter().filter_map(|site| source_line(lib, *site)).collect();
            if !places.is_empty() {
                let places: Vec<String> = places.into_iter().collect();
                writeln!(text, "     at {}", places.join(", ")).expect("to memory");
            }
            let roots: Vec<&str> = cause.roots.iter().map(String::as_str).collect();
            writeln!(
                text,
                "     from {}; for example {}",
                roots.join(", "),
                cause.example.join(" > ")
            )
            .expect("to memory");
        }
        text
    }
}

/// The innermost line of this project at an address, through what was inlined there.
fn source_line(lib: &Path, address: u64) -> Option<String> {
    if lib.extension()? != "so" {
        return None;
    }
    let out = Command::new("addr2line")
        .arg("-i")
        .arg("-e")
        .arg(lib)
        .arg(format!("{address:#x}"))
        .output()
        .ok()?;
    let text = String::from_utf8(out.stdout).ok()?;
    let line = text.lines().find(|line| {
        line.contains("/src/") && !line.contains("/rustc/") && !line.contains("/.cargo/")
    })?;
    let from = line.rfind("/src/")? + 1;
    Some(line[from..].split(" (disc").next()?.to_owned())
}
