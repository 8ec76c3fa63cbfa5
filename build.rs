//! Writes include/larder.h from src/ffi, when it has changed.
//!
//! The header is committed, so that C and Go programs build without running this; `make header-check` fails when the
//! committed one is stale.

use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-changed=src/ffi");
    println!("cargo:rerun-if-changed=cbindgen.toml");
    println!("cargo:rerun-if-changed=src/ffi/preamble.h");
    // The background thread runs on after a dlclose: the code must stay.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let root = Path::new(&root);
    let mut config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml");
    let version = env::var("CARGO_PKG_VERSION").expect("cargo sets it");
    let part = |name: &str| env::var(format!("CARGO_PKG_VERSION_{name}")).expect("cargo sets it");
    config.header = Some(fs::read_to_string(root.join("src/ffi/preamble.h")).expect("preamble.h"));
    config.after_includes = Some(format!(
        "\n/* A cache. */\ntypedef struct larder_cache larder_cache;\n\n#define LARDER_VERSION \"{version}\"\n#define LARDER_VERSION_MAJOR {}\n#define LARDER_VERSION_MINOR {}\n\
         #define LARDER_VERSION_PATCH {}\n",
        part("MAJOR"),
        part("MINOR"),
        part("PATCH"),
    ));
    let bindings = cbindgen::Builder::new()
        .with_config(config)
        .with_src(root.join("src/ffi/types.rs"))
        .with_src(root.join("src/ffi/basic.rs"))
        .with_src(root.join("src/ffi/events.rs"))
        .with_src(root.join("src/ffi/call.rs"))
        .with_src(root.join("src/ffi/many.rs"))
        .with_src(root.join("src/ffi/conditional.rs"))
        .with_src(root.join("src/ffi/loads.rs"))
        .with_src(root.join("src/ffi/namespaces.rs"))
        .with_src(root.join("src/ffi/clock.rs"))
        .generate()
        .expect("src/ffi is what cbindgen understands");
    let mut header = Vec::new();
    bindings.write(&mut header);
    let target = root.join("include/larder.h");
    if fs::read(&target).ok().as_deref() != Some(&header) {
        // In a read-only checkout (a package manager's) the committed header serves.
        let _ = fs::create_dir_all(root.join("include")).and_then(|()| fs::write(&target, &header));
    }
}
