//! Connections to trunks, made when there is something to send.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::connections::{Connections, Dial};
use super::limits::Limits;
use super::listener::keep_alive;
use super::outbox::Outbox;
use super::session::{self, Line};
use super::tcp::StreamWire;
use crate::ports::transport::{
    Destination, Edge, Ingress, Protocol, Reply, SendError, Source, StreamProtocol, StreamTarget,
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
    /// For TLS; without it such targets are refused.
    pub tls: Option<Arc<ClientConfig>>,
}

/// Makes connections and feeds the application with what comes over them.
pub(crate) struct Dialler<I> {
    pub(crate) settings: DialSettings,
    pub(crate) limits: Arc<Limits>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) ingress: I,
}

/// A [`Dialler`] whatever its application.
pub(crate) trait SendDialled: Send + Sync {
    /// Queues a message on the connection for `target`, dialling if there is none.
    fn send(self: Arc<Self>, target: &StreamTarget, bytes: Bytes) -> Result<(), SendError>;
}

impl<I: Ingress> SendDialled for Dialler<I> {
    fn send(self: Arc<Self>, target: &StreamTarget, bytes: Bytes) -> Result<(), SendError> {
        if target.protocol == StreamProtocol::Tls && self.settings.tls.is_none() {
            return Err(SendError::Unsuitable);
        }
        match self.push(target, bytes.clone()) {
            // That connection is on its way out: take a new one.
            Err(SendError::Gone) => self.push(target, bytes),
            result => result,
        }
    }
}

impl<I: Ingress> Dialler<I> {
    fn push(self: &Arc<Self>, target: &StreamTarget, bytes: Bytes) -> Result<(), SendError> {
        let (outbox, dial) = self.connections.dialled(target, || Arc::new(Outbox::new(&self.limits)));
        let result = outbox.push(bytes);
        match dial {
            Dial::Needed => {
                tokio::spawn(Arc::clone(self).dial(target.clone(), outbox));
            }
            Dial::NotNeeded if result == Err(SendError::Gone) => {
                self.connections.forget_dialled(target, &outbox);
            }
            Dial::NotNeeded => {}
        }
        result
    }

    async fn dial(self: Arc<Self>, target: StreamTarget, outbox: Arc<Outbox>) {
        match timeout(self.settings.connect_within, self.connect(&target)).await {
            Ok(Ok(stream)) => self.start(target, outbox, stream),
            Ok(Err(error)) => self.give_up(&target, &outbox, &error),
            Err(_) => self.give_up(&target, &outbox, &io::ErrorKind::TimedOut.into()),
        }
    }

    async fn connect(&self, target: &StreamTarget) -> io::Result<Stream> {
        let stream = self.socket(target.remote)?.connect(target.remote).await?;
        stream.set_nodelay(true)?;
        keep_alive(&stream);
        match (target.protocol, &self.settings.tls) {
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

    fn start(&self, target: StreamTarget, outbox: Arc<Outbox>, stream: Stream) {
        let Ok(local) = stream.tcp().local_addr() else {
            return self.give_up(&target, &outbox, &io::ErrorKind::NotConnected.into());
        };
        outbox.identify();
        let target = Arc::new(target);
        let registration = self.connections.register(&outbox, Some(Arc::clone(&target)), None);
        let source = Source {
            edge: Edge::Trunk,
            listener: Arc::clone(&self.settings.name),
            protocol: match target.protocol {
                StreamProtocol::Tcp => Protocol::Tcp,
                StreamProtocol::Tls => Protocol::Tls,
            },
            local,
            remote: target.remote,
            connection: Some(registration.id()),
            reply: Reply::new(target.remote, outbox.clone()),
            dialled: Some(target),
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

    fn give_up(&self, target: &StreamTarget, outbox: &Arc<Outbox>, error: &io::Error) {
        tracing::warn!(remote = %target.remote, %error, "trunk cannot be reached");
        self.connections.counters().note_dial_failed();
        self.connections.forget_dialled(target, outbox);
        outbox.finish();
        self.ingress.unreachable(&Destination::Stream(target.clone()), SendError::Unreachable);
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
