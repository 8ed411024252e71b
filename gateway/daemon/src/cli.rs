//! The command line: run, check the configuration, ask how the running program is, print the reference.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{self, Configuration, Mistakes};
use crate::{admin, output};

/// A program with these commands.
pub trait Program {
    /// What it is told by file and environment.
    type Settings: Configuration;
    /// Of the executable.
    const NAME: &'static str;
    /// Its version.
    const VERSION: &'static str;
    /// In a sentence: "The {TITLE} is ready."
    const TITLE: &'static str;
    /// What it is, for `--help`.
    const ABOUT: &'static str;
    /// What `run` does, for `--help`.
    const RUN: &'static str;

    /// Serves until it is told to stop. `file` is the configuration's, to read it again.
    ///
    /// # Errors
    /// If it can't start.
    fn run(settings: Self::Settings, file: Option<&Path>) -> anyhow::Result<()>;

    /// Where the operators' listener is.
    fn admin(settings: &Self::Settings) -> Option<SocketAddr>;
}

/// Does what the command line says. Exit codes: 0, 1 for what went wrong, 78 for a bad configuration.
pub fn main<P: Program>() -> ExitCode {
    let about = Arguments::command().name(P::NAME).version(P::VERSION).about(P::ABOUT);
    let matches = about.mut_subcommand("run", |run| run.about(P::RUN)).get_matches();
    let arguments = match Arguments::from_arg_matches(&matches) {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    if let Command::Reference = arguments.command {
        print!("{}", config::reference::<P::Settings>());
        return ExitCode::SUCCESS;
    }
    let file = arguments.config.as_deref();
    match (arguments.command, config::load::<P::Settings>(file)) {
        (Command::Check { json }, outcome) => check(json, outcome.err()),
        (_, Err(mistakes)) => {
            output::stderr().print(&format!("The configuration can't be used:\n{mistakes}\n"));
            output::flush();
            ExitCode::from(BAD_CONFIGURATION)
        }
        (Command::Run, Ok(settings)) => {
            let code = run::<P>(settings, file);
            output::flush();
            code
        }
        (Command::Health { json }, Ok(settings)) => health::<P>(json, &settings),
        (Command::Reference, Ok(_)) => unreachable!("answered above"),
    }
}

#[derive(Parser)]
#[command(max_term_width = 110)]
struct Arguments {
    /// Configuration file (TOML). Without one the defaults serve this machine only.
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves.
    Run,
    /// Reads the configuration and prints every mistake in it. Exit code 78 if there are any.
    Check {
        /// Prints the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Asks the program running on this machine whether it takes calls. Exit code 1 if not.
    Health {
        /// Prints the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Prints the reference of all configuration keys as Markdown.
    Reference,
}

fn run<P: Program>(settings: P::Settings, file: Option<&Path>) -> ExitCode {
    match P::run(settings, file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::stderr().print(&format!("The {} could not start: {error:#}\n", P::TITLE));
            ExitCode::FAILURE
        }
    }
}

fn check(json: bool, mistakes: Option<Mistakes>) -> ExitCode {
    match (json, &mistakes) {
        (true, _) => {
            let list: Vec<_> = mistakes.iter().flat_map(|mistakes| &mistakes.0).collect();
            let list: Vec<_> =
                list.iter().map(|m| serde_json::json!({ "key": m.key, "mistake": m.what })).collect();
            println!("{}", serde_json::json!({ "ok": list.is_empty(), "mistakes": list }));
        }
        (false, None) => println!("The configuration is good."),
        (false, Some(mistakes)) => println!("{mistakes}"),
    }
    if mistakes.is_none() { ExitCode::SUCCESS } else { ExitCode::from(BAD_CONFIGURATION) }
}

fn health<P: Program>(json: bool, settings: &P::Settings) -> ExitCode {
    let outcome = match P::admin(settings) {
        Some(address) => admin::health(address),
        None => Err("admin.listen is off: there is nobody to ask".to_string()),
    };
    let ready = outcome.is_ok();
    match (json, outcome) {
        (true, outcome) => {
            println!("{}", serde_json::json!({ "ready": ready, "reason": outcome.err() }));
        }
        (false, Ok(())) => println!("The {} is ready.", P::TITLE),
        (false, Err(reason)) => println!("The {} is not ready: {reason}", P::TITLE),
    }
    if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// `EX_CONFIG` of sysexits.h.
const BAD_CONFIGURATION: u8 = 78;
