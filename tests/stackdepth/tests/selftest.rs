//! The check checked: fixtures that must pass with the depth they have, and fixtures that must
//! fail, each for its reason.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use larder_stackdepth::chain::{Graph, Report};
use larder_stackdepth::image::Image;

/// The forms in which a library may be given to the check.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Object,
    Archive,
    Shared,
}

/// Compiles a fixture and returns the file.
fn compile(fixture: &str, form: Form) -> PathBuf {
    let source =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format!("{fixture}.rs"));
    // One file per test thread and form: tests run side by side.
    let thread = format!("{:?}", std::thread::current().id()).replace(['(', ')'], "");
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{fixture}-{form:?}-{thread}"));
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    run(Command::new(rustc)
        .args([
            "--edition=2024",
            "--crate-type=lib",
            "--emit=obj",
            "-Copt-level=2",
            "-Cpanic=abort",
            "-Crelocation-model=pic",
        ])
        .arg("-Ccodegen-units=1")
        .arg(&source)
        .arg("-o")
        .arg(out.with_extension("o")));
    let (object, archive, shared) =
        (out.with_extension("o"), out.with_extension("a"), out.with_extension("so"));
    match form {
        Form::Object => object,
        Form::Archive => {
            let _ = std::fs::remove_file(&archive);
            run(Command::new("ar").arg("rcs").arg(&archive).arg(&object));
            archive
        }
        Form::Shared => {
            run(Command::new("cc")
                .args(["-shared", "-nostdlib", "-Wl,-z,lazy"])
                .arg(&object)
                .arg("-o")
                .arg(&shared));
            shared
        }
    }
}

fn run(command: &mut Command) {
    let out: Output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(out.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&out.stderr));
}

fn report(fixture: &str, form: Form, function: &str) -> Report {
    let bytes = std::fs::read(compile(fixture, form)).unwrap();
    let image = Image::parse(&bytes).unwrap();
    let roots = image.exports("larder_fast_");
    let root =
        roots.iter().find(|f| f.name == function).unwrap_or_else(|| panic!("{function} not found"));
    Graph::new(&image).report(root)
}

/// The one failure that is expected, and its chain.
#[track_caller]
fn fails_with(report: &Report, what: &str) -> Vec<String> {
    let found = report.failures.iter().find(|f| f.what.contains(what));
    found
        .unwrap_or_else(|| panic!("no failure about {what:?} in {report:#?}"))
        .names()
        .into_iter()
        .map(Into::into)
        .collect()
}

#[test]
fn ordinary_code_passes_in_every_form() {
    let mut depths = Vec::new();
    for form in [Form::Object, Form::Archive, Form::Shared] {
        let report = report("fits", form, "larder_fast_fits");
        // Linking replaced nothing here, but -z lazy leaves the slots of the global offset table
        // bound at load time.
        assert!(report.failures.is_empty(), "{form:?}: {report:#?}");
        assert!(report.chain.len() >= 3, "through copy to memcpy: {report:#?}");
        depths.push(report.depth);
    }
    // A buffer of 64, memcpy's allowance of 256, and return addresses; nowhere near a frame.
    assert!(depths.iter().all(|d| (336..600).contains(d)), "{depths:?}");
    assert!(depths.iter().all(|d| *d == depths[0]), "{depths:?}");
}

#[test]
fn depths_are_exact() {
    for (function, depth) in [
        ("larder_fast_exact_call", 8 + 32 + 8 + 40),
        ("larder_fast_exact_tail", 8 + 32 + 8 + 40),
        ("larder_fast_exact_aligned", 8 + 104 + 56),
        ("larder_fast_exact_got", 8 + 16 + 8 + 256),
    ] {
        for form in [Form::Object, Form::Shared] {
            let report = report("exact", form, function);
            assert!(report.failures.is_empty(), "{form:?}: {report:#?}");
            assert_eq!(report.depth, depth, "{function} as {form:?}: {report:#?}");
        }
    }
}

#[test]
fn a_deep_chain_is_measured() {
    for form in [Form::Object, Form::Shared] {
        let report = report("deep", form, "larder_fast_deep");
        assert!((4096..4096 + 512).contains(&report.depth), "{form:?}: {report:#?}");
        let names: Vec<&str> = report.chain.iter().map(|l| l.name.as_str()).collect();
        assert_eq!(names, ["larder_fast_deep", "deep::middle", "deep::bottom"]);
    }
}

#[test]
fn a_frame_of_many_pages_fails() {
    fails_with(&report("huge", Form::Object, "larder_fast_huge"), "stack pointer differs");
}

#[test]
fn recursion_fails() {
    let chain =
        fails_with(&report("recursion", Form::Object, "larder_fast_recursion"), "recursion");
    assert_eq!(chain.first().map(String::as_str), Some("larder_fast_recursion"));
    assert!(chain.iter().any(|f| f == "recursion::odd"), "{chain:?}");
}

#[test]
fn an_unknown_indirect_call_fails() {
    fails_with(&report("indirect", Form::Object, "larder_fast_indirect"), "indirect call");
}

#[test]
fn a_reachable_panic_fails_with_its_chain() {
    let chain =
        fails_with(&report("panics", Form::Object, "larder_fast_panics"), "a panic is reachable");
    assert_eq!(chain[..2], ["larder_fast_panics", "panics::pick"]);
    assert!(chain[2].contains("panic_bounds_check"), "{chain:?}");
}

#[test]
fn an_unlisted_external_function_fails() {
    let chain =
        fails_with(&report("external", Form::Object, "larder_fast_external"), "not on the list");
    assert_eq!(chain, ["larder_fast_external", "usleep"]);
}

#[test]
fn lazy_binding_fails() {
    for form in [Form::Object, Form::Shared] {
        fails_with(&report("lazy", form, "larder_fast_lazy"), "bound on first use");
    }
}

#[test]
fn code_that_cannot_be_followed_fails() {
    let on = |function| report("unbalanced", Form::Object, function);
    fails_with(&on("larder_fast_alloca"), "does not follow");
    fails_with(&on("larder_fast_returns"), "elsewhere than at entry");
    fails_with(&on("larder_fast_syscall"), "system call");
}

/// The command itself: exit status and the table, over and under the limit.
#[test]
fn the_command_compares_with_the_frame() {
    let lib = compile("deep", Form::Archive);
    let check = |frame: &str| {
        Command::new(env!("CARGO_BIN_EXE_larder-stackdepth"))
            .arg("--lib")
            .arg(&lib)
            .args(["--frame", frame])
            .output()
            .unwrap()
    };
    let over = check("2560");
    let text = String::from_utf8_lossy(&over.stdout);
    assert_eq!(over.status.code(), Some(1), "{text}");
    assert!(text.contains("exceed the limit of 2048") && text.contains("deep::bottom"), "{text}");
    let under = check("65536");
    assert_eq!(under.status.code(), Some(0), "{}", String::from_utf8_lossy(&under.stdout));
}

#[test]
fn a_library_without_fast_functions_is_an_error() {
    let lib = compile("external", Form::Archive);
    let out = Command::new(env!("CARGO_BIN_EXE_larder-stackdepth"))
        .arg("--lib")
        .arg(&lib)
        .args(["--frame", "8192", "--prefix", "no_such_"])
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(2));
}
