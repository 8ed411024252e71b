//! One call by script: ring, talk, hang up. The caller hangs up; the callee only answers.

use super::invite::Invite;
use super::{Reliability, Seized, Voice};
use crate::recorder::Failure;
use crate::sip::dialog::Dialog;
use crate::sip::digest;
use crate::sip::read::{Received, Start};
use crate::sip::sdp::{self, Flavour};
use crate::sip::write;
use rsip::Header;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Call<D> {
    id: String,
    peer: D,
    state: State,
    /// When the state gives up or moves on.
    deadline: Instant,
    resend: Option<Resend>,
    line: Option<Seized>,
}

#[derive(Debug)]
enum State {
    /// Caller: the INVITE is out.
    Inviting { invite: Invite, sent: Instant, heard: Heard, authenticated: bool },
    /// Caller: given up, the CANCEL is out (RFC 3261 §9.1).
    Cancelled { invite: Invite },
    /// Caller: answered; the deadline hangs up.
    Talking { dialog: Dialog },
    /// Caller: the BYE is out.
    HangingUp { dialog: Dialog, sent: Instant },
    /// Callee: 180 is out; the deadline answers.
    Ringing { invite: Received, tag: String },
    /// Callee: the 200 is out and waits for its ACK.
    Answered { invite: Received, ok: String, sent: Instant },
    /// Callee: waits for the BYE.
    Confirmed,
    /// Nothing is left to do but to answer repeats until the deadline; a caller may have to repeat its last ACK.
    Over { dialog: Option<Dialog> },
}

/// What a caller has heard so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Nothing,
    Trying,
    Ringing,
}

/// A message to repeat over an unreliable transport.
#[derive(Debug)]
struct Resend {
    message: String,
    at: Instant,
    interval: Duration,
}

impl<D: Copy> Call<D> {
    /// Sends an INVITE.
    pub(super) fn dial(voice: &mut Voice<D>, uri: &str, peer: D, line: Option<Seized>, now: Instant) -> Self {
        let invite = Invite::new(voice, uri);
        let message = invite.print(&voice.party.identity, None);
        let id = invite.call_id.clone();
        let state = State::Inviting { invite, sent: now, heard: Heard::Nothing, authenticated: false };
        let mut call =
            Self { id, peer, state, deadline: now + voice.party.script.timeout, resend: None, line };
        call.send_repeated(voice, message, now);
        call
    }

