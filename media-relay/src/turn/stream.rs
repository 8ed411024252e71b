//! One client's TCP or TLS connection: framing (RFC 8656 §12.5), buffers with bounds, deadlines.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use daemon::handshake::{MOST_HANDSHAKE, TOO_LONG};
use relay_core::turn::{LARGEST_FRAME, frame_length};
use rustls::ServerConnection;

/// A client's TLS connection that somebody else accepted, at a port that TURN shares with another protocol. What was read
/// from the socket and not yet used is in `tls`.
#[derive(Debug)]
pub struct AcceptedStream {
    /// Belongs to no poll.
    pub socket: TcpStream,
    /// The client's address.
    pub address: SocketAddr,
    /// After its handshake.
    pub tls: ServerConnection,
}

pub(super) struct Stream {
    pub(super) socket: TcpStream,
    pub(super) address: SocketAddr,
    /// The poll tells when it can be written to.
    pub(super) awaits_room: bool,
    tls: Option<Box<ServerConnection>>,
    /// Bytes of the client's handshake.
    hello: usize,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Bytes that `tls` keeps for the client.
    unsent: usize,
    /// When the first message must be there.
    first_by: Option<Instant>,
    /// When something that was begun must be done: a frame, what the client is to read.
    half_done: Option<Instant>,
    blocked: Option<Instant>,
    last_message: Instant,
}

/// The connection has ended, or must.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Gone {
    Ended,
    /// Its handshake failed.
    Tls(String),
    /// What came is no TURN.
    NotTurn,
    /// Its first message did not come in time.
    TooSlow,
}

impl Stream {
    pub(super) fn new(
        socket: TcpStream,
        address: SocketAddr,
        mut tls: Option<Box<ServerConnection>>,
        now: Instant,
    ) -> Self {
        if let Some(tls) = &mut tls {
            tls.set_buffer_limit(Some(MOST_OUTPUT));
        }
        Self {
            socket,
            address,
            awaits_room: false,
            tls,
            hello: 0,
            input: Vec::new(),
            output: Vec::new(),
            unsent: 0,
            first_by: Some(now + PATIENCE),
            half_done: None,
            blocked: None,
            last_message: now,
        }
    }

    /// Moves what it can in both directions, reading once.
    pub(super) fn pump(&mut self, now: Instant) -> Result<(), Gone> {
        let read = self.fill();
        // A failed handshake's alert should leave too.
        self.flush(now)?;
        read
    }

    fn fill(&mut self) -> Result<(), Gone> {
        match &mut self.tls {
            Some(tls) => {
                let shakes_hands = tls.is_handshaking();
                match tls.read_tls(&mut self.socket) {
                    Ok(0) if tls.is_handshaking() => return Err(Gone::Tls(ENDED_EARLY.to_owned())),
                    Ok(0) => return Err(Gone::Ended),
                    Ok(read) if shakes_hands => self.hello += read,
                    Ok(_) => {}
                    Err(error) => return would_block(&error),
                }
                if self.hello > MOST_HANDSHAKE {
                    return Err(Gone::Tls(TOO_LONG.to_owned()));
                }
                match (tls.process_new_packets(), tls.is_handshaking()) {
                    (Ok(_), _) => Ok(()),
                    (Err(error), true) => Err(Gone::Tls(error.to_string())),
                    (Err(_), false) => Err(Gone::Ended),
                }
            }
            None => read_some(&mut self.socket, &mut self.input),
        }
    }

    /// The next whole message, copied into `buffer`.
    pub(super) fn next_frame(&mut self, buffer: &mut [u8], now: Instant) -> Result<Option<usize>, Gone> {
        loop {
            let length = frame_length(&self.input).map_err(|_| Gone::NotTurn)?;
            if let Some(length) = length.filter(|length| *length <= self.input.len()) {
                buffer.get_mut(..length).ok_or(Gone::Ended)?.copy_from_slice(&self.input[..length]);
                self.input.drain(..length);
                (self.first_by, self.half_done) = (None, None);
                self.last_message = now;
                return Ok(Some(length));
            }
            let before = self.input.len();
            if let Some(tls) = &mut self.tls {
                read_some(&mut tls.reader(), &mut self.input)?;
            }
            if self.input.len() == before {
                break;
            }
        }
        if !self.input.is_empty() {
            self.half_done = self.half_done.or(Some(now + PATIENCE));
        }
        Ok(None)
    }

