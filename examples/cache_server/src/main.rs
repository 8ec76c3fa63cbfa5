//! The server: `larder-server --help`.

use larder_server::{process, resp};
use std::process::ExitCode;

fn main() -> ExitCode {
    process::main(|config, shared| Some(resp::service(config, shared)))
}
