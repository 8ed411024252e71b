//! Those who flood.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use sip_core::message::{Limits, Message};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::super::phone::{authorized, sdp};
use super::FLOODER;

/// What is done from one address, over and over until it is dropped.
#[derive(Clone, Copy, Debug)]
pub enum Flood {
    /// INVITEs without credentials, with so many bytes of Via; answers are read and never acknowledged.
    Invites { connections: usize, padding: usize },
    /// The same, and nothing is read.
    Deaf { connections: usize, padding: usize },
    /// Connections that end in the middle of a message.
    HalfMessages { connections: usize },
    /// Bob logs in with a fresh nonce each time, and a Contact of so many more bytes.
    Logins { connections: usize, contact: usize },
    /// Bob registers, and calls without end.
    Calls { connections: usize },
    /// One socket sends as fast as it can.
    Datagrams { from: IpAddr, method: &'static str },
}

/// What was sent.
#[derive(Default)]
pub struct Tally(AtomicU64);

impl Tally {
    pub fn sent(&self) -> u64 {
        self.0.load(Relaxed)
    }

    fn count(&self) -> u64 {
        self.0.fetch_add(1, Relaxed)
    }
}

impl Flood {
    /// Returns when some of it has arrived.
    pub async fn begin(self, ws: SocketAddr, sip: SocketAddr, tally: Arc<Tally>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        if let Self::Datagrams { .. } = self {
            tasks.spawn(hears_and_says_nothing(ws));
        }
        for number in 0..self.connections() {
            let tally = Arc::clone(&tally);
            tasks.spawn(async move {
                match self {
                    Self::Invites { padding, .. } => invites(ws, padding, Reader::Reads, &tally).await,
                    Self::Deaf { padding, .. } => invites(ws, padding, Reader::Deaf, &tally).await,
                    Self::HalfMessages { .. } => half_messages(ws, &tally).await,
                    Self::Logins { contact, .. } => logins(ws, number, contact, &tally).await,
                    Self::Calls { .. } => calls(ws, number, &tally).await,
                    Self::Datagrams { from, method } => datagrams(sip, from, method, &tally).await,
                }
            });
        }
        while tally.sent() < 50 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tasks
    }