    /// Sends now, or keeps a bounded amount for later.
    pub(super) fn send(&mut self, message: &[u8], now: Instant) -> Result<(), Gone> {
        match &mut self.tls {
            Some(tls) => {
                tls.writer().write_all(message).map_err(|_| Gone::Ended)?;
                self.unsent += message.len() + RECORD;
            }
            None if self.output.len() + message.len() > MOST_OUTPUT => return Err(Gone::Ended),
            None => self.output.extend_from_slice(message),
        }
        self.flush(now)
    }

    fn flush(&mut self, now: Instant) -> Result<(), Gone> {
        let written = match &mut self.tls {
            Some(tls) => write_tls(tls, &mut self.socket, &mut self.unsent),
            None => write_plain(&mut self.output, &mut self.socket),
        };
        written?;
        self.blocked = if self.has_output() { self.blocked.or(Some(now + PATIENCE)) } else { None };
        Ok(())
    }

    /// Bytes of half frames, the client's and ours.
    pub(super) fn held(&self) -> usize {
        self.input.len() + self.output.len() + self.unsent
    }

    pub(super) fn has_output(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write()) || !self.output.is_empty()
    }

    /// Why it must end, if the client has been slow or silent for too long.
    pub(super) fn overdue(&self, has_allocation: bool, now: Instant) -> Option<Gone> {
        let has_passed = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        let is_idle = !has_allocation && now >= self.last_message + IDLE;
        match has_passed(self.first_by) {
            true => Some(Gone::TooSlow),
            false => {
                (has_passed(self.half_done) || has_passed(self.blocked) || is_idle).then_some(Gone::Ended)
            }
        }
    }
}

/// Reads once, as long as there is room for a frame: no more than a portion, for others wait for the same worker. What is
/// left is told of again.
fn read_some(from: &mut impl Read, input: &mut Vec<u8>) -> Result<(), Gone> {
    let mut octets = [0; PORTION];
    if input.len() > LARGEST_FRAME {
        return Ok(());
    }
    match from.read(&mut octets) {
        Ok(0) => Err(Gone::Ended),
        Ok(length) => {
            input.extend_from_slice(&octets[..length]);
            Ok(())
        }
        Err(error) => would_block(&error),
    }
}

fn write_tls(tls: &mut ServerConnection, socket: &mut TcpStream, unsent: &mut usize) -> Result<(), Gone> {
    while tls.wants_write() {
        match tls.write_tls(socket) {
            Ok(0) => return Err(Gone::Ended),
            Ok(length) => *unsent = unsent.saturating_sub(length),
            Err(error) => return would_block(&error),
        }
    }
    *unsent = 0;
    Ok(())
}

fn write_plain(output: &mut Vec<u8>, socket: &mut TcpStream) -> Result<(), Gone> {
    while !output.is_empty() {
        match socket.write(output) {
            Ok(0) => return Err(Gone::Ended),
            Ok(length) => drop(output.drain(..length)),
            Err(error) => return would_block(&error),
        }
    }
    Ok(())
}

/// Not now is no failure.
fn would_block(error: &io::Error) -> Result<(), Gone> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(()),
        _ => Err(Gone::Ended),
    }
}

const ENDED_EARLY: &str = "ended in its handshake";
/// What TLS adds to a message (RFC 8446 §5.2).
const RECORD: usize = 22;
/// For TLS what rustls keeps.
const MOST_OUTPUT: usize = 256 * 1024;
/// Octets that one turn takes from a connection: ten packets of sound, or a hundred requests.
pub(super) const PORTION: usize = 2_048;
/// For a handshake with the first message, for the rest of a frame, for the client to read.
const PATIENCE: Duration = Duration::from_secs(10);
/// Without an allocation.
const IDLE: Duration = Duration::from_secs(30);
