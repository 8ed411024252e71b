//! The transaction layer of this node: the pure tables of sip-core, locked in parts.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sip_core::message::{Message, Method};
use sip_core::routing::{CallId, LegId};
use sip_core::time::Instant;
use sip_core::transaction::{
    ClientKey, NotNew, Output, Received, Reliability, Replies, RequestError, Response, Sender, ServerKey,
    Timing, Transactions,
};

use super::shares::Share;
use crate::ports::transport::Destination;

/// What a client transaction of ours was for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub call: CallId,
    pub leg: LegId,
    pub cseq: u32,
    pub method: Method,
}

type Table = Transactions<Destination, Asked, Share>;
pub(super) type Outputs = Vec<Output<Destination, Asked>>;

/// A server transaction and where it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerTransaction {
    shard: usize,
    key: ServerKey,
}

/// All transactions of this node. Messages of one Call-ID meet in one part, so merged requests are noticed
/// (RFC 3261 §8.2.2.2).
pub(super) struct TransactionLayer {
    shards: Box<[Mutex<Table>]>,
    hasher: RandomState,
}

impl TransactionLayer {
    pub(super) fn new(timing: Timing, random: impl Fn(&mut [u8])) -> Self {
        let table = |_| {
            let mut key = [0; 16];
            random(&mut key);
            Mutex::new(Table::new(timing, key))
        };
        let shards = (0..SHARDS).map(table).collect();
        Self { shards, hasher: RandomState::new() }
    }

    pub(super) fn receive_request(&self, request: &Message, now: Instant) -> (Received, Outputs) {
        self.with(self.shard_of(request), |table| table.receive_request(request, now))
    }

    pub(super) fn admit(
        &self,
        request: &Message,
        reply_to: Destination,
        reliability: Reliability,
        share: Share,
        now: Instant,
    ) -> (Result<ServerTransaction, NotNew>, Outputs) {
        let shard = self.shard_of(request);
        let (admitted, outputs) =
            self.with(shard, |table| table.admit(request, reply_to, reliability, share, now));
        (admitted.map(|key| ServerTransaction { shard, key }), outputs)
    }

    pub(super) fn receive_response(&self, response: &Message, now: Instant) -> (Response<Asked>, Outputs) {
        self.with(self.shard_of(response), |table| table.receive_response(response, now))
    }

    /// Where the request of ours went that this response is to.
    pub(super) fn asked(&self, response: &Message) -> Option<Destination> {
        self.lock(self.shard_of(response)).asked(response).cloned()
    }

    pub(super) fn respond(&self, to: ServerTransaction, response: Message, now: Instant) -> Outputs {
        // A transaction that is over meanwhile has its final response: another one is of no use (RFC 3261 §17.2).
        let (_, outputs) = self.with(to.shard, |table| table.respond(&to.key, response, now));
        outputs
    }

    /// Answers the request that the response's Via and CSeq name; `None` if it has no transaction here.
    pub(super) fn respond_by_via(&self, response: &Message, now: Instant) -> Option<Outputs> {
        let (found, outputs) = self.with(self.shard_of(response), |table| {
            let key = table.server_key(response)?;
            table.respond(&key, response.clone(), now).ok()
        });
        found.map(|()| outputs)
    }

    pub(super) fn request(
        &self,
        request: Message,
        to: Destination,
        reliability: Reliability,
        asked: Asked,
        share: Share,
        now: Instant,
    ) -> (Result<ClientKey, RequestError>, Outputs) {
        let shard = self.shard_of(&request);
        self.with(shard, |table| table.request(request, to, reliability, asked, share, now))
    }

    /// Whatever becomes of this request of ours, nobody wants to know.
    pub(super) fn abandon(&self, request: &Message) {
        self.with(self.shard_of(request), |table| {
            if let Some(key) = table.client_key(request) {
                table.abandon(&key);
            }
        });
    }

    /// This request of ours is not repeated any more, its responses are still wanted. Where it was sent.
    pub(super) fn stop_resending(&self, request: &Message) -> Option<Destination> {
        let (to, _) = self.with(self.shard_of(request), |table| {
            let key = table.client_key(request)?;
            table.stop_resending(&key);
            table.destination(&key).cloned()
        });
        to
    }

    /// The bytes of an output did not leave.
    pub(super) fn send_failed(&self, message: &Message, by: Sender) -> Outputs {
        let ((), outputs) = self.with(self.shard_of(message), |table| table.send_failed(by));
        outputs
    }

    /// Ends what waits for a destination which can't be reached.
    pub(super) fn destination_failed(&self, to: &Destination, replies: Replies) -> Outputs {
        let mut all = Vec::new();
        for shard in 0..SHARDS {
            let ((), outputs) = self.with(shard, |table| table.destination_failed(to, replies));
            all.extend(outputs);
        }
        all
    }

    /// Serves the timers that are due; what follows, and when the next one is.
    pub(super) fn handle_timeouts(&self, now: Instant) -> (Outputs, Option<Instant>) {
        let (mut all, mut next) = (Vec::new(), None);
        for shard in 0..SHARDS {
            let mut due = self.lock(shard).poll_timeout();
            if due.is_some_and(|due| due <= now) {
                let (after, outputs) = self.with(shard, |table| {
                    table.handle_timeout(now);
                    table.poll_timeout()
                });
                all.extend(outputs);
                due = after;
            }
            next = [next, due].into_iter().flatten().min();
        }
        (all, next)
    }

    pub(super) fn len(&self) -> usize {
        (0..SHARDS).map(|shard| self.lock(shard).len()).sum()
    }

    fn with<T>(&self, shard: usize, act: impl FnOnce(&mut Table) -> T) -> (T, Outputs) {
        let mut table = self.lock(shard);
        let result = act(&mut table);
        let outputs = std::iter::from_fn(|| table.poll_output()).collect();
        (result, outputs)
    }

    fn lock(&self, shard: usize) -> MutexGuard<'_, Table> {
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shard_of(&self, message: &Message) -> usize {
        self.hasher.hash_one(message.call_id()) as usize % SHARDS
    }
}

/// More than cores, so that two of them rarely meet.
const SHARDS: usize = 16;
