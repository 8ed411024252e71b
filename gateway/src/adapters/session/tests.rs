#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use tokio::sync::mpsc;
use tokio::time::{advance, sleep};

use super::*;
use crate::adapters::connections::Connections;
use crate::adapters::limits::Rate;
use crate::ports::transport::{Protocol, Reply};

/// A wire whose other end is the test.
struct Puppet {
    says: mpsc::UnboundedReceiver<Received>,
    took: mpsc::UnboundedSender<Took>,
    state: Arc<PuppetState>,
    waiting: Option<Took>,
}

#[derive(Default)]
struct PuppetState {
    bytes: AtomicU64,
    /// Zero is none.
    unfinished: AtomicU64,
    takes_nothing: AtomicBool,
    held: AtomicUsize,
}

/// What came out at the other end.
#[derive(Debug, PartialEq, Eq)]
enum Took {
    Message(Bytes),
    Ping,
    Close(CloseReason),
}

impl Wire for Puppet {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        self.says.poll_recv(cx).map(|said| said.unwrap_or(Received::End(CloseReason::Peer)))
    }

    fn start_send(&mut self, message: Bytes) -> Result<(), CloseReason> {
        self.waiting = Some(Took::Message(message));
        Ok(())
    }

    fn start_ping(&mut self) -> Result<(), CloseReason> {
        self.waiting = Some(Took::Ping);
        Ok(())
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        if self.state.takes_nothing.load(Relaxed) {
            return Poll::Pending;
        }
        if let Some(waiting) = self.waiting.take() {
            let _ = self.took.send(waiting);
        }
        Poll::Ready(Ok(()))
    }

    fn unfinished(&self) -> Option<u64> {
        Some(self.state.unfinished.load(Relaxed)).filter(|number| *number > 0)
    }

    fn held(&self) -> usize {
        self.state.held.load(Relaxed)
    }

    fn bytes_received(&self) -> u64 {
        self.state.bytes.load(Relaxed)
    }

    async fn close(&mut self, why: CloseReason) {
        let _ = self.took.send(Took::Close(why));
    }
}

#[derive(Clone)]
struct App(mpsc::UnboundedSender<(Instant, Bytes)>);

impl Ingress for App {
    fn opened(&self, _source: &Source) {}

    async fn receive(&self, source: &Source, raw: Bytes) {
        if let Some(question) = raw.strip_prefix(b"answer ") {
            source.reply.send(Bytes::copy_from_slice(question)).unwrap();
        }
        let _ = self.0.send((Instant::now(), raw));
    }

    fn closed(&self, _source: &Source, _why: CloseReason) {}

    fn unreachable(&self, _to: &Destination, _why: SendError) {}
}

/// Bytes of all strangers: an eighth of it is for the one of these tests.
const STRANGERS: usize = 8_000;

/// The peer's end of a session, in paused time: waiting for what comes moves the clock.
struct Peer {
    says: mpsc::UnboundedSender<Received>,
    took: mpsc::UnboundedReceiver<Took>,
    app: mpsc::UnboundedReceiver<(Instant, Bytes)>,
    outbox: Arc<Outbox>,
    state: Arc<PuppetState>,
    start: Instant,
}

fn start(edge: Edge, limits: Limits) -> Peer {
    let (says, from_peer) = mpsc::unbounded_channel();
    let (to_peer, took) = mpsc::unbounded_channel();
    let (to_app, app) = mpsc::unbounded_channel();
    let state = Arc::new(PuppetState::default());
    let outbox = Arc::new(Outbox::new(&limits));
    let registration = Arc::new(Connections::new(STRANGERS)).register(&outbox, None, None);
    let address = "192.0.2.1:5060".parse().unwrap();
    let source = Source {
        edge,
        listener: "test".into(),
        protocol: Protocol::Wss,
        local: address,
        remote: address,
        connection: Some(registration.id()),
        dialled: None,
        reply: Reply::new(address, outbox.clone()),
    };
    let line = Line {
        ingress: App(to_app),
        source: Arc::new(source),
        outbox: Arc::clone(&outbox),
        limits: Arc::new(limits),
        registration,
    };
    tokio::spawn(run(Puppet { says: from_peer, took: to_peer, state: state.clone(), waiting: None }, line));
    Peer { says, took, app, outbox, state, start: Instant::now() }
}

impl Peer {
    fn says(&self, what: Received) {
        self.state.bytes.fetch_add(10, Relaxed);
        self.says.send(what).unwrap();
    }

    fn says_message(&self, text: &'static str) {
        self.says(Received::Message(Bytes::from_static(text.as_bytes())));
    }

    /// What comes next, and after how many seconds since the start.
    async fn takes(&mut self) -> (Took, u64) {
        let took = self.took.recv().await.unwrap();
        (took, self.start.elapsed().as_secs())
    }
}

