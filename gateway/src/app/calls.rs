//! A call changes in one way only: load it, let the machine decide, compare and swap, then carry out what it wants.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use relay_api::{EventKind, LegName, RelayName, SessionSpec};
use sip_core::call::{Call, CallTimer, Cause, Effect, Event, Failure, PassedOver, Summary, orphan};
use sip_core::message::{Message, Method, Name};
use sip_core::routing::locate::Servers;
use sip_core::routing::{CallId, Destination, LegId};
use sip_core::time::UnixMillis;
use sip_core::transaction::{Output, Reliability, cost};
use tokio::sync::{Mutex, MutexGuard};
use tracing::Instrument;

use super::given_up::Answer;
use super::ingress::Request;
use super::quality::{quality_changed, sound_from_elsewhere};
use super::shares::{Holder, Shares, Urgency};
use super::transactions::{Asked, Outputs};
use super::{Node, Runtime, journal};
use crate::ports::store::{StoreError, Version};
use crate::ports::transport::{ConnectionId, Destination as Socket, Edge, Source};

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The call took it.
    Done,
    /// There is no such call.
    NoSuchCall,
    /// The store did not answer.
    Unavailable,
}

impl<R: Runtime> Node<R> {
    /// Lets a call see an event, and what follows from it.
    pub(super) async fn drive(&self, id: CallId, event: Event) -> Outcome {
        let span = journal::span(&id, event.leg());
        let driven = async {
            let _turn = self.0.turns.take(&id).await;
            self.drive_in_turn(id, VecDeque::from([event])).await
        };
        driven.instrument(span).await
    }

    /// Stores a new call, which holds its share of this node's memory until it ends, and carries out its first effects.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if a repetition of the same INVITE made the call already.
    pub(super) async fn begin(
        &self,
        call: Call,
        effects: Vec<Effect>,
        shares: Shares,
        request: &Request,
    ) -> Result<(), StoreError> {
        let id = call.id();
        let _turn = self.0.turns.take(&id).await;
        let call = Arc::new(call);
        if !is_over(&effects) {
            self.0.ports.store.put_call(Arc::clone(&call), None).await?;
            self.held_by_calls().insert(id, shares);
        }
        self.0.metrics.started(&call.parties().kind);
        journal::tell_start(call.parties(), request);
        drop(call);
        let mut events = VecDeque::new();
        self.carry_out(id, effects, &mut events).await;
        self.drive_in_turn(id, events).await;
        Ok(())
    }

    /// A response to a request of a call.
    pub(super) async fn answered(&self, source: &Source, asked: Asked, message: Message) {
        self.0.metrics.answered(&message, self.trunk_of(source));
        let event = Event::Response { leg: asked.leg, message: message.clone() };
        if self.drive(asked.call, event).await == Outcome::NoSuchCall {
            self.clear_orphan(source, &message).await;
        }
    }

    /// A late response to an INVITE whose call is over leaves nobody waiting, and nobody's phone ringing.
    pub(super) async fn clear_orphan(&self, source: &Source, response: &Message) {
        let Some(named) = self.0.identity.sealer.call_of(response) else { return };
        let from = self.origin(source, response);
        for effect in orphan(response, &from, &self.0.identity.sealer) {
            match effect {
                Effect::SendAck { message, to, .. } => self.send_bytes(&message, &to),
                Effect::Send { leg, message, to } => _ = self.ask(named.call, leg, message, &to),
                _ => {}
            }
        }
        match self.0.given_up.answer(response) {
            Some(Answer::Cancel(cancel)) => _ = self.ask(named.call, named.leg, cancel, &from),
            Some(Answer::Ack(ack)) => self.send_bytes(&ack, &from),
            None => {}
        }
    }

    /// A browser's connection is gone.
    pub(super) fn browser_left(&self, connection: ConnectionId) {
        let flow = self.flow_id(connection);
        for (call, leg) in self.0.flows.closed(connection) {
            self.drive_later(call, Event::FlowLost { leg, flow });
        }
    }

