//! The gateway under test: a program, its configuration file, and where that makes it listen.

use super::child::{Server, ServerError};
use crate::target::Target;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

/// How the gateway is started and reached.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its `ws:` listener.
    pub ws: Target,
    /// Its `wss:` listener.
    pub wss: Option<Target>,
    /// The trunk's address in its configuration.
    pub trunk: SocketAddr,
    /// Where its log goes.
    pub directory: PathBuf,
}

impl Gateway {
    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(&self) -> Result<Server, ServerError> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        Server::start("gateway", command, &self.directory, self.ws.address).await
    }

    /// The listener of this scheme.
    pub fn target(&self, scheme: &str) -> Option<&Target> {
        match scheme {
            "ws" => Some(&self.ws),
            _ => self.wss.as_ref(),
        }
    }
}
