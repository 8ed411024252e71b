//! The command line: run, check the configuration, ask how the running program is, print the reference.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use anyhow::anyhow;

use crate::config::{self, Configuration, Log, Mistake, Mistakes, Reader, Severity};
use crate::{admin, clock, descriptors, logging, output, told};

/// A program with these commands.
pub trait Program {
    /// What it is told by file and environment.
    type Settings: Configuration;
    /// What it has bound, nobody served yet; dropped, the ports are free again.
    type Sockets;
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

    /// What is logged, and how.
    fn log(settings: &Self::Settings) -> &Log;

    /// Serves until it is told to stop. `file` is the configuration's, to read it again.
    ///
    /// # Errors
    /// If it can't start.
    fn run(settings: Self::Settings, sockets: Self::Sockets, file: Option<&Path>) -> anyhow::Result<()>;

    /// Looks at what the settings name: files and what is in them. `now` is the time since 1970.
    fn look(settings: &Self::Settings, reader: &mut Reader, now: Duration);

    /// Asks others, which takes seconds: where names lead.
    fn ask(settings: &Self::Settings, reader: &mut Reader);

    /// Binds every listener for good. What can't be had is a mistake, and is not among the sockets.
    fn bind(settings: &Self::Settings, reader: &mut Reader) -> Self::Sockets;

    /// Binds what is bound only while it is used, one after the other.
    fn bind_media(settings: &Self::Settings, reader: &mut Reader);

    /// Where the operators' listener is.
    fn admin(settings: &Self::Settings) -> Option<SocketAddr>;
}

/// Does what the command line says. Exit codes: 0; 1 for what another try may find mended, such as ports that are taken; 78
/// for a bad configuration.
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
    match arguments.command {
        Command::Check { json, bind } => check::<P>(file, json, bind),
        Command::Run => {
            let code = run::<P>(file);
            output::flush();
            code
        }
        Command::Health { json } => match config::load::<P::Settings>(file) {
            Ok(settings) => health::<P>(json, &settings),
            Err(mistakes) => refused(&mistakes),
        },
        Command::Reference => unreachable!("answered above"),
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
    /// Reads the configuration, looks at what it names (files, certificates, names of trunks), and prints every mistake. Exit
    /// code 78 if there are any, a certificate that has expired among them; 1 if nothing but ports can't be had (--bind); 0
    /// else, whatever is warned of.
    Check {
        /// Prints the result as JSON.
        #[arg(long)]
        json: bool,
        /// Binds every port as well, and releases it again: not beside the running program, which has them.
        #[arg(long)]
        bind: bool,
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

fn run<P: Program>(file: Option<&Path>) -> ExitCode {
    descriptors::take_all();
    // One reading gives the settings, what is wrong, and the ports: none of them is of another file than the rest.
    let (read, found) = config::examine(file, |settings, reader| {
        P::look(settings, reader, clock::since_1970());
        is_usable(reader).then(|| P::bind(settings, reader))
    });
    let Some((settings, Some(sockets))) = read else { return refused(&found) };
    if found.severity() == Some(Severity::Error) {
        // No fault of the configuration's: a restart may find the ports free.
        output::stderr().print(&format!("The {} could not start:\n{found}\n", P::TITLE));
        return ExitCode::FAILURE;
    }
    let run = || {
        logging::start(P::log(&settings)).map_err(|mistake| anyhow!(mistake))?;
        found.0.iter().for_each(|mistake| tracing::warn!("{mistake}"));
        P::run(settings, sockets, file)
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::stderr().print(&format!("The {} could not start: {}\n", P::TITLE, told(&error)));
            ExitCode::FAILURE
        }
    }
}

fn is_usable(reader: &Reader) -> bool {
    reader.severity() != Some(Severity::Error)
}

fn refused(mistakes: &Mistakes) -> ExitCode {
    output::stderr().print(&format!("The configuration can't be used:\n{mistakes}\n"));
    output::flush();
    ExitCode::from(BAD_CONFIGURATION)
}

fn check<P: Program>(file: Option<&Path>, json: bool, bind: bool) -> ExitCode {
    let (read, found) = config::examine(file, |settings, reader| {
        P::look(settings, reader, clock::since_1970());
        P::ask(settings, reader);
        let worst = reader.severity();
        if bind {
            drop(P::bind(settings, reader));
            P::bind_media(settings, reader);
        }
        worst
    });
    let is_good = |worst: Option<Severity>| worst.is_none_or(|worst| worst == Severity::Warning);
    let all_is_good = is_good(found.severity());
    match json {
        true => println!("{}", serde_json::json!({ "ok": all_is_good, "findings": as_json(&found) })),
        false if all_is_good => {
            found.0.iter().for_each(|warning| println!("{warning}"));
            println!("The configuration is good.");
        }
        false => println!("{found}"),
    }
    match read {
        _ if all_is_good => ExitCode::SUCCESS,
        // Nothing but ports: as `run` says it.
        Some((_, before_ports)) if is_good(before_ports) => ExitCode::FAILURE,
        Some(_) | None => ExitCode::from(BAD_CONFIGURATION),
    }
}

fn as_json(found: &Mistakes) -> Vec<serde_json::Value> {
    let one = |Mistake { severity, key, value, what }: &Mistake| serde_json::json!({ "severity": severity.as_str(), "key": key, "value": value, "message": what });
    found.0.iter().map(one).collect()
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