fn identified(limits: Limits) -> Peer {
    let peer = start(Edge::Browser, limits);
    peer.outbox.identify();
    peer
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_asked_and_closed_within_45_seconds() {
    let mut peer = identified(Limits::browser());
    assert_eq!(peer.takes().await, (Took::Ping, 25));
    assert_eq!(peer.takes().await, (Took::Close(CloseReason::Silent), 40));
}

#[tokio::test(start_paused = true)]
async fn a_pong_is_a_sign_of_life_and_so_is_anything_else() {
    let mut peer = identified(Limits::browser());
    for (said, at) in [(Received::Control, 25), (Received::KeepAlive, 50)] {
        assert_eq!(peer.takes().await, (Took::Ping, at));
        peer.says(said);
    }
    assert_eq!(peer.takes().await, (Took::Message(Bytes::from_static(b"\r\n")), 50));
    assert_eq!(peer.takes().await, (Took::Ping, 75));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_talks_is_not_asked() {
    let mut peer = identified(Limits::browser());
    for _ in 0..6 {
        sleep(Duration::from_secs(20)).await;
        peer.says_message("OPTIONS");
    }
    assert_eq!(peer.takes().await, (Took::Ping, 145));
}

#[tokio::test(start_paused = true)]
async fn a_browser_identifies_itself_in_30_seconds_and_talking_is_not_enough() {
    let mut peer = start(Edge::Browser, Limits::browser());
    sleep(Duration::from_secs(20)).await;
    peer.says_message("OPTIONS");
    assert_eq!(peer.takes().await, (Took::Close(CloseReason::TooSlow), 30));

    let mut peer = identified(Limits::browser());
    assert_eq!(peer.takes().await, (Took::Ping, 25), "and not closed at 30");
    peer.says(Received::Control);
    assert_eq!(peer.takes().await, (Took::Ping, 50));
}

#[tokio::test(start_paused = true)]
async fn a_trunk_identifies_itself_by_its_first_message_and_may_be_idle_for_ten_minutes() {
    let mut peer = start(Edge::Trunk, Limits::trunk());
    assert_eq!(peer.takes().await, (Took::Close(CloseReason::TooSlow), 30));

    let mut peer = start(Edge::Trunk, Limits::trunk());
    sleep(Duration::from_secs(20)).await;
    peer.says_message("OPTIONS");
    assert_eq!(peer.takes().await, (Took::Close(CloseReason::Idle), 620));
}

#[tokio::test(start_paused = true)]
async fn half_a_message_is_closed_after_ten_seconds_however_it_trickles() {
    let mut peer = identified(Limits::browser());
    sleep(Duration::from_secs(3)).await;
    peer.state.unfinished.store(1, Relaxed);
    for _ in 0..5 {
        // A byte of it: the wire is polled and has nothing to show.
        peer.state.bytes.fetch_add(1, Relaxed);
        peer.outbox.identify();
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(peer.takes().await, (Took::Close(CloseReason::TooSlow), 13));
}

#[tokio::test(start_paused = true)] // RFC 6455 §5.4: pings may come between fragments
async fn pings_in_between_give_half_a_message_no_more_time() {
    let mut peer = identified(Limits::browser());
    peer.state.unfinished.store(1, Relaxed);
    for _ in 0..5 {
        peer.state.bytes.fetch_add(1, Relaxed);
        peer.says.send(Received::Control).unwrap();
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(peer.takes().await, (Took::Close(CloseReason::TooSlow), 10));
}

#[tokio::test(start_paused = true)]
async fn half_a_message_behind_a_whole_one_has_its_own_ten_seconds() {
    let mut peer = identified(Limits::browser());
    peer.state.unfinished.store(1, Relaxed);
    peer.says.send(Received::Control).unwrap();
    sleep(Duration::from_secs(4)).await;
    peer.state.unfinished.store(2, Relaxed);
    peer.says_message("OPTIONS");
    assert_eq!(peer.takes().await, (Took::Close(CloseReason::TooSlow), 14));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_closed_in_less_than_ten_seconds() {
    let mut peer = identified(Limits::browser());
    peer.state.takes_nothing.store(true, Relaxed);
    peer.outbox.push(Bytes::from_static(b"one")).unwrap();
    assert_eq!(peer.takes().await, (Took::Close(CloseReason::SlowReader), 7));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_closes_a_peer_that_takes_nothing_at_once() {
    let mut peer = identified(Limits { queue_messages: 2, ..Limits::browser() });
    peer.state.takes_nothing.store(true, Relaxed);
    peer.outbox.push(Bytes::from_static(b"on its way")).unwrap();
    advance(Duration::from_millis(1)).await;
    for _ in 0..2 {
        peer.outbox.push(Bytes::from_static(b"waiting")).unwrap();
    }
    assert_eq!(peer.outbox.push(Bytes::from_static(b"one too many")), Err(SendError::Full));
    assert_eq!(peer.takes().await, (Took::Close(CloseReason::SlowReader), 0));
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_read_at_the_rate_and_nothing_is_lost() {
    let rate = Some(Rate { per_second: 10, burst: 5 });
    let mut peer = identified(Limits { rate, ..Limits::browser() });
    for _ in 0..25 {
        peer.says_message("OPTIONS");
    }
    let mut at = Vec::new();
    for _ in 0..25 {
        let (when, _) = peer.app.recv().await.unwrap();
        at.push((when - peer.start).as_millis() / 100);
    }
    let expected: Vec<u128> = [0; 5].into_iter().chain(1..=20).collect();
    assert_eq!(at, expected);
}

/// All the ways in which a peer's bytes can end a connection.
const ENDS: [CloseReason; 5] = [
    CloseReason::Peer,
    CloseReason::Protocol,
    CloseReason::TooBig,
    CloseReason::NotText,
    CloseReason::Internal,
];

#[tokio::test(start_paused = true)]
async fn what_was_answered_leaves_before_the_end_that_came_in_the_same_read() {
    for why in ENDS {
        let mut peer = identified(Limits::browser());
        for text in ["answer one", "answer two"] {
            peer.says_message(text);
        }
        peer.says(Received::KeepAlive);
        peer.says(Received::End(why));
        for answer in ["one", "two", "\r\n"] {
            assert_eq!(peer.takes().await, (Took::Message(answer.into()), 0), "{why:?}");
        }
        assert_eq!(peer.takes().await, (Took::Close(why), 0));
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_slow_reader_leaves_too_and_nothing_is_added() {
    let mut peer = identified(Limits::browser());
    peer.state.takes_nothing.store(true, Relaxed);
    for text in ["answer one", "answer two", "answer three"] {
        peer.says_message(text);
    }
    peer.says(Received::End(CloseReason::Protocol));
    advance(Duration::from_millis(1)).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(peer.outbox.push(Bytes::from_static(b"late")), Err(SendError::Gone));
    peer.state.takes_nothing.store(false, Relaxed);
    // Something wakes it, as a socket that has room would.
    peer.outbox.identify();
    for answer in ["one", "two", "three"] {
        assert_eq!(peer.takes().await.0, Took::Message(answer.into()));
    }
    assert_eq!(peer.takes().await.0, Took::Close(CloseReason::Protocol));
}

#[tokio::test(start_paused = true)]
async fn who_reads_nothing_after_his_bad_message_is_not_waited_for() {
    let mut peer = identified(Limits::browser());
    peer.state.takes_nothing.store(true, Relaxed);
    peer.says_message("answer one");
    peer.says(Received::End(CloseReason::Protocol));
    while peer.outbox.push(Bytes::new()) != Err(SendError::Gone) {
        sleep(Duration::from_millis(1)).await;
    }
    sleep(CLOSE_WITHIN).await;
    assert_eq!(peer.took.recv().await, None, "gone without an answer or a goodbye");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_calls_live_on_may_be_idle_for_hours() {
    let mut peer = start(Edge::Trunk, Limits::trunk());
    peer.says_message("INVITE");
    peer.outbox.keep();
    sleep(Duration::from_secs(3_600)).await;
    assert!(peer.took.try_recv().is_err(), "still there");
    peer.says_message("BYE");
    sleep(Duration::from_secs(1)).await;
    peer.outbox.release();
    assert_eq!(peer.takes().await, (Took::Close(CloseReason::Idle), 4_200));
}

#[tokio::test(start_paused = true)]
async fn a_suspect_that_stays_silent_is_closed_and_one_that_speaks_is_cleared() {
    let mut peer = start(Edge::Trunk, Limits::trunk());
    peer.says_message("OPTIONS");
    sleep(Duration::from_secs(10)).await;
    peer.outbox.suspect(Instant::now());
    assert!(!peer.outbox.is_trusted());
    sleep(Duration::from_secs(20)).await;
    peer.says(Received::Control);
    sleep(Duration::from_secs(30)).await;
    assert!(peer.outbox.is_trusted());
    peer.outbox.suspect(Instant::now());
    assert_eq!(peer.takes().await, (Took::Close(CloseReason::Silent), 92));
}

#[tokio::test(start_paused = true)]
async fn a_stranger_that_holds_more_than_his_share_is_closed_and_a_known_peer_is_not() {
    let mut stranger = start(Edge::Browser, Limits::browser());
    stranger.state.held.store(1_000, Relaxed);
    stranger.says_message("OPTIONS");
    stranger.app.recv().await.unwrap();
    stranger.state.held.store(1_001, Relaxed);
    stranger.says_message("OPTIONS");
    assert_eq!(stranger.takes().await, (Took::Close(CloseReason::Policy), 0));

    let mut known = identified(Limits::browser());
    known.state.held.store(60_000, Relaxed);
    known.says_message("OPTIONS");
    known.app.recv().await.unwrap();
    assert_eq!(known.takes().await, (Took::Ping, 25));
}
