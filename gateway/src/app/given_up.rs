//! INVITEs that were given up without any response. Who was asleep may wake up minutes later, find one in his socket and
//! ring: his first response gets the CANCEL that could not be sent before (RFC 3261 §9.1).

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sip_core::message::{Message, Status};
use sip_core::time::Instant;
use sip_core::transaction::{ack_for, cancel_for};

/// The latest of them, by their branches.
#[derive(Default)]
pub(super) struct GivenUp(Mutex<Table>);

#[derive(Default)]
struct Table {
    /// Without bodies.
    invites: HashMap<String, (Message, Stage)>,
    /// Oldest first.
    order: VecDeque<(Instant, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Silent,
    Cancelled,
}

/// What a late response gets.
#[derive(Debug)]
pub(super) enum Answer {
    Cancel(Message),
    Ack(Message),
}

impl GivenUp {
    pub(super) fn note(&self, invite: Message, now: Instant) {
        let Some(branch) = invite.via().branch.map(str::to_owned) else { return };
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.forget_old(now);
        table.order.push_back((now, branch.clone()));
        table.invites.insert(branch, (invite, Stage::Silent));
    }

    /// What a response gets that belongs to no transaction and is no 2xx; none if it is not to such an INVITE, or has
    /// everything.
    pub(super) fn answer(&self, response: &Message) -> Option<Answer> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (invite, stage) = table.invites.get_mut(response.via().branch?)?;
        match response.status().map(Status::is_provisional)? {
            true if *stage == Stage::Cancelled => None,
            true => {
                *stage = Stage::Cancelled;
                Some(Answer::Cancel(cancel_for(invite)))
            }
            false => Some(Answer::Ack(ack_for(invite, response))),
        }
    }
}

impl Table {
    fn forget_old(&mut self, now: Instant) {
        while let Some((at, branch)) = self.order.front()
            && (now >= *at + KNOWN_FOR || self.order.len() >= MOST)
        {
            self.invites.remove(branch);
            self.order.pop_front();
        }
    }
}

/// A phone that nobody picks up gives up by itself after that, or its proxy does (RFC 3261 §16.6, timer C).
const KNOWN_FOR: Duration = Duration::from_secs(600);
/// A kilobyte each. When there are more, the oldest is forgotten.
const MOST: usize = 4_096;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use sip_core::message::{Builder, Method, Name};

    use super::*;

    fn invite(branch: &str) -> Message {
        Builder::request(&Method::Invite, "sip:1@192.0.2.9")
            .header(Name::Via, format!("SIP/2.0/UDP 192.0.2.1:5060;branch={branch}"))
            .header(Name::MaxForwards, 70)
            .header(Name::From, "<sip:2@192.0.2.1>;tag=a")
            .header(Name::To, "<sip:1@192.0.2.9>")
            .header(Name::CallId, "c")
            .header(Name::CSeq, "1 INVITE")
            .build()
            .unwrap()
    }

    fn response(branch: &str, status: u16) -> Message {
        invite(branch).response(Status::new(status).unwrap()).to_tag("b").build().unwrap()
    }

    #[test] // RFC 3261 §9.1, §17.1.1.3
    fn a_late_ringing_is_cancelled_once_and_its_487_acknowledged() {
        let given_up = GivenUp::default();
        given_up.note(invite("z9hG4bK1"), Instant::START);
        assert!(given_up.answer(&response("z9hG4bK2", 180)).is_none(), "another");
        assert!(matches!(given_up.answer(&response("z9hG4bK1", 180)), Some(Answer::Cancel(_))));
        assert!(given_up.answer(&response("z9hG4bK1", 180)).is_none());
        for _ in 0..2 {
            assert!(matches!(given_up.answer(&response("z9hG4bK1", 487)), Some(Answer::Ack(_))));
        }
    }

    #[test]
    fn it_is_bounded_in_time_and_number() {
        let given_up = GivenUp::default();
        given_up.note(invite("z9hG4bKold"), Instant::START);
        given_up.note(invite("z9hG4bKnew"), Instant::START + KNOWN_FOR);
        assert!(given_up.answer(&response("z9hG4bKold", 180)).is_none());
        for number in 0..MOST {
            given_up.note(invite(&format!("z9hG4bK{number}")), Instant::START + KNOWN_FOR);
        }
        assert!(given_up.answer(&response("z9hG4bKnew", 180)).is_none());
        assert_eq!(given_up.0.lock().unwrap().invites.len(), MOST);
    }
}