    /// A browser registered again with the same instance on another connection: its calls move there.
    pub(super) async fn browser_returned(&self, before: ConnectionId, now: ConnectionId) {
        let (was, flow) = (self.flow_id(before), self.flow_id(now));
        for (call, leg) in self.0.flows.move_calls(before, now) {
            self.drive(call, Event::FlowRestored { leg, was, flow }).await;
        }
    }

    /// The relay noticed something in a session.
    pub async fn media_event(&self, event: relay_api::Event) {
        let Some(call) = CallId::of_session(&event.id) else { return };
        let (session, side) = (event.id, event.leg);
        let leg = match side {
            LegName::A => LegId::A,
            LegName::B => LegId::of_session(&session),
        };
        match event.kind {
            EventKind::Quality(report) => {
                journal::span(&call, Some(leg)).in_scope(|| quality_changed(&report))
            }
            EventKind::WrongSource { from, expected } => {
                journal::span(&call, Some(leg)).in_scope(|| sound_from_elsewhere(from, expected));
            }
            kind => _ = self.drive(call, Event::Media { session, side, kind }).await,
        }
    }

    /// Serves transaction and call timers until the node is dropped. Runs for the node's whole life.
    pub async fn serve(&self) {
        let mut call_timers_due = self.0.runtime.now();
        let mut sweep_due = self.0.runtime.now();
        loop {
            let now = self.0.runtime.now();
            let (outputs, due) = self.0.transactions.handle_timeouts(now);
            self.send_outputs(outputs);
            if call_timers_due <= now {
                call_timers_due = now + CALL_TIMER_STEP;
                self.serve_call_timers().await;
            }
            if sweep_due <= now {
                sweep_due = now + SWEEP_STEP;
                self.0.ports.store.sweep(self.0.runtime.unix_now()).await;
                self.0.failed_logins.sweep(now);
                self.tell_expired_registrations();
                self.count_sizes().await;
            }
            // A transaction that begins meanwhile has T1 before its first timer, which is longer than any of these steps.
            let (soonest, latest) = (now + TRANSACTION_TIMER_STEP, now + CALL_TIMER_STEP);
            self.0.runtime.sleep_until(due.map_or(latest, |due| due.clamp(soonest, latest))).await;
        }
    }

