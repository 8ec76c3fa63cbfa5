//! What a linker must be told; and with the feature `header` the C headers, from src/ffi
//! (build/header.rs).
//!
//! The headers are committed: C and Go programs build without that feature, and whoever depends on
//! the crate compiles no generator. `make header` and `make lib` turn it on, `make header-check`
//! fails when the committed headers are stale.

#[cfg(feature = "header")]
#[path = "build/header.rs"]
mod header;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The background thread runs on after a dlclose: the code must stay. Only ELF has a word for that.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
    #[cfg(feature = "header")]
    header::write();
}
