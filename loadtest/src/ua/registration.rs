//! REGISTER as a browser does it: without credentials first, then with the answer to the challenge (RFC 3261 §10, §22).

use super::Voice;
use crate::random::Tokens;
use crate::recorder::{Failure, Operation};
use crate::sip::digest::{self, Algorithm};
use crate::sip::read::{Received, Start};
use crate::sip::write;
use rsip::Header;
use std::time::Instant;

#[derive(Debug)]
pub(super) struct Registration<D> {
    call_id: String,
    tag: String,
    instance: String,
    cseq: u32,
    expires: u32,
    pending: Option<Pending<D>>,
}

#[derive(Debug)]
struct Pending<D> {
    registrar: D,
    started: Instant,
    deadline: Instant,
    tries: u8,
}

impl<D: Copy> Registration<D> {
    pub(super) fn new(tokens: &mut Tokens, expires: u32) -> Self {
        let (call_id, tag, instance) = (tokens.token(), tokens.token(), uuid(&tokens.token()));
        Self { call_id, tag, instance, cseq: 0, expires, pending: None }
    }

    /// One REGISTER at a time (RFC 3261 §10.2): an order that finds the last one unanswered counts that as timed out.
    pub(super) fn start(&mut self, voice: &mut Voice<D>, registrar: D, now: Instant) {
        if self.pending.is_some() {
            voice.failed(Operation::Register, Failure::Timeout);
        }
        let deadline = now + voice.party.script.timeout;
        self.pending = Some(Pending { registrar, started: now, deadline, tries: 0 });
        self.send(voice, None);
    }

    pub(super) fn handle_response(&mut self, voice: &mut Voice<D>, message: &Received, now: Instant) {
        let (Some(pending), Start::Response(status)) = (&self.pending, &message.start) else { return };
        if message.cseq().0 != self.cseq || message.call_id() != self.call_id {
            return;
        }
        match *status {
            100..=199 => {}
            200..=299 => {
                voice.done(Operation::Register, now.saturating_duration_since(pending.started));
                self.pending = None;
            }
            401 | 407 if pending.tries < MAX_TRIES => self.authenticate(voice, message),
            423 if pending.tries < MAX_TRIES => self.lengthen(voice, message),
            status => self.fail(voice, Failure::Status(status)),
        }
    }

    pub(super) fn handle_timeout(&mut self, voice: &mut Voice<D>, now: Instant) {
        if self.pending.as_ref().is_some_and(|pending| pending.deadline <= now) {
            self.fail(voice, Failure::Timeout);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.pending.as_ref().map(|pending| pending.deadline)
    }

    pub(super) fn connection_lost(&mut self, voice: &mut Voice<D>) {
        if self.pending.is_some() {
            self.fail(voice, Failure::ConnectionLost);
        }
    }

    fn authenticate(&mut self, voice: &mut Voice<D>, message: &Received) {
        let Some((credentials, preferred)) = &voice.party.credentials else {
            return self.fail(voice, Failure::Challenge);
        };
        let target = ("REGISTER", registrar_of(&voice.party.aor));
        match digest::answer(message, credentials, *preferred, (target.0, &target.1), &mut voice.tokens) {
            Some((header, algorithm)) => {
                voice.note(match algorithm {
                    Algorithm::Md5 => "digest answered with MD5",
                    Algorithm::Sha256 => "digest answered with SHA-256",
                });
                self.send(voice, Some(header));
            }
            None => self.fail(voice, Failure::Challenge),
        }
    }

    /// RFC 3261 §10.3 step 7: the registrar's shortest interval is taken.
    fn lengthen(&mut self, voice: &mut Voice<D>, message: &Received) {
        self.expires = self.expires.max(message.min_expires().unwrap_or(3_600));
        self.send(voice, None);
    }

    fn send(&mut self, voice: &mut Voice<D>, authorization: Option<Header>) {
        let Some(pending) = &mut self.pending else { return };
        pending.tries += 1;
        self.cseq += 1;
        let party = &voice.party;
        let contact = format!(
            "{};+sip.instance=\"<urn:uuid:{}>\";reg-id=1;expires={}",
            party.identity.contact, self.instance, self.expires
        );
        let mut headers = vec![
            party.identity.via(&voice.tokens.branch()),
            Header::MaxForwards("70".into()),
            Header::From(format!("<{}>;tag={}", party.aor, self.tag).into()),
            Header::To(format!("<{}>", party.aor).into()),
            Header::CallId(self.call_id.as_str().into()),
            Header::CSeq(format!("{} REGISTER", self.cseq).into()),
            Header::Contact(contact.into()),
            Header::Expires(self.expires.into()),
            Header::Allow("INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY".into()),
            Header::Supported("path,gruu,outbound".into()),
            Header::UserAgent("loadtest".into()),
        ];
        headers.extend(authorization);
        let message = write::request("REGISTER", &registrar_of(&party.aor), headers, None);
        voice.send(pending.registrar, message);
    }

    fn fail(&mut self, voice: &mut Voice<D>, failure: Failure) {
        voice.failed(Operation::Register, failure);
        self.pending = None;
    }
}

/// The registrar's URI is the domain of the address of record, without the user (RFC 3261 §10.2).
fn registrar_of(aor: &str) -> String {
    format!("sip:{}", aor.rsplit_once('@').map_or(aor, |(_, domain)| domain))
}

/// A UUID's form around a token that differs for every phone.
fn uuid(token: &str) -> String {
    let digits: String =
        token.chars().filter(char::is_ascii_hexdigit).chain(std::iter::repeat('0')).take(32).collect();
    format!(
        "{}-{}-4{}-8{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[12..15],
        &digits[15..18],
        &digits[18..30]
    )
}

/// Plain, challenged, and once more for `stale=true` or 423.
const MAX_TRIES: u8 = 3;
