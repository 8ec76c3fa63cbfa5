//! The server: `larder-server --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    larder_server::process::main(|_, _| None)
}
