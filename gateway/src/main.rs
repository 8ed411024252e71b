//! The gateway program: run it, check its configuration, ask how it is.

use std::process::ExitCode;

use gateway::wiring::Gateway;

fn main() -> ExitCode {
    daemon::cli::main::<Gateway>()
}