    fn connections(self) -> usize {
        match self {
            Self::Invites { connections, .. }
            | Self::Deaf { connections, .. }
            | Self::HalfMessages { connections }
            | Self::Logins { connections, .. }
            | Self::Calls { connections } => connections,
            Self::Datagrams { .. } => 1,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    Reads,
    Deaf,
}

/// Whoever is closed comes again.
async fn invites(gateway: SocketAddr, padding: usize, reader: Reader, tally: &Tally) {
    loop {
        let Some(mut socket) = connect(gateway).await else { continue };
        loop {
            let text = request("INVITE", "sip:alice@localhost", tally.count(), padding);
            if !matches!(timeout(PATIENCE, socket.send(Frame::text(text))).await, Ok(Ok(()))) {
                break;
            }
            if reader == Reader::Reads && !matches!(timeout(PATIENCE, socket.next()).await, Ok(Some(Ok(_)))) {
                break;
            }
        }
    }
}

async fn half_messages(gateway: SocketAddr, tally: &Tally) {
    loop {
        let Some(socket) = connect(gateway).await else { continue };
        let mut stream = socket.into_inner();
        // A frame of 65,000 bytes with all but its last.
        let mut half = vec![0x81, 0xFE, 0xFD, 0xE8, 0, 0, 0, 0];
        half.resize(half.len() + 64_999, b'x');
        let _ = timeout(PATIENCE, stream.write_all(&half)).await;
        tally.count();
        tokio::time::sleep(PATIENCE).await;
    }
}

async fn logins(gateway: SocketAddr, number: usize, contact: usize, tally: &Tally) {
    loop {
        let Some(mut socket) = connect(gateway).await else { continue };
        loop {
            let many = format!("bob{number}x{}", "y".repeat(contact));
            let first = register(tally.count(), &many, "");
            let Some(challenge) = exchange(&mut socket, first).await else { break };
            let header = authorized(&challenge, "bob");
            if exchange(&mut socket, register(tally.count(), &many, &header)).await.is_none() {
                break;
            }
        }
    }
}

async fn calls(gateway: SocketAddr, number: usize, tally: &Tally) {
    loop {
        let Some(mut socket) = connect(gateway).await else { continue };
        let contact = format!("bob{number}");
        let Some(challenge) = exchange(&mut socket, register(tally.count(), &contact, "")).await else {
            continue;
        };
        let header = authorized(&challenge, "bob");
        if exchange(&mut socket, register(tally.count(), &contact, &header)).await.is_none() {
            continue;
        }
        let (mut sink, mut stream) = socket.split();
        let reads = async { while let Some(Ok(_)) = stream.next().await {} };
        let calls = async {
            loop {
                let body = sdp("actpass");
                let head = request("INVITE", "sip:echo@localhost", tally.count(), 20_000);
                let head = head.replace(
                    "Content-Length: 0\r\n\r\n",
                    &format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
                );
                if sink.send(Frame::text(head)).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! { () = reads => {}, () = calls => {} }
    }
}

/// Bob is registered, and takes no call.
async fn hears_and_says_nothing(gateway: SocketAddr) {
    loop {
        let Some(mut socket) = connect(gateway).await else { continue };
        let Some(challenge) = exchange(&mut socket, register(0, "bob", "")).await else { continue };
        let header = authorized(&challenge, "bob");
        if exchange(&mut socket, register(1, "bob", &header)).await.is_some() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    }
}

async fn datagrams(gateway: SocketAddr, from: IpAddr, method: &str, tally: &Tally) {
    let socket = UdpSocket::bind((from, 0)).await.unwrap();
    socket.connect(gateway).await.unwrap();
    let mut answer = [0; 2_048];
    loop {
        // Some 8,000 a second at most; what comes back is thrown away.
        for _ in 0..40 {
            let target = if tally.sent().is_multiple_of(2) {
                "sip:bob@localhost"
            } else {
                "sip:+4930123456@localhost"
            };
            let text = request(method, target, tally.count(), 0);
            let _ = socket.send(text.replace("SIP/2.0/WS", "SIP/2.0/UDP").as_bytes()).await;
            while socket.try_recv(&mut answer).is_ok() {}
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn connect(gateway: SocketAddr) -> Option<WebSocketStream<TcpStream>> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((FLOODER, 0).into()).unwrap();
    let mut request = format!("ws://{gateway}/ws").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "sip".parse().unwrap());
    let connected = timeout(PATIENCE, async {
        let stream = socket.connect(gateway).await.ok()?;
        Some(tokio_tungstenite::client_async(request, stream).await.ok()?.0)
    });
    let connected = connected.await.ok().flatten();
    if connected.is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    connected
}

/// Sends a request and takes its final response.
async fn exchange(socket: &mut WebSocketStream<TcpStream>, request: String) -> Option<Message> {
    socket.send(Frame::text(request)).await.ok()?;
    loop {
        let Frame::Text(text) = timeout(PATIENCE, socket.next()).await.ok()??.ok()? else { continue };
        let message =
            Message::parse(bytes::Bytes::copy_from_slice(text.as_bytes()), &Limits::default()).ok()?;
        if message.status()?.is_final() {
            return Some(message);
        }
    }
}

fn register(number: u64, contact: &str, header: &str) -> String {
    let text = request("REGISTER", "sip:localhost", number, 0);
    let text = text.replace("sip:flood@localhost", "sip:bob@localhost");
    text.replace("Contact: <sip:flood@", &format!("{header}Contact: <sip:{contact}@"))
}

/// `padding` bytes of Via, in six lines.
fn request(method: &str, uri: &str, number: u64, padding: usize) -> String {
    let more = match padding / 6 {
        0 => String::new(),
        each => format!("Via: SIP/2.0/WS p.invalid;branch=z9hG4bK{}\r\n", "v".repeat(each)).repeat(6),
    };
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/WS flood.invalid;branch=z9hG4bKflood{number}\r\n{more}\
         Max-Forwards: 70\r\nFrom: <sip:flood@localhost>;tag=f{number}\r\nTo: <sip:flood@localhost>\r\n\
         Call-ID: flood{number}\r\nCSeq: {} {method}\r\nContact: <sip:flood@flood.invalid>\r\n\
         Content-Length: 0\r\n\r\n",
        number + 1
    )
}

const PATIENCE: Duration = Duration::from_secs(2);
