//! Those who flood.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use daemon::tls;
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, RootCertStore};
use sip_core::message::{Limits, Message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::super::phone::{authorized, authorized_by, sdp};
use super::stage::Doors;

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
    /// Passwords of alice, of bob and of users that there are not are guessed.
    WrongPasswords { connections: usize },
    /// Bob registers, and calls without end.
    Calls { connections: usize },
    /// SIP from one socket as fast as it can.
    Datagrams { method: &'static str },
    /// Connections at which something is said.
    Stream { door: Door, connections: usize, says: Says, manner: Manner },
    /// Garbage from several sockets as fast as they can.
    Packets { port: Port },
}

/// A listener for connections.
#[derive(Clone, Copy, Debug)]
pub enum Door {
    Ws,
    Wss,
    Admin,
    TrunkTcp,
    TrunkTls,
    TurnTcp,
    TurnTls,
    Control,
}

/// A UDP port of the relay.
#[derive(Clone, Copy, Debug)]
pub enum Port {
    Media,
    Turn,
}

/// What is said at a door.
#[derive(Clone, Copy, Debug)]
pub enum Says {
    /// The head of a request without its end.
    HalfRequest,
    /// Requests for the page.
    Page,
    /// Requests for the metrics.
    Metrics,
    /// A ClientHello, as a client sends it that goes on.
    Hello,
    /// A ClientHello of 64 KiB without its end, in records of 16,000 bytes (RFC 8446 §5.1).
    LongHello,
    /// Nothing that any protocol knows.
    Garbage,
    /// Nearly all of an INVITE.
    HalfSip,
    /// ChannelData without its end.
    HalfFrame,
    /// Binding requests.
    Bindings,
}

/// What follows.
#[derive(Clone, Copy, Debug)]
pub enum Manner {
    /// Silence.
    Waits,
    /// The same again, and nothing is read.
    Repeats,
    /// The same again for each answer.
    Asks,
}

impl Door {
    fn of(self, doors: &Doors) -> SocketAddr {
        match self {
            Self::Ws => doors.ws,
            Self::Wss => doors.wss,
            Self::Admin => doors.admin,
            Self::TrunkTcp => doors.sip,
            Self::TrunkTls => doors.sip_tls,
            Self::TurnTcp => doors.turn_tcp,
            Self::TurnTls => doors.turn_tls,
            Self::Control => doors.control.expect("a relay that is a program of its own"),
        }
    }
}

impl Says {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::HalfRequest => [&b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: "[..], &[b'x'; 8_000]].concat(),
            Self::Page => b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(50),
            Self::Metrics => b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
            Self::Hello => hello(),
            Self::LongHello => long_hello(),
            Self::Garbage => vec![0x55; 4_000],
            Self::HalfSip => {
                let text = request("INVITE", "sip:bob@localhost", 1, 60_000);
                text.replace("SIP/2.0/WS", "SIP/2.0/TCP").trim_end().into()
            }
            Self::HalfFrame => [&[0x40, 0, 0x0F, 0xA0][..], &[0; 3_999]].concat(),
            Self::Bindings => BINDING.repeat(200),
        }
    }
}

