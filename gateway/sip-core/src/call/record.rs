//! What a call is beside its stage: who calls whom, what became of it, and the legs that are left.

use serde::{Deserialize, Serialize};

use crate::message::{Method, Status};
use crate::routing::{Destination, FlowId, LegId};
use crate::time::UnixMillis;

use super::abandoned::Abandoned;
use super::end::Ending;
use super::leg::{Called, Parting};
use super::shared::Shared;
use super::step::Step;
use super::{CallTimer, Event, Parties, Summary};

/// The lasting part of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    parties: Shared<Parties>,
    started: UnixMillis,
    /// When the caller's 200 was sent.
    answered: Option<UnixMillis>,
    /// Final status of the caller's INVITE.
    status: Option<u16>,
    /// Legs on their way out, at most one for each of the call's.
    partings: Vec<Shared<Parting>>,
    /// Attempts to reach the callee that were passed over, fewer than [`super::MAX_CANDIDATES`].
    pub(super) abandoned: Vec<Abandoned>,
}

impl Record {
    pub(super) fn new(parties: Parties, now: UnixMillis) -> Self {
        Self {
            parties: Shared::new(parties),
            started: now,
            answered: None,
            status: None,
            partings: Vec::new(),
            abandoned: Vec::new(),
        }
    }

    pub(super) fn parties(&self) -> &Parties {
        &self.parties
    }

    pub(super) fn answered_at(&self) -> Option<UnixMillis> {
        self.answered
    }

    /// The caller's 200 was sent.
    pub(super) fn answered(&mut self, now: UnixMillis) {
        self.answered = Some(now);
        self.status = Some(Status::OK.code());
    }

    /// A leg is left.
    pub(super) fn part(&mut self, leg: Parting) {
        self.partings.push(Shared::new(leg));
    }

    /// The caller, who waits, gets the final response that the ending has for him.
    pub(super) fn refuse(&mut self, caller: Called, ending: &Ending, step: &mut Step<'_>) {
        let headers = ending.headers(&caller.line.link.local);
        self.status = Some(ending.status().code());
        self.part(caller.refuse(ending.status(), &headers, step));
    }

    /// The browsers' connections over which legs are left.
    pub(super) fn flows(&self) -> impl Iterator<Item = (LegId, FlowId)> {
        let open = self.partings.iter().filter(|leg| !leg.is_over());
        open.filter_map(|leg| Some((leg.line.id, leg.line.link.destination.flow()?)))
    }

    /// Is nothing owed to anybody any more?
    pub(super) fn is_over(&self) -> bool {
        self.partings.iter().all(|leg| leg.is_over()) && self.attempts_are_over()
    }

    pub(super) fn summary(&self, ending: &Ending, step: &Step<'_>) -> Summary {
        Summary {
            call: step.call,
            parties: (*self.parties).clone(),
            started: self.started,
            answered: self.answered,
            ended: step.now,
            ended_by: ending.by,
            cause: ending.cause,
            status: self.status,
            reason: ending.reason(),
        }
    }

    /// Takes what concerns legs that are left; gives any other event back.
    pub(super) fn handle(&mut self, event: Event, step: &mut Step<'_>) -> Option<Event> {
        if self.late(&event, step) {
            return None;
        }
        if let Event::Timer(CallTimer::Abandoned) = event {
            self.abandoned.iter_mut().for_each(Abandoned::conclude);
            return None;
        }
        let Some(at) = event.leg().and_then(|leg| self.parting(leg)) else { return Some(event) };
        handle(&mut self.partings[at], event, step);
        None
    }

    /// Answers and failures of attempts that were abandoned.
    fn late(&mut self, event: &Event, step: &mut Step<'_>) -> bool {
        let was_waiting = !self.attempts_are_over();
        let is_late = match event {
            Event::Response { leg, message } => {
                match (self.attempt(*leg, message.cseq()), message.status()) {
                    (Some(attempt), Some(status)) => {
                        attempt.answered(message, status, step);
                        true
                    }
                    (_, _) => false,
                }
            }
            Event::ClientFailed { leg, cseq, method, .. } => {
                self.attempt(*leg, (*cseq, method)).map(Abandoned::conclude).is_some()
            }
            Event::Request { .. }
            | Event::Cancel { .. }
            | Event::Timer(_)
            | Event::MediaReady(_)
            | Event::MediaFailed { .. }
            | Event::Media { .. }
            | Event::FlowLost { .. }
            | Event::FlowRestored { .. }
            | Event::Terminate { .. } => false,
        };
        if was_waiting && self.attempts_are_over() {
            step.stop(CallTimer::Abandoned);
        }
        is_late
    }

    /// The abandoned attempt that this CSeq names.
    fn attempt(&mut self, leg: LegId, (cseq, method): (u32, &Method)) -> Option<&mut Abandoned> {
        let invites = self.abandoned.iter_mut().filter(|_| *method == Method::Invite);
        invites.into_iter().find(|attempt| attempt.is(leg, cseq))
    }

    fn attempts_are_over(&self) -> bool {
        self.abandoned.iter().all(Abandoned::is_over)
    }

    fn parting(&self, leg: LegId) -> Option<usize> {
        self.partings.iter().position(|parting| parting.line.id == leg)
    }
}

fn handle(leg: &mut Parting, event: Event, step: &mut Step<'_>) {
    match event {
        Event::Request { message, .. } if *message.method() == Method::Ack => {
            leg.acknowledged(&message, step)
        }
        Event::Request { message, from, .. } => leg.request(&message, &from, step),
        Event::Cancel { message, from, .. } => leg.line.reply(&message, Status::OK, &from, step),
        Event::Response { message, .. } => leg.answered(&message, step),
        Event::ClientFailed { cseq, method, failure, .. } => leg.failed(cseq, &method, failure, step),
        Event::Timer(timer) => leg.timer(timer, step),
        Event::FlowLost { flow, .. } if leg.uses(flow) => leg.flow_lost(step),
        Event::FlowRestored { was, flow, .. } if leg.uses(was) => leg.moved(Destination::Flow(flow)),
        Event::FlowLost { .. }
        | Event::FlowRestored { .. }
        | Event::MediaReady(_)
        | Event::MediaFailed { .. }
        | Event::Media { .. }
        | Event::Terminate { .. } => {}
    }
}
