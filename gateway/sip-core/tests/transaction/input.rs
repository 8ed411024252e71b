//! Fuzz entry: octets become messages, answers of the transaction user, failures and passing time; what must hold
//! after each is checked. Used by the fuzz target `transaction` and by the replay of its corpus.

use std::time::Duration;

use bytes::Bytes;
use sip_core::message::{Limits, Message, Status};
use sip_core::time::Instant;
use sip_core::transaction::{
    ClientKey, Output, Received, Reliability, Replies, Sender, ServerKey, Timing, Transactions, cancel_for,
};

/// Runs one sequence of steps. Each is one octet that says what, two that say how long its argument is, and that.
pub fn run(input: &[u8]) {
    let mut bench = Bench::new();
    let mut rest = input;
    while let Some(([what, high, low], after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(after.len());
        let (argument, next) = after.split_at(length);
        bench.step(*what, argument);
        rest = next;
    }
    bench.finish();
}

const CAPACITY: usize = 64;

struct Bench {
    table: Transactions<u8, u8>,
    now: Instant,
    servers: Vec<(ServerKey, Message)>,
    clients: Vec<(ClientKey, Message)>,
    senders: Vec<Sender>,
}

impl Bench {
    fn new() -> Self {
        Self {
            table: Transactions::new(Timing::default(), *b"sixteen octets.."),
            now: Instant::START,
            servers: Vec::new(),
            clients: Vec::new(),
            senders: Vec::new(),
        }
    }

    fn step(&mut self, what: u8, argument: &[u8]) {
        let reliability = if what & 0x80 == 0 { Reliability::Unreliable } else { Reliability::Reliable };
        match what & 0x7f {
            b'm' => self.message_arrives(argument, reliability),
            b'r' => self.tu_asks(argument, reliability),
            b'a' => self.tu_answers(argument),
            b'h' => self.peer_answers(argument),
            b't' => self.time_passes(argument),
            b'c' => self.tu_cancels(argument, reliability),
            b'f' => self.fails(argument),
            b'x' => self.forgets(argument),
            _ => {}
        }
        let outputs = self.drain();
        assert!(outputs <= 2 || what & 0x7f == b't' || what & 0x7f == b'f', "{outputs} outputs of one step");
        assert!(self.table.len() <= CAPACITY);
        assert_eq!(self.table.is_empty(), self.table.poll_timeout().is_none(), "alive is what waits");
    }

    fn message_arrives(&mut self, raw: &[u8], reliability: Reliability) {
        let Some(message) = parsed(raw) else { return };
        if !message.is_request() {
            self.table.receive_response(&message, self.now);
            return;
        }
        let before = self.table.len();
        match self.table.receive_request(&message, self.now) {
            Received::New | Received::Merged | Received::Cancel { .. } => {}
            Received::Absorbed | Received::Ack | Received::AckAbsorbed => return,
        }
        assert_eq!(self.table.len(), before, "nothing is kept of a request before it is let in");
        if self.table.len() < CAPACITY
            && let Ok(key) = self.table.admit(&message, 0, reliability, (), self.now)
        {
            assert_eq!(self.table.server_key(&message), Some(key));
            self.servers.push((key, message));
        }
    }

    fn tu_asks(&mut self, raw: &[u8], reliability: Reliability) {
        let Some(message) = parsed(raw) else { return };
        if self.table.len() < CAPACITY
            && let Ok(key) = self.table.request(message.clone(), 1, reliability, 0, (), self.now)
        {
            assert_eq!(self.table.client_key(&message), Some(key));
            self.clients.push((key, message));
        }
    }

    fn tu_answers(&mut self, argument: &[u8]) {
        let Some((key, request)) = chosen(&self.servers, argument) else { return };
        let response = request.response(status(argument)).to_tag("t").build().expect("the request was sound");
        // Old RFC 2543 requests may share the name of their responses; the key is always right.
        let _ = self.table.respond(key, response, self.now);
    }

    fn peer_answers(&mut self, argument: &[u8]) {
        let Some((_, request)) = chosen(&self.clients, argument) else { return };
        let response = request.response(status(argument)).to_tag("t").build().expect("the request was sound");
        self.table.receive_response(&response, self.now);
    }

    fn tu_cancels(&mut self, argument: &[u8], reliability: Reliability) {
        let Some((_, request)) = chosen(&self.clients, argument) else { return };
        let cancel = cancel_for(request);
        if self.table.len() < CAPACITY
            && let Ok(key) = self.table.request(cancel.clone(), 1, reliability, 0, (), self.now)
        {
            self.clients.push((key, cancel));
        }
    }

    fn time_passes(&mut self, argument: &[u8]) {
        let milliseconds = argument.iter().take(3).fold(0, |sum, octet| sum << 8 | u64::from(*octet));
        self.now = self.now + Duration::from_millis(milliseconds);
        let before = self.table.len();
        self.table.handle_timeout(self.now);
        assert!(self.table.poll_timeout().is_none_or(|at| at > self.now), "something due was left");
        assert!(self.drain() <= before, "one moment, one output each");
    }

    fn fails(&mut self, argument: &[u8]) {
        match chosen(&self.senders, argument) {
            Some(sender) => self.table.send_failed(*sender),
            None => self.table.destination_failed(&1, Replies::Lost),
        }
    }

    fn forgets(&mut self, argument: &[u8]) {
        let Some((key, _)) = chosen(&self.clients, argument) else { return };
        if argument.get(1).is_some_and(|octet| octet & 1 == 0) {
            self.table.abandon(key);
        } else {
            self.table.stop_resending(key);
        }
    }

    fn drain(&mut self) -> usize {
        let mut outputs = 0;
        while let Some(output) = self.table.poll_output() {
            outputs += 1;
            if let Output::Send { message, by, .. } = output {
                assert!(parsed(message.bytes()).is_some(), "an unsound message is sent");
                self.senders.push(by);
            }
        }
        outputs
    }

    /// However it was left, time alone empties the table.
    fn finish(mut self) {
        let mut steps = 0;
        while let Some(at) = self.table.poll_timeout() {
            self.table.handle_timeout(at);
            self.drain();
            steps += 1;
            assert!(steps < 200 * CAPACITY, "no end in sight");
        }
        assert_eq!(self.table.len(), 0);
    }
}

fn parsed(raw: &[u8]) -> Option<Message> {
    Message::parse(Bytes::copy_from_slice(raw), &Limits::default()).ok()
}

fn chosen<'a, T>(from: &'a [T], argument: &[u8]) -> Option<&'a T> {
    let at = usize::from(*argument.first()?).checked_rem(from.len())?;
    from.get(at)
}

/// The second octet says the class, the third the rest.
fn status(argument: &[u8]) -> Status {
    let class = argument.get(1).map_or(2, |octet| u16::from(octet % 6) + 1);
    let rest = argument.get(2).map_or(0, |octet| u16::from(octet % 100));
    Status::new(class * 100 + rest).unwrap_or(Status::OK)
}