    /// Takes no new calls from now on.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Release);
    }

    /// Ends every call of the store with BYE or CANCEL; returns how many were left to end.
    pub async fn end_calls(&self) -> usize {
        let calls = self.0.ports.store.calls(usize::MAX).await.unwrap_or_default();
        for call in &calls {
            self.drive(*call, Event::Terminate { cause: Cause::Shutdown }).await;
        }
        calls.len()
    }

    /// Calls, those included whose media are being given back, and transactions that are still under way.
    pub async fn under_way(&self) -> (usize, usize) {
        let calls = self.0.ports.store.sizes().await.map_or(0, |sizes| sizes.calls);
        (calls + self.0.releases.load(Ordering::Acquire), self.0.transactions.len())
    }

    /// What the resolver found for one of a trunk's hosts.
    pub fn trunk_resolved(&self, trunk: &str, host: usize, found: &Servers) {
        self.0.trunks.resolved(trunk, host, found);
        self.show_trunks();
    }

    /// Sends what the transaction layer wants sent, and tells calls what became of their requests.
    pub(super) fn send_outputs(&self, outputs: Outputs) {
        let mut outputs = VecDeque::from(outputs);
        while let Some(output) = outputs.pop_front() {
            match output {
                Output::Send { to, message, by, .. } => {
                    if let Err(error) = self.0.ports.transport.send(&to, message.bytes().clone()) {
                        tracing::debug!(?to, %error, "not sent");
                        outputs.extend(self.0.transactions.send_failed(&message, by));
                    }
                }
                Output::Timeout { user: asked, to, .. } => {
                    self.left_unanswered(&to);
                    self.asked_in_vain(asked, Failure::Timeout);
                }
                Output::TransportError { user: asked, .. } => self.asked_in_vain(asked, Failure::Transport),
                // The flow's end, or the missing ACK, reaches the call by itself.
                Output::ServerUnreachable { .. } | Output::ServerGone { .. } => {}
            }
        }
    }

    async fn drive_in_turn(&self, id: CallId, mut events: VecDeque<Event>) -> Outcome {
        while let Some(event) = events.pop_front() {
            match self.decide(&id, &event).await {
                Ok(Some(effects)) => self.carry_out(id, effects, &mut events).await,
                Ok(None) => return Outcome::NoSuchCall,
                Err(error) => {
                    tracing::error!(%error, "a call could not take an event");
                    return Outcome::Unavailable;
                }
            }
        }
        Outcome::Done
    }

    async fn decide(&self, id: &CallId, event: &Event) -> Result<Option<Vec<Effect>>, StoreError> {
        for _ in 0..MOST_CONFLICTS {
            let Some(found) = self.0.ports.store.call(id).await? else { return Ok(None) };
            let mut call = found.value;
            let now = self.0.runtime.unix_now();
            let effects = Arc::make_mut(&mut call).handle(
                event.clone(),
                &self.0.identity.sealer,
                &self.0.settings.calls,
                now,
            );
            match self.swap(call, found.version, &effects).await {
                Ok(()) => return Ok(Some(effects)),
                Err(StoreError::Conflict) => self.0.metrics.conflicts.inc(),
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    async fn swap(&self, call: Arc<Call>, version: Version, effects: &[Effect]) -> Result<(), StoreError> {
        if is_over(effects) {
            let id = call.id();
            return self.0.ports.store.remove_call(&id, version).await;
        }
        self.0.ports.store.put_call(call, Some(version)).await.map(|_| ())
    }

    async fn carry_out(&self, id: CallId, effects: Vec<Effect>, events: &mut VecDeque<Event>) {
        for effect in effects {
            match effect {
                Effect::Respond { leg, message, to } => self.respond(id, leg, message, &to),
                Effect::Send { leg, message, to } => {
                    let by = self.ask(id, leg, message, &to);
                    if let (Some(Socket::Connection(connection)), Destination::Trunk(_)) = (by, &to) {
                        self.carries(connection, id);
                    }
                }
                Effect::SendAck { message, to, .. } => self.send_bytes(&message, &to),
                Effect::Abandon { invite } => self.0.transactions.abandon(&invite),
                Effect::StopResending { invite } => self.stop_resending(invite),
                Effect::PassOver { to, seconds, why } => self.pass_over(&to, seconds, why),
                Effect::Media { spec, relay } => events.push_back(self.make_media(*spec, relay).await),
                Effect::ReleaseMedia(session) => self.release_media(id, session),
                Effect::DropMedia(session) => self.drop_media(id, session),
                Effect::Dtmf { session, side, digit, duration_ms } => {
                    if let Err(error) = self.0.ports.relay.dtmf(&session, side, digit, duration_ms).await {
                        tracing::debug!(%error, "a digit was not played");
                    }
                }
                Effect::StartTimer(timer, at) => self.set_timer(id, timer, at).await,
                Effect::StopTimer(timer) => {
                    // One that fires nevertheless is ignored by the call.
                    let _ = self.0.ports.store.clear_timer(&id, timer).await;
                }
                Effect::Ended(summary) => self.ended(summary),
            }
        }
    }

    fn stop_resending(&self, invite: Message) {
        if let Some(to) = self.0.transactions.stop_resending(&invite) {
            self.left_unanswered(&to);
        }
        self.0.given_up.note(invite, self.0.runtime.now());
    }

    /// The connection may have been forgotten by a firewall or by a peer that died: the next request takes another one.
    fn left_unanswered(&self, to: &Socket) {
        if let Socket::Connection(connection) = to {
            tracing::info!(%connection, "a request was left without a response");
            self.0.ports.transport.suspect(*connection);
        }
    }

    fn pass_over(&self, to: &Destination, seconds: Option<u32>, why: PassedOver) {
        // A browser's connection is closed by its own keep-alive.
        if let Destination::Trunk(trunk) = to {
            let why = match why {
                PassedOver::Silent => "no response in first_reply",
                PassedOver::Failed(Failure::Timeout) => "no response",
                PassedOver::Failed(Failure::Transport) => "can't be reached",
                PassedOver::Unavailable => "503 with Retry-After",
            };
            tracing::warn!(trunk = trunk.trunk, remote = %trunk.address, why, seconds, "address passed over");
            self.0.trunks.pass_over(trunk.address, seconds, self.0.runtime.now());
            self.show_trunks();
        }
    }

    fn respond(&self, id: CallId, leg: LegId, message: Message, to: &Destination) {
        self.0.metrics.responded(&message);
        if let (Some(warning), Some(status)) = (message.header(Name::Warning), message.status()) {
            tracing::info!(?leg, status = status.code(), warning, "refused");
        }
        self.note_flow(id, leg, to);
        match self.0.transactions.respond_by_via(&message, self.0.runtime.now()) {
            Some(outputs) => self.send_outputs(outputs),
            None => self.send_bytes(&message, to),
        }
    }

    /// Starts a client transaction; by what it goes.
    fn ask(&self, call: CallId, leg: LegId, message: Message, to: &Destination) -> Option<Socket> {
        self.note_flow(call, leg, to);
        self.0.metrics.asked(&message, to.trunk());
        let (cseq, method) = message.cseq();
        let asked = Asked { call, leg, cseq, method: method.clone() };
        let Some(socket) = self.socket(to) else {
            self.asked_in_vain(asked, Failure::Transport);
            return None;
        };
        let reliability = if to.is_reliable() { Reliability::Reliable } else { Reliability::Unreliable };
        let now = self.0.runtime.now();
        let Some(share) =
            self.0.transaction_memory.take(&Holder::Ourselves, cost(&message), Urgency::Follows)
        else {
            tracing::warn!("a request could not be started: no room for another transaction");
            self.asked_in_vain(asked, Failure::Transport);
            return None;
        };
        let (started, outputs) =
            self.0.transactions.request(message, socket.clone(), reliability, asked.clone(), share, now);
        self.send_outputs(outputs);
        if let Err(error) = started {
            tracing::warn!(%error, "a request could not be started");
            self.asked_in_vain(asked, Failure::Transport);
        }
        Some(socket)
    }

    /// A call that lives goes over the connection that this came by. A browser's needs no keeping: it is asked for signs of
    /// life.
    pub(super) fn comes_by(&self, source: &Source, call: CallId) {
        match (source.edge, source.connection) {
            (Edge::Trunk, Some(connection)) => self.carries(connection, call),
            (Edge::Trunk | Edge::Browser, _) => {}
        }
    }

    fn carries(&self, connection: ConnectionId, call: CallId) {
        if self.0.carriers.carries(connection, call) {
            self.0.ports.transport.keep(connection);
        }
    }

    /// No connection carries the call any more.
    pub(super) fn carries_no_more(&self, call: CallId) {
        for connection in self.0.carriers.drops(call) {
            self.0.ports.transport.release(connection);
        }
    }

    /// Without a transaction: an ACK of a 2xx, or a repeated 2xx (RFC 3261 §13.2.2.4, §13.3.1.4). What is lost here is
    /// asked for again by the peer.
    fn send_bytes(&self, message: &Message, to: &Destination) {
        if let Some(socket) = self.socket(to)
            && let Err(error) = self.0.ports.transport.send(&socket, message.bytes().clone())
        {
            tracing::debug!(?socket, %error, "not sent");
        }
    }

    async fn make_media(&self, spec: SessionSpec, relay: Option<RelayName>) -> Event {
        let session = spec.id.clone();
        match self.0.ports.relay.put(spec, relay).await {
            Ok(description) => Event::MediaReady(Box::new(description)),
            Err(error) => {
                tracing::warn!(%error, "no media");
                Event::MediaFailed { session, error }
            }
        }
    }

    async fn set_timer(&self, id: CallId, timer: CallTimer, at: UnixMillis) {
        if let Err(error) = self.0.ports.store.set_timer(&id, timer, at).await {
            tracing::error!(?timer, %error, "a call timer could not be set");
        }
    }

    async fn serve_call_timers(&self) {
        let now = self.0.runtime.unix_now();
        while let Ok(due) = self.0.ports.store.claim_timers(now, TIMERS_AT_A_TIME).await {
            let more = due.len() == TIMERS_AT_A_TIME;
            for (call, timer) in due {
                self.drive_later(call, Event::Timer(timer));
            }
            if !more {
                return;
            }
        }
    }

    fn asked_in_vain(&self, asked: Asked, failure: Failure) {
        let Asked { call, leg, cseq, method } = asked;
        if method == Method::Bye {
            let tell = || {
                tracing::warn!(?failure, "BYE was not delivered: the peer may think that the call goes on")
            };
            journal::span(&call, Some(leg)).in_scope(tell);
        }
        self.drive_later(call, Event::ClientFailed { leg, cseq, method, failure });
    }

    /// For what comes up while another call has its turn.
    fn drive_later(&self, call: CallId, event: Event) {
        let node = self.clone();
        self.0.runtime.spawn(async move {
            node.drive(call, event).await;
        });
    }

    fn note_flow(&self, call: CallId, leg: LegId, to: &Destination) {
        if let Some(Socket::Connection(connection)) = to.flow().and_then(|_| self.socket(to)) {
            self.0.flows.carries(connection, call, leg);
        }
    }

    fn ended(&self, summary: Summary) {
        self.0.flows.drops(summary.call);
        self.carries_no_more(summary.call);
        self.held_by_calls().remove(&summary.call);
        self.0.metrics.ended(&summary);
        if let Some(end) = self.0.journal.over(summary) {
            journal::tell_end(&end);
        }
    }

    /// Which addresses of trunks get calls.
    fn show_trunks(&self) {
        self.0.metrics.trunks(&self.0.trunks.addresses(self.0.runtime.now()));
    }

    fn held_by_calls(&self) -> std::sync::MutexGuard<'_, HashMap<CallId, Shares>> {
        self.0.held_by_calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn count_sizes(&self) {
        if let Ok(sizes) = self.0.ports.store.sizes().await {
            self.0.metrics.sizes(sizes, self.0.transactions.len(), self.0.flows.len());
            self.0.metrics.held(self.0.transaction_memory.held(), self.0.call_memory.held());
        }
        self.show_trunks();
    }
}

/// Effects of one call reach the wire in the order in which the call decided them: on one node, one at a time.
pub(super) struct Turns {
    parts: Box<[Mutex<()>]>,
    hasher: RandomState,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self { parts: (0..TURNS).map(|_| Mutex::new(())).collect(), hasher: RandomState::new() }
    }

    async fn take(&self, call: &CallId) -> MutexGuard<'_, ()> {
        let part = self.hasher.hash_one(call) as usize % TURNS;
        self.parts[part].lock().await
    }
}

fn is_over(effects: &[Effect]) -> bool {
    matches!(effects.last(), Some(Effect::Ended(_)))
}

/// A call that loses this many races in a row is not asked again.
const MOST_CONFLICTS: usize = 16;
/// Calls that share a turn wait for each other; more than are ever busy at once.
const TURNS: usize = 1_024;
/// Timers claimed in one go.
const TIMERS_AT_A_TIME: usize = 256;
/// Retransmission timers, of which T1 is the shortest, are late by at most this.
const TRANSACTION_TIMER_STEP: Duration = Duration::from_millis(50);
/// Call timers are late by at most this.
const CALL_TIMER_STEP: Duration = Duration::from_millis(100);
/// What has expired is dropped this often.
const SWEEP_STEP: Duration = Duration::from_secs(10);
