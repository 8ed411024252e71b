//! A transaction table on a lead: what goes in, what comes out, and when.

use std::time::Duration;

use sip_core::message::Message;
use sip_core::time::Instant;
use sip_core::transaction::{
    Attempt, ClientKey, Gone, Output, Received, Reliability, Replies, RequestError, Response, Sender,
    ServerKey, Timing, Transactions,
};

pub const T1: Duration = Duration::from_millis(500);
pub const T2: Duration = Duration::from_secs(4);
pub const T4: Duration = Duration::from_secs(5);
/// 64·T1: timers B, F, H, J (UDP), L and M.
pub const PATIENCE: Duration = Duration::from_secs(32);
pub const PEER: &str = "peer";
pub const KEY: [u8; 16] = *b"sixteen octets..";

/// Every step checks that the one before left nothing unexpected to send or to tell.
pub struct Trace {
    pub table: Transactions<&'static str, &'static str>,
    pub now: Instant,
    reliability: Reliability,
    server: Option<ServerKey>,
    client: Option<ClientKey>,
    last_sender: Option<Sender>,
}

impl Trace {
    pub fn over(reliability: Reliability) -> Self {
        Self::with(Timing::default(), reliability)
    }

    pub fn udp() -> Self {
        Self::over(Reliability::Unreliable)
    }

    pub fn tcp() -> Self {
        Self::over(Reliability::Reliable)
    }

    pub fn with(timing: Timing, reliability: Reliability) -> Self {
        Self {
            table: Transactions::new(timing, KEY),
            now: Instant::START,
            reliability,
            server: None,
            client: None,
            last_sender: None,
        }
    }

    /// A request comes in that is new.
    pub fn receives(&mut self, request: &Message) -> &mut Self {
        match self.arrives(request) {
            Received::New | Received::Cancel { .. } => self.is_let_in(request),
            other => panic!("{other:?} instead of a new transaction"),
        }
    }

    /// The last request gets its transaction.
    pub fn is_let_in(&mut self, request: &Message) -> &mut Self {
        let admitted = self.table.admit(request, PEER, self.reliability, (), self.now);
        self.server = Some(admitted.unwrap());
        self
    }

    /// A request comes in and belongs to a transaction, or is nobody's.
    pub fn receives_as(&mut self, request: &Message, expected: Received) -> &mut Self {
        assert_eq!(self.arrives(request), expected);
        self
    }

    pub fn arrives(&mut self, request: &Message) -> Received {
        self.is_quiet();
        self.table.receive_request(request, self.now)
    }

    /// The transaction user answers the last new request.
    pub fn tu_replies(&mut self, response: &Message) -> &mut Self {
        self.is_quiet();
        self.table.respond(&self.server(), response.clone(), self.now).unwrap();
        self
    }

    /// The transaction user asks.
    pub fn tu_asks(&mut self, request: &Message) -> &mut Self {
        let key = self.asks(request).unwrap();
        if *request.method() != sip_core::message::Method::Cancel {
            self.client = Some(key);
        }
        self.sends(request)
    }

    pub fn asks(&mut self, request: &Message) -> Result<ClientKey, RequestError> {
        self.is_quiet();
        self.table.request(request.clone(), PEER, self.reliability, "user", (), self.now)
    }

    /// A response comes in and is for the transaction user.
    pub fn hears(&mut self, response: &Message) -> &mut Self {
        let expected = Response::ForTu { key: self.client(), user: "user" };
        self.hears_as(response, expected)
    }

    pub fn hears_as(&mut self, response: &Message, expected: Response<&'static str>) -> &mut Self {
        self.is_quiet();
        assert_eq!(self.table.receive_response(response, self.now), expected);
        self
    }

    /// Leaves for the first time.
    pub fn sends(&mut self, expected: &Message) -> &mut Self {
        self.sends_as(expected, Attempt::First)
    }

    /// Leaves again, octet for octet.
    pub fn repeats(&mut self, expected: &Message) -> &mut Self {
        self.sends_as(expected, Attempt::Repeat)
    }

    /// The next message to leave, whatever it is.
    pub fn sent(&mut self) -> (Message, Attempt) {
        match self.table.poll_output() {
            Some(Output::Send { to, message, by, attempt }) => {
                assert_eq!(to, PEER);
                self.last_sender = Some(by);
                (message, attempt)
            }
            other => panic!("{other:?} instead of a message"),
        }
    }

    /// Nothing happens before `time` has passed, and then what follows does.
    pub fn after(&mut self, time: Duration) -> &mut Self {
        self.is_quiet();
        let at = self.now + time;
        self.now = at - Duration::from_millis(1);
        self.table.handle_timeout(self.now);
        self.is_quiet();
        self.now = at;
        self.table.handle_timeout(at);
        self
    }

    /// What left last did not arrive.
    pub fn fails_to_send(&mut self) -> &mut Self {
        self.is_quiet();
        self.table.send_failed(self.last_sender.unwrap());
        self
    }

    pub fn loses_peer(&mut self) -> &mut Self {
        self.loses_peer_and(Replies::MayGoElsewhere)
    }

    pub fn loses_peer_and(&mut self, replies: Replies) -> &mut Self {
        self.is_quiet();
        self.table.destination_failed(&PEER, replies);
        self
    }

    pub fn tells_timeout(&mut self) -> &mut Self {
        match self.table.poll_output() {
            Some(Output::Timeout { key, user: "user", .. }) => assert_eq!(Some(key), self.client),
            other => panic!("{other:?} instead of a time-out"),
        }
        self
    }

    pub fn tells_transport_error(&mut self) -> &mut Self {
        match self.table.poll_output() {
            Some(Output::TransportError { key, user: "user" }) => assert_eq!(Some(key), self.client),
            other => panic!("{other:?} instead of a transport error"),
        }
        self
    }

    pub fn tells_unreachable(&mut self) -> &mut Self {
        match self.table.poll_output() {
            Some(Output::ServerUnreachable { key }) => assert_eq!(Some(key), self.server),
            other => panic!("{other:?} instead of an unreachable peer"),
        }
        self
    }

    pub fn tells_gone(&mut self, expected: Gone) -> &mut Self {
        match self.table.poll_output() {
            Some(Output::ServerGone { key, reason }) => {
                assert_eq!((Some(key), reason), (self.server, expected))
            }
            other => panic!("{other:?} instead of the end"),
        }
        self
    }

    pub fn is_quiet(&mut self) -> &mut Self {
        if let Some(output) = self.table.poll_output() {
            panic!("unexpected {output:?}");
        }
        self
    }

    pub fn is_alive(&mut self) -> &mut Self {
        assert_ne!(self.table.len(), 0);
        self.is_quiet()
    }

    /// Nothing is left, not even a wake-up.
    pub fn is_over(&mut self) -> &mut Self {
        assert_eq!(self.table.len(), 0);
        assert_eq!(self.table.poll_timeout(), None);
        self.is_quiet()
    }

    pub fn server(&self) -> ServerKey {
        self.server.unwrap()
    }

    pub fn client(&self) -> ClientKey {
        self.client.unwrap()
    }

    fn sends_as(&mut self, expected: &Message, attempt: Attempt) -> &mut Self {
        let (message, is) = self.sent();
        assert_eq!(text(&message), text(expected));
        assert_eq!(is, attempt);
        self
    }
}

pub fn text(message: &Message) -> String {
    String::from_utf8(message.bytes().to_vec()).unwrap()
}
