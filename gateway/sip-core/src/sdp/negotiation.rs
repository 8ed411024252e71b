//! One leg's side of offer/answer: RFC 3264, and RFC 8829 as far as audio needs it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::audio::{LocalAudio, Profile, RemoteAudio};
use super::description::Description;
use super::error::SdpError;
use super::layout::Layout;
use super::local::{self, Frame};
use super::remote;

/// One leg's offer/answer state, a value to be stored with the call.
///
/// It keeps what later rounds must not change: the `o=` line (RFC 3264 §8: same text, same version; else version + 1),
/// the m-lines and their order, mids and the BUNDLE group. An error leaves it as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Negotiation {
    profile: Profile,
    session_id: u64,
    /// Address of the `o=` line, the first we ever sent.
    origin: Option<IpAddr>,
    /// Version of the last description we sent, 0 before the first. Never taken back, also by `rollback`.
    version: u64,
    state: State,
    current: Round,
    /// What `rollback` returns to while an offer is open.
    agreed: Option<Box<Round>>,
}

/// Where the exchange stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing was agreed yet and no offer is open.
    Idle,
    /// We offered and wait for the answer.
    LocalOffer,
    /// The peer offered and waits for ours.
    RemoteOffer,
    /// Both sides agree.
    Stable,
}

impl Negotiation {
    /// A leg that has said nothing yet; `session_id` goes into `o=` and must differ from call to call and leg to leg.
    pub fn new(profile: Profile, session_id: u64) -> Self {
        Self {
            profile,
            session_id,
            origin: None,
            version: 0,
            state: State::Idle,
            current: Round::default(),
            agreed: None,
        }
    }

    /// Our offer. It replaces an offer that is still open; the peer's open offer counts as refused.
    pub fn offer(&mut self, local: &LocalAudio) -> String {
        if self.state == State::RemoteOffer {
            self.rollback();
        }
        self.open(State::LocalOffer);
        let free_mid = self.current.layout.free_mid();
        let audio = self.current.layout.audio_mut(self.profile);
        audio.offered = None;
        if self.profile == Profile::WebRtc {
            audio.mid.get_or_insert(free_mid);
            audio.bundled = true;
        }
        self.current.offerer = Side::Local;
        self.send(local)
    }

    /// Takes the peer's offer; a second one replaces the first.
    ///
    /// # Errors
    /// [`SdpError::Glare`] while our own offer is open, [`SdpError::Malformed`], [`SdpError::NotAcceptable`].
    pub fn receive_offer(&mut self, sdp: &[u8]) -> Result<RemoteAudio, SdpError> {
        if self.state == State::LocalOffer {
            return Err(SdpError::Glare);
        }
        let offer = Description::parse(sdp)?;
        let in_use = self.current.layout.audio_at();
        let chosen = remote::choose(&offer, self.profile, in_use)?;
        let audio = remote::read(&offer, chosen, self.profile, self.session_id)?;
        self.open(State::RemoteOffer);
        self.current.layout = Layout::of_offer(&offer, chosen, &audio);
        self.current.offerer = Side::Remote;
        Ok(audio)
    }

    /// Our answer to the peer's offer. Its direction is narrowed to what the offer allows, its DTLS role is the one the
    /// peer left, and streams other than the audio we take are refused with port 0. It may be called again to change
    /// the answer before it is final.
    pub fn answer(&mut self, local: &LocalAudio) -> String {
        self.current.layout.audio_mut(self.profile);
        self.close();
        self.send(local)
    }

    /// Takes the peer's answer to our offer; again in `Stable`, since a 200 may follow a 183 or come from another fork.
    ///
    /// # Errors
    /// [`SdpError::NoOffer`] when the last offer was not ours, [`SdpError::Malformed`], [`SdpError::NotAcceptable`].
    pub fn receive_answer(&mut self, sdp: &[u8]) -> Result<RemoteAudio, SdpError> {
        let expected = match self.state {
            State::LocalOffer => true,
            State::Stable => self.current.offerer == Side::Local,
            State::Idle | State::RemoteOffer => false,
        };
        let in_use = self.current.layout.audio_at().filter(|_| expected).ok_or(SdpError::NoOffer)?;
        let answer = Description::parse(sdp)?;
        if answer.media.len() != self.current.layout.lines.len() {
            // RFC 3264 §6: as many m-lines as the offer has.
            return Err(SdpError::Malformed { line: 0, what: "not as many m-lines as were offered" });
        }
        let audio = remote::read(&answer, in_use, self.profile, self.session_id)?;
        self.close();
        Ok(audio)
    }

    /// The open offer came to nothing (488, 491, failed): back to what was agreed last.
    pub fn rollback(&mut self) {
        if let Some(agreed) = self.agreed.take() {
            self.current = *agreed;
            self.state = if self.current.local.is_some() { State::Stable } else { State::Idle };
        }
    }

    /// Where the exchange stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// The last description we sent and that was not rolled back, to be repeated word for word (a 200 after a 183).
    pub fn current_local(&self) -> Option<&str> {
        self.current.local.as_deref()
    }

    /// The kind of SDP this leg speaks.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    fn open(&mut self, state: State) {
        if self.agreed.is_none() {
            self.agreed = Some(Box::new(self.current.clone()));
        }
        self.state = state;
    }

    fn close(&mut self) {
        self.agreed = None;
        self.state = State::Stable;
    }

    /// Prints with the next version, and takes the last text instead if it says the same.
    fn send(&mut self, local: &LocalAudio) -> String {
        let origin = *self.origin.get_or_insert_with(|| local::origin(local));
        let version = self.version.saturating_add(1);
        let frame = Frame { session_id: self.session_id, version, origin };
        let text = local::print(&frame, &self.current.layout, local);
        if self.current.version == self.version
            && let Some(last) =
                self.current.local.as_ref().filter(|last| below_origin(last) == below_origin(&text))
        {
            return last.clone();
        }
        self.version = version;
        self.current.version = version;
        self.current.local = Some(text.clone());
        text
    }
}

/// What one offer and its answer leave behind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Round {
    layout: Layout,
    offerer: Side,
    /// What we sent, and its version.
    local: Option<String>,
    version: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Side {
    #[default]
    Local,
    Remote,
}

/// Everything behind the `o=` line.
fn below_origin(text: &str) -> Option<&str> {
    text.split_once("\r\ns=").map(|(_, rest)| rest)
}
