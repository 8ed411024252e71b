//! A server started for a measurement, and ended with it.

use crate::process::ProcessTree;
use crate::sys::{self, Signal};
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server; dropping it ends it.
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// No such program, or not executable.
    #[error("cannot start {program}: {error}")]
    Start {
        /// The path tried.
        program: String,
        /// What the system says.
        error: io::Error,
    },
    /// It ended, or does not listen.
    #[error("{name} does not accept connections at {address} ({state}); the end of its log:\n{log}")]
    NotListening {
        /// Whose.
        name: &'static str,
        /// The address expected.
        address: SocketAddr,
        /// Whether it ended.
        state: String,
        /// The last lines of its log.
        log: String,
    },
}

impl Server {
    /// Starts a server whose output goes to a log file in `directory`, and waits until it accepts TCP connections at `ready`.
    ///
    /// # Errors
    /// When it cannot be started, ends, or does not listen within 20 s; then it is ended.
    pub async fn start(
        name: &'static str,
        mut command: Command,
        directory: &Path,
        ready: SocketAddr,
    ) -> Result<Self, ServerError> {
        let log = directory.join(format!("{name}.log"));
        let program = command.get_program().to_string_lossy().into_owned();
        let failed = |error| ServerError::Start { program: program.clone(), error };
        let output = File::create(&log).map_err(failed)?;
        command.stdin(Stdio::null()).stdout(output.try_clone().map_err(failed)?).stderr(output);
        sys::end_with_parent(&mut command);
        let child = command.spawn().map_err(failed)?;
        let mut server = Self { name, child, log };
        server.wait_for(ready).await?;
        Ok(server)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    async fn wait_for(&mut self, address: SocketAddr) -> Result<(), ServerError> {
        let deadline = Instant::now() + START;
        loop {
            let ended = self.child.try_wait().ok().flatten();
            // A server that ended may have left the port to another one, whose figures must not be taken for its own.
            if ended.is_none() && tokio::net::TcpStream::connect(address).await.is_ok() {
                return Ok(());
            }
            if ended.is_some() || Instant::now() >= deadline {
                let state = ended.map_or_else(|| "still running".to_owned(), |status| status.to_string());
                let (name, log) = (self.name, self.log_end());
                return Err(ServerError::NotListening { name, address, state, log });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn log_end(&self) -> String {
        let text =
            fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Server {
    /// Asks the server to end; after 3 s it and the children it had are killed.
    fn drop(&mut self) {
        let pid = self.child.id();
        let children = ProcessTree::new(pid).descendants();
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return; // its id may be another's already
        }
        sys::signal(pid, Signal::Terminate);
        let deadline = Instant::now() + STOP;
        while Instant::now() < deadline {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        // Until it is waited for below, its id and its children's parent cannot be reused.
        let still_there = ProcessTree::new(pid).descendants();
        children
            .into_iter()
            .filter(|child| still_there.contains(child))
            .for_each(|child| sys::signal(child, Signal::Kill));
        // An error means that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const START: Duration = Duration::from_secs(20);
const STOP: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test]
    async fn a_server_that_ends_is_reported_with_its_log() {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such option; exit 7"]);
        let error = Server::start("test", command, directory.path(), "127.0.0.1:9".parse().unwrap())
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("no such option") && text.contains("exit status: 7"), "{text}");
    }

    #[tokio::test]
    async fn a_dropped_server_is_gone() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("sleep");
        command.arg("600");
        let server =
            Server::start("test", command, directory.path(), listener.local_addr().unwrap()).await.unwrap();
        let pid = server.pid();
        drop(server);
        assert!(ProcessTree::new(pid).read().is_err());
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let command = Command::new("/nonexistent/kamailio");
        let error = Server::start("test", command, directory.path(), "127.0.0.1:9".parse().unwrap())
            .await
            .unwrap_err();
        assert!(error.to_string().contains("/nonexistent/kamailio"));
    }
}
