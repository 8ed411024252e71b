//! The media relay program: run it, check its configuration, ask how it is.

use std::process::ExitCode;

use media_relay::program::MediaRelay;

fn main() -> ExitCode {
    daemon::cli::main::<MediaRelay>()
}