fn hello() -> Vec<u8> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(tls::client(RootCertStore::empty()).unwrap(), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

fn long_hello() -> Vec<u8> {
    let message = [&[1, 0, 0xFF, 0xF0, 3, 3][..], &[1; 64_900]].concat();
    let record = |part: &[u8]| [&[22, 3, 1][..], &(part.len() as u16).to_be_bytes(), part].concat();
    message.chunks(16_000).flat_map(record).collect()
}

/// What was sent.
#[derive(Default)]
pub struct Tally(AtomicU64);

impl Tally {
    pub fn sent(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Waits until the floods are there.
    pub async fn rises(&self) {
        while self.sent() < BEGUN {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn count(&self) -> u64 {
        self.0.fetch_add(1, Relaxed)
    }
}

impl Flood {
    /// Begins on this runtime, and ends with it.
    pub fn begin(self, on: &Handle, doors: Doors, from: IpAddr, tally: &Arc<Tally>) {
        if let Self::Datagrams { .. } = self {
            on.spawn(hears_and_says_nothing(from, doors.ws));
        }
        for number in 0..self.connections() {
            on.spawn(self.goes_on(doors, from, number, Arc::clone(tally)));
        }
    }

    async fn goes_on(self, doors: Doors, from: IpAddr, number: usize, tally: Arc<Tally>) {
        let ws = (from, doors.ws);
        match self {
            Self::Invites { padding, .. } => invites(ws, padding, Reader::Reads, &tally).await,
            Self::Deaf { padding, .. } => invites(ws, padding, Reader::Deaf, &tally).await,
            Self::HalfMessages { .. } => half_messages(ws, &tally).await,
            Self::Logins { contact, .. } => logins(ws, number, contact, &tally).await,
            Self::WrongPasswords { .. } => wrong_passwords(ws, &tally).await,
            Self::Calls { .. } => calls(ws, number, &tally).await,
            Self::Datagrams { method } => datagrams((from, doors.sip), method, &tally).await,
            Self::Stream { door, says, manner, .. } => {
                stream((from, door.of(&doors)), &says.bytes(), manner, &tally).await;
            }
            Self::Packets { port: Port::Media } => packets((from, doors.media), &at_media(), &tally).await,
            Self::Packets { port: Port::Turn } => packets((from, doors.turn_udp), &at_turn(), &tally).await,
        }
    }

    fn connections(self) -> usize {
        match self {
            Self::Invites { connections, .. }
            | Self::Deaf { connections, .. }
            | Self::HalfMessages { connections }
            | Self::Logins { connections, .. }
            | Self::WrongPasswords { connections }
            | Self::Calls { connections }
            | Self::Stream { connections, .. } => connections,
            Self::Datagrams { .. } => 1,
            Self::Packets { .. } => SOCKETS,
        }
    }
}

/// From an address of this machine to a listener.
type Way = (IpAddr, SocketAddr);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    Reads,
    Deaf,
}

/// Whoever is closed comes again.
async fn invites(way: Way, padding: usize, reader: Reader, tally: &Tally) {
    loop {
        let Some(mut socket) = connect(way).await else { continue };
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

async fn half_messages(way: Way, tally: &Tally) {
    loop {
        let Some(socket) = connect(way).await else { continue };
        let mut stream = socket.into_inner();
        // A frame of 65,000 bytes with all but its last.
        let mut half = vec![0x81, 0xFE, 0xFD, 0xE8, 0, 0, 0, 0];
        half.resize(half.len() + 64_999, b'x');
        let _ = timeout(PATIENCE, stream.write_all(&half)).await;
        tally.count();
        tokio::time::sleep(PATIENCE).await;
    }
}

async fn logins(way: Way, number: usize, contact: usize, tally: &Tally) {
    loop {
        let Some(mut socket) = connect(way).await else { continue };
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

async fn wrong_passwords(way: Way, tally: &Tally) {
    loop {
        let Some(mut socket) = connect(way).await else { continue };
        loop {
            let number = tally.count();
            let guessed = match number % 4 {
                0 => "alice".to_owned(),
                1 => "bob".to_owned(),
                _ => format!("nobody{number}"),
            };
            let Some(challenge) = exchange(&mut socket, register(number, "guess", "")).await else { break };
            // Beyond the address's share nothing is asked any more.
            if challenge.status().is_none_or(|status| status.code() != 401) {
                continue;
            }
            let header = authorized_by(&challenge, &guessed, "wrong");
            let guess = register(number, "guess", &header);
            let Some(answer) =
                exchange(&mut socket, guess.replace("sip:bob@", &format!("sip:{guessed}@"))).await
            else {
                break;
            };
            assert!(answer.status().is_some_and(|status| status.code() != 200), "{guessed} is logged in");
        }
    }
}

async fn calls(way: Way, number: usize, tally: &Tally) {
    loop {
        let Some(mut socket) = connect(way).await else { continue };
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
async fn hears_and_says_nothing(from: IpAddr, gateway: SocketAddr) {
    loop {
        let Some(mut socket) = connect((from, gateway)).await else { continue };
        let Some(challenge) = exchange(&mut socket, register(0, "bob", "")).await else { continue };
        let header = authorized(&challenge, "bob");
        if exchange(&mut socket, register(1, "bob", &header)).await.is_some() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    }
}

async fn datagrams((from, gateway): Way, method: &str, tally: &Tally) {
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

/// Whoever is closed comes again after a moment.
async fn stream(way: Way, bytes: &[u8], manner: Manner, tally: &Tally) {
    let mut answer = vec![0; 65_536];
    loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let Ok(Some(mut stream)) = timeout(PATIENCE, open(way)).await else { continue };
        loop {
            let sent = timeout(PATIENCE, stream.write_all(bytes)).await;
            tally.count();
            let goes_on = matches!(sent, Ok(Ok(())))
                && match manner {
                    Manner::Waits => {
                        let _ = timeout(LONG, stream.read_exact(&mut answer)).await;
                        false
                    }
                    Manner::Repeats => true,
                    Manner::Asks => {
                        matches!(timeout(PATIENCE, stream.read(&mut answer)).await, Ok(Ok(1..)))
                    }
                };
            if !goes_on {
                break;
            }
        }
    }
}

/// Some 8,000 a second at most of all sockets; what comes back is thrown away.
async fn packets((from, to): Way, kinds: &[Vec<u8>], tally: &Tally) {
    let socket = UdpSocket::bind((from, 0)).await.unwrap();
    socket.connect(to).await.unwrap();
    let mut answer = [0; 2_048];
    loop {
        for kind in kinds.iter().cycle().take(40 / SOCKETS) {
            tally.count();
            let _ = socket.send(kind).await;
            while socket.try_recv(&mut answer).is_ok() {}
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What the relay has to look at, from ICE to RTP (RFC 7983 §7).
fn at_media() -> Vec<Vec<u8>> {
    // A check for a call that there is not.
    let mut check = BINDING.to_vec();
    check.extend_from_slice(&[0x00, 0x06, 0, 12]);
    check.extend_from_slice(b"nobody:brws1");
    check[3] = 16;
    // A record of DTLS that claims to be a handshake.
    let mut record = vec![22, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0];
    record.resize(13 + 1_024, 1);
    let sound = [&[0x80, 0, 0, 1][..], &[7; 168]].concat();
    let report = [&[0x80, 201, 0, 1][..], &[7; 4]].concat();
    vec![BINDING.to_vec(), check, record, sound, report, vec![0x55; 1_200], Vec::new()]
}

/// Requests of strangers (RFC 8656), with and without credentials, and ChannelData of nobody.
fn at_turn() -> Vec<Vec<u8>> {
    let mut allocate = BINDING.to_vec();
    allocate[1] = 3;
    allocate.extend_from_slice(&[0x00, 0x19, 0, 4, 17, 0, 0, 0]);
    allocate[3] = 8;
    let mut forged = allocate.clone();
    for (number, value) in
        [(6, &b"9999999999:alice"[..]), (0x14, b"relay   "), (0x15, &[b'n'; 24]), (8, &[7; 20])]
    {
        forged.extend_from_slice(&[0, number, 0, value.len() as u8]);
        forged.extend_from_slice(value);
    }
    forged[3] = (forged.len() - 20) as u8;
    vec![BINDING.to_vec(), allocate, forged, vec![0x40, 0, 0, 4, 1, 2, 3, 4], vec![0x55; 1_200]]
}

async fn open((from, to): Way) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    socket.connect(to).await.ok()
}

async fn connect((from, gateway): Way) -> Option<WebSocketStream<TcpStream>> {
    let mut request = format!("ws://{gateway}/ws").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "sip".parse().unwrap());
    let connected = timeout(PATIENCE, async {
        let stream = open((from, gateway)).await?;
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

/// Of messages, connections and datagrams: then the floods are there.
const BEGUN: u64 = 50;
/// Of one flood of packets.
const SOCKETS: usize = 8;
/// RFC 8489 §5, without attributes.
const BINDING: &[u8] = b"\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl";
/// Longer than a listener waits.
const LONG: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(2);
