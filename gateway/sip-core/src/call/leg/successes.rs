//! 2xx responses to INVITEs of ours that are answered already: the ACK was lost, or another fork answered too.

use serde::{Deserialize, Serialize};

use crate::message::{Message, Method};

use super::super::Effect;
use super::super::step::Step;
use super::{BranchPart, HOPS, Line};

/// Which of them may still come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Successes {
    /// CSeq number of our INVITE that was answered last.
    pub(in super::super) acked: Option<u32>,
    /// Of the INVITE that made the leg; the peer's own INVITE did, if there is none.
    pub(in super::super) called: Option<Forks>,
}

/// Who answered the INVITE that made the leg.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Forks {
    pub(in super::super) cseq: u32,
    /// At most [`MAX_FORKS`].
    pub(in super::super) tags: Vec<Fork>,
}

/// One fork of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Fork {
    tag: String,
    /// Confirmed although another one was taken; ACK and BYE were sent.
    is_stray: bool,
}

impl Successes {
    /// RFC 3261 §13.2.2.4: a repeated 2xx gets its ACK again; another fork's makes a dialog of its own, which we end. It may
    /// even come after we gave up waiting.
    pub(in super::super) fn repeated(&mut self, line: &Line, response: &Message, step: &mut Step<'_>) {
        let (cseq, _) = response.cseq();
        let is_own = self.acked.is_some() && response.to_tag() == line.dialog.remote_tag.as_deref();
        let first = self.called.as_mut().filter(|forks| forks.cseq == cseq);
        match (is_own, first) {
            (true, Some(_)) => line.send_ack(cseq, step),
            (true, None) if self.acked == Some(cseq) => line.send_ack(cseq, step),
            (false, Some(forks)) => forks.refuse(line, response, step),
            (true | false, None) => {}
        }
    }
}

impl Forks {
    pub(in super::super) fn new(cseq: u32, tags: impl Iterator<Item = String>) -> Self {
        Self { cseq, tags: tags.map(|tag| Fork { tag, is_stray: false }).collect() }
    }

    fn refuse(&mut self, line: &Line, response: &Message, step: &mut Step<'_>) {
        let Some(at) = response.to_tag().and_then(|tag| self.place(tag)) else { return };
        let known = std::mem::replace(&mut self.tags[at].is_stray, true);
        let part = BranchPart::Stray(u8::try_from(at).unwrap_or(u8::MAX));
        let (cseq, _) = response.cseq();
        let mut dialog = line.dialog.clone();
        dialog.answered(response);
        let to = line.destination_in(&dialog);
        let ack = line.request_in(&dialog, &Method::Ack, cseq, part, HOPS, step);
        if let Ok(message) = ack.build() {
            step.push(Effect::SendAck { leg: line.id, message, to: to.clone() });
        }
        if !known {
            let bye = line.request_in(&dialog, &Method::Bye, cseq.saturating_add(1), part, HOPS, step);
            step.send(line.id, bye, to);
        }
    }

    /// Where the fork stands among those known; none if there is no room for it.
    fn place(&mut self, tag: &str) -> Option<usize> {
        let known = self.tags.iter().position(|fork| fork.tag == tag);
        known.or_else(|| {
            let has_room = self.tags.len() < MAX_FORKS;
            has_room.then(|| {
                self.tags.push(Fork { tag: tag.to_owned(), is_stray: false });
                self.tags.len() - 1
            })
        })
    }
}

/// Most early dialogs of one INVITE; further ones are not remembered.
pub(in super::super) const MAX_FORKS: usize = 8;
