//! Connections to trunks, made when there is something to send.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::connections::{Connections, Reach};
use super::limits::Limits;
use super::listener::watch_peer;
use super::outbox::Outbox;
use super::session::{self, Line};
use super::tcp::StreamWire;
use crate::ports::transport::{
    ConnectionId, Destination, Edge, Ingress, Otherwise, Reply, SendError, Source, StreamProtocol,
    StreamTarget,
};

/// How trunks are dialled.
#[derive(Clone, Debug)]
pub struct DialSettings {
    /// [`Source::listener`] of such connections.
    pub name: Arc<str>,
    /// Bounds of each.
    pub limits: Limits,
    /// By then a connection is there, TLS included; else the trunk counts as unreachable.
    pub connect_within: Duration,
    /// Our address to dial from; `None` leaves it to the system.
    pub local: Option<IpAddr>,
    /// For TLS, by the trunk's name; targets of others are refused.
    pub tls: HashMap<Arc<str>, Arc<ClientConfig>>,
}

/// Makes connections and feeds the application with what comes over them.
pub(crate) struct Dialler<I> {
    pub(crate) settings: DialSettings,
    pub(crate) limits: Arc<Limits>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) ingress: I,
}

/// A [`Dialler`] whatever its application.
pub(crate) trait Reaching: Send + Sync {
    /// As [`Transport::reach`](crate::ports::transport::Transport::reach).
    fn reach(self: Arc<Self>, to: &StreamTarget, otherwise: Otherwise) -> Result<ConnectionId, SendError>;
}

impl<I: Ingress> Reaching for Dialler<I> {
    fn reach(
        self: Arc<Self>,
        target: &StreamTarget,
        otherwise: Otherwise,
    ) -> Result<ConnectionId, SendError> {
        if target.protocol == StreamProtocol::Tls && !self.settings.tls.contains_key(&target.trunk) {
            return Err(SendError::Unsuitable);
        }
        match self.connections.reach(target, otherwise, || Arc::new(Outbox::new(&self.limits))) {
            Reach::Known(id) => Ok(id),
            Reach::New(id, outbox) => {
                tokio::spawn(self.dial(target.clone(), id, outbox));
                Ok(id)
            }
        }
    }
}

impl<I: Ingress> Dialler<I> {
    async fn dial(self: Arc<Self>, target: StreamTarget, id: ConnectionId, outbox: Arc<Outbox>) {
        let made = match timeout(self.settings.connect_within, self.connect(&target)).await {
            Ok(made) => made,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        match made.and_then(|stream| Ok((stream.tcp().local_addr()?, stream))) {
            Ok((local, stream)) => self.start(target, id, outbox, local, stream),
            Err(error) => self.give_up(&target, id, &outbox, &error),
        }
    }

    async fn connect(&self, target: &StreamTarget) -> io::Result<Stream> {
        let stream = self.socket(target.remote)?.connect(target.remote).await?;
        stream.set_nodelay(true)?;
        watch_peer(&stream);
        match (target.protocol, self.settings.tls.get(&target.trunk)) {
            (StreamProtocol::Tcp, _) => Ok(Stream::Plain(stream)),
            (StreamProtocol::Tls, None) => Err(io::ErrorKind::Unsupported.into()),
            (StreamProtocol::Tls, Some(tls)) => {
                let connector = TlsConnector::from(Arc::clone(tls));
                Ok(Stream::Tls(Box::new(connector.connect(server_name(target)?, stream).await?)))
            }
        }
    }

    fn socket(&self, remote: SocketAddr) -> io::Result<TcpSocket> {
        let socket = if remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(local) = self.settings.local.filter(|local| local.is_ipv4() == remote.is_ipv4()) {
            socket.bind(SocketAddr::new(local, 0))?;
        }
        Ok(socket)
    }

    fn start(
        &self,
        target: StreamTarget,
        id: ConnectionId,
        outbox: Arc<Outbox>,
        local: SocketAddr,
        stream: Stream,
    ) {
        outbox.identify();
        let registration = self.connections.register_dialled(id, &outbox, target.clone());
        let source = Source {
            edge: Edge::Trunk,
            listener: Arc::clone(&self.settings.name),
            protocol: target.protocol.protocol(),
            local,
            remote: target.remote,
            connection: Some(id),
            reply: Reply::new(target.remote, outbox.clone()),
            dialled: Some(Arc::new(target)),
        };
        let line = Line {
            ingress: self.ingress.clone(),
            source: Arc::new(source),
            outbox,
            limits: Arc::clone(&self.limits),
            registration,
        };
        match stream {
            Stream::Plain(stream) => {
                tokio::spawn(session::run(StreamWire::new(stream, &self.limits), line));
            }
            Stream::Tls(stream) => {
                tokio::spawn(session::run(StreamWire::new(*stream, &self.limits), line));
            }
        }
    }

    fn give_up(&self, target: &StreamTarget, id: ConnectionId, outbox: &Outbox, error: &io::Error) {
        self.connections.counters().note_dial_failed();
        let goes_otherwise = self.connections.give_up(id, target, outbox);
        let trunk = &target.trunk;
        tracing::warn!(%trunk, remote = %target.remote, %error, goes_otherwise, "trunk cannot be reached");
        if !goes_otherwise {
            self.ingress.unreachable(&Destination::Connection(id), SendError::Unreachable);
        }
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

/// Whom the certificate has to name (RFC 5922 §7).
fn server_name(target: &StreamTarget) -> io::Result<ServerName<'static>> {
    match &target.server_name {
        Some(name) => ServerName::try_from(name.to_string())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error)),
        None => Ok(ServerName::from(target.remote.ip())),
    }
}