    /// Takes an INVITE and rings.
    pub(super) fn ring(voice: &mut Voice<D>, invite: Received, peer: D, now: Instant) -> Self {
        if voice.party.flavour == Flavour::Trunk && sdp::is_webrtc(invite.body()) {
            voice.note("browser's description reached the trunk");
        }
        let tag = voice.tokens.token();
        voice.send(peer, write::response(&invite, 100, None, Vec::new(), None));
        voice.send(peer, write::response(&invite, 180, Some(&tag), vec![contact(voice)], None));
        let (id, deadline) = (invite.call_id().to_owned(), now + voice.party.script.ring);
        let mut call =
            Self { id, peer, state: State::Ringing { invite, tag }, deadline, resend: None, line: None };
        call.handle_timeout(voice, now);
        call
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over { .. })
    }

    pub(super) fn is_forgotten(&self, now: Instant) -> bool {
        self.is_over() && self.deadline <= now
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        self.resend.as_ref().map_or(self.deadline, |resend| resend.at.min(self.deadline))
    }

    pub(super) fn handle_timeout(&mut self, voice: &mut Voice<D>, now: Instant) {
        if let Some(resend) = self.resend.as_mut().filter(|resend| resend.at <= now) {
            resend.interval = (resend.interval * 2).min(T2);
            resend.at = now + resend.interval;
            voice.send(self.peer, resend.message.clone());
        }
        if self.deadline <= now {
            self.deadline_reached(voice, now);
        }
    }

    pub(super) fn handle_response(&mut self, voice: &mut Voice<D>, message: &Received, now: Instant) {
        let Start::Response(status) = message.start else { return };
        match message.cseq().1 {
            "INVITE" if status < 200 => self.progress(voice, status, now),
            "INVITE" if status < 300 => self.answered(voice, message, now),
            "INVITE" => self.refused(voice, message, status, now),
            "BYE" if status >= 200 => self.hung_up(voice, message, status, now),
            _ => {}
        }
    }

    pub(super) fn handle_request(&mut self, voice: &mut Voice<D>, message: Received, from: D, now: Instant) {
        match message.method() {
            Some("ACK") => self.acknowledged(voice, now),
            Some("BYE") => self.bye(voice, &message, from, now),
            Some("CANCEL") => self.cancel(voice, &message, from, now),
            Some("INVITE") => self.invited_again(voice, &message, from),
            Some("UPDATE") if !message.body().is_empty() => accept_offer(voice, &message, from),
            _ => voice.reply(&message, from, 200, None),
        }
    }

    /// Ends what a caller has up; a callee waits for its caller.
    pub(super) fn hang_up(&mut self, voice: &mut Voice<D>, now: Instant) {
        match std::mem::replace(&mut self.state, State::Over { dialog: None }) {
            State::Inviting { invite, .. } => {
                voice.note("call cancelled at the end of the run");
                self.give_up(voice, invite, now);
            }
            State::Talking { dialog } => {
                self.state = State::Talking { dialog };
                self.deadline_reached(voice, now);
            }
            other => self.state = other,
        }
    }

    pub(super) fn connection_lost(&mut self, voice: &mut Voice<D>) {
        let measures = voice.party.measures;
        match self.state {
            State::Inviting { .. } => voice.failed(measures.answered, Failure::ConnectionLost),
            State::Talking { .. } | State::HangingUp { .. } => {
                voice.failed(measures.hang_up, Failure::ConnectionLost)
            }
            State::Answered { .. } | State::Ringing { .. } | State::Confirmed => {
                voice.failed(measures.acknowledged, Failure::ConnectionLost);
            }
            State::Cancelled { .. } | State::Over { .. } => {}
        }
        self.line = None;
    }

    fn deadline_reached(&mut self, voice: &mut Voice<D>, now: Instant) {
        let measures = voice.party.measures;
        match std::mem::replace(&mut self.state, State::Over { dialog: None }) {
            State::Inviting { invite, heard, .. } => {
                voice.failed(measures.answered, Failure::Timeout);
                if heard == Heard::Nothing {
                    return self.over(None, now); // RFC 3261 §9.1: nothing to cancel yet
                }
                self.give_up(voice, invite, now);
            }
            State::Talking { mut dialog } => {
                let bye = dialog.request("BYE", &voice.party.identity, &mut voice.tokens);
                self.send_repeated(voice, bye, now);
                self.deadline = now + voice.party.script.timeout;
                self.state = State::HangingUp { dialog, sent: now };
            }
            State::HangingUp { .. } => {
                voice.failed(measures.hang_up, Failure::Timeout);
                self.over(None, now);
            }
            State::Ringing { invite, tag } => self.answer(voice, invite, tag, now),
            State::Answered { .. } => {
                voice.failed(measures.acknowledged, Failure::Timeout);
                self.over(None, now);
            }
            State::Confirmed => {
                voice.failed(measures.acknowledged, Failure::LostBye);
                self.over(None, now);
            }
            State::Cancelled { .. } => self.over(None, now),
            State::Over { .. } => {} // forgotten next
        }
    }

    fn progress(&mut self, voice: &mut Voice<D>, status: u16, now: Instant) {
        let State::Inviting { sent, heard, .. } = &mut self.state else { return };
        self.resend = None; // RFC 3261 §17.1.1.2: a provisional response stops timer A
        if status > 100 && *heard != Heard::Ringing {
            *heard = Heard::Ringing;
            voice.done(voice.party.measures.ringing, now.saturating_duration_since(*sent));
        }
        if *heard == Heard::Nothing {
            *heard = Heard::Trying;
        }
    }

    fn answered(&mut self, voice: &mut Voice<D>, message: &Received, now: Instant) {
        match &mut self.state {
            State::Inviting { sent, .. } => {
                voice.done(voice.party.measures.answered, now.saturating_duration_since(*sent));
                let dialog = self.acknowledge(voice, message);
                self.deadline = now + voice.party.script.hold;
                self.state = State::Talking { dialog };
                self.handle_timeout(voice, now);
            }
            State::Cancelled { .. } => {
                // The 200 crossed the CANCEL: RFC 3261 §15 wants ACK, then BYE.
                let dialog = self.acknowledge(voice, message);
                self.state = State::Talking { dialog };
                self.deadline_reached(voice, now);
            }
            State::Talking { dialog }
            | State::HangingUp { dialog, .. }
            | State::Over { dialog: Some(dialog) } => {
                // RFC 3261 §13.2.2.4: the ACK is repeated for every repeated 2xx.
                let of_invite = Dialog::of_caller(message);
                if of_invite.cseq() <= dialog.cseq() {
                    let ack = of_invite.ack(&voice.party.identity, &mut voice.tokens);
                    voice.send(self.peer, ack);
                }
            }
            State::Ringing { .. }
            | State::Answered { .. }
            | State::Confirmed
            | State::Over { dialog: None } => {}
        }
    }

    fn acknowledge(&mut self, voice: &mut Voice<D>, answer: &Received) -> Dialog {
        self.resend = None;
        let dialog = Dialog::of_caller(answer);
        let ack = dialog.ack(&voice.party.identity, &mut voice.tokens);
        voice.send(self.peer, ack);
        dialog
    }

    fn refused(&mut self, voice: &mut Voice<D>, message: &Received, status: u16, now: Instant) {
        let (State::Inviting { invite, .. } | State::Cancelled { invite }) = &self.state else { return };
        if message.cseq().0 != invite.cseq {
            return; // a repeat from before the credentials
        }
        let ack = invite.ack_of_refusal(&voice.party.identity, message);
        voice.send(self.peer, ack);
        self.resend = None;
        match &mut self.state {
            State::Inviting { authenticated, .. } if matches!(status, 401 | 407) && !*authenticated => {
                *authenticated = true;
                self.authenticate(voice, message, now);
            }
            State::Inviting { .. } => {
                voice.failed(voice.party.measures.answered, Failure::Status(status));
                self.over(None, now);
            }
            _ => self.over(None, now),
        }
    }

    fn authenticate(&mut self, voice: &mut Voice<D>, challenge: &Received, now: Instant) {
        let State::Inviting { invite, .. } = &mut self.state else { return };
        let answer = voice.party.credentials.as_ref().and_then(|(credentials, preferred)| {
            digest::answer(challenge, credentials, *preferred, ("INVITE", invite.uri()), &mut voice.tokens)
        });
        let Some((header, _)) = answer else {
            voice.failed(voice.party.measures.answered, Failure::Challenge);
            return self.over(None, now);
        };
        invite.again(voice.tokens.branch());
        let message = invite.print(&voice.party.identity, Some(header));
        self.send_repeated(voice, message, now);
    }

    fn hung_up(&mut self, voice: &mut Voice<D>, message: &Received, status: u16, now: Instant) {
        let State::HangingUp { dialog, sent } = &self.state else { return };
        if message.cseq().0 != dialog.cseq() {
            return;
        }
        match status {
            200..=299 => voice.done(voice.party.measures.hang_up, now.saturating_duration_since(*sent)),
            status => voice.failed(voice.party.measures.hang_up, Failure::Status(status)),
        }
        let dialog = dialog.clone();
        self.over(Some(dialog), now);
    }

    fn answer(&mut self, voice: &mut Voice<D>, invite: Received, tag: String, now: Instant) {
        let description = describe(voice, &invite);
        let ok = write::response(&invite, 200, Some(&tag), vec![contact(voice)], Some(&description));
        self.send_repeated(voice, ok.clone(), now);
        self.deadline = now + voice.party.script.timeout;
        self.state = State::Answered { invite, ok, sent: now };
    }

    fn acknowledged(&mut self, voice: &mut Voice<D>, now: Instant) {
        let State::Answered { sent, .. } = &self.state else { return };
        voice.done(voice.party.measures.acknowledged, now.saturating_duration_since(*sent));
        self.resend = None;
        self.deadline = now + voice.party.script.hold + voice.party.script.timeout;
        self.state = State::Confirmed;
    }

    fn bye(&mut self, voice: &mut Voice<D>, message: &Received, from: D, now: Instant) {
        voice.reply(message, from, 200, None);
        let measures = voice.party.measures;
        match &self.state {
            State::Confirmed | State::Over { .. } | State::Cancelled { .. } => {}
            State::Talking { .. } | State::HangingUp { .. } => {
                voice.failed(measures.hang_up, Failure::UnexpectedBye)
            }
            State::Inviting { .. } => voice.failed(measures.answered, Failure::UnexpectedBye),
            State::Ringing { .. } | State::Answered { .. } => {
                voice.failed(measures.acknowledged, Failure::UnexpectedBye)
            }
        }
        self.over(None, now);
    }

    fn cancel(&mut self, voice: &mut Voice<D>, message: &Received, from: D, now: Instant) {
        let State::Ringing { invite, tag } = &self.state else {
            return voice.reply(message, from, 200, None);
        };
        let terminated = write::response(invite, 487, Some(tag), Vec::new(), None);
        voice.reply(message, from, 200, Some(tag));
        voice.send(from, terminated);
        self.over(None, now);
    }

    /// A repeated INVITE gets the last response again; one inside the dialog is accepted with a new description.
    fn invited_again(&mut self, voice: &mut Voice<D>, message: &Received, from: D) {
        match &self.state {
            State::Ringing { invite, tag } if invite.cseq() == message.cseq() => {
                let ringing = write::response(invite, 180, Some(tag), vec![contact(voice)], None);
                voice.send(from, ringing);
            }
            State::Answered { invite, ok, .. } if invite.cseq() == message.cseq() => {
                voice.send(from, ok.clone())
            }
            State::Over { .. } => voice.reply(message, from, 481, None),
            _ => accept_offer(voice, message, from),
        }
    }

    fn send_repeated(&mut self, voice: &mut Voice<D>, message: String, now: Instant) {
        self.resend = (voice.party.reliability == Reliability::Unreliable).then(|| Resend {
            message: message.clone(),
            at: now + T1,
            interval: T1,
        });
        voice.send(self.peer, message);
    }

    fn give_up(&mut self, voice: &mut Voice<D>, invite: Invite, now: Instant) {
        let cancel = invite.cancel(&voice.party.identity);
        voice.send(self.peer, cancel);
        // The line stays busy until the 487: the callee's side is still up.
        self.state = State::Cancelled { invite };
        self.resend = None;
        self.deadline = now + LINGER;
    }

    fn over(&mut self, dialog: Option<Dialog>, now: Instant) {
        self.state = State::Over { dialog };
        self.resend = None;
        self.line = None;
        self.deadline = now + LINGER;
    }
}

/// Accepts a re-INVITE or UPDATE: an answer to its offer, or our offer when it has none (RFC 3261 §14.2).
fn accept_offer<D: Copy>(voice: &mut Voice<D>, message: &Received, from: D) {
    let description = describe(voice, message);
    let ok = write::response(message, 200, None, vec![contact(voice)], Some(&description));
    voice.send(from, ok);
}

fn describe<D>(voice: &Voice<D>, message: &Received) -> String {
    let flavour = voice.party.flavour;
    if message.body().is_empty() { flavour.offer() } else { flavour.answer(message.body()) }
}

fn contact<D>(voice: &Voice<D>) -> Header {
    Header::Contact(voice.party.identity.contact.as_str().into())
}

/// RFC 3261 §17.1.1.1 and table 4.
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
/// How long repeats of an ended call are still answered.
const LINGER: Duration = Duration::from_secs(5);
