//! One leg's side of offer/answer: RFC 3264, and RFC 8829 as far as audio needs it.

use serde::{Deserialize, Serialize};

use super::audio::{LocalAudio, Profile, RemoteAudio};
use super::error::SdpError;

/// One leg's offer/answer state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Negotiation {
    profile: Profile,
    session_id: u64,
}

/// Where the exchange stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing was exchanged yet.
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
        Self { profile, session_id }
    }

    /// Our offer. A repeated offer keeps the m-lines and their order, and the version when nothing changed.
    pub fn offer(&mut self, _local: &LocalAudio) -> String {
        todo!()
    }

    /// Takes the peer's offer. On an error nothing changes.
    ///
    /// # Errors
    /// [`SdpError::Glare`] while our own offer is open; the others as [`SdpError`] says.
    pub fn receive_offer(&mut self, _sdp: &[u8]) -> Result<RemoteAudio, SdpError> {
        todo!()
    }

    /// Our answer to the peer's offer.
    pub fn answer(&mut self, _local: &LocalAudio) -> String {
        todo!()
    }

    /// Takes the peer's answer to our offer; again in `Stable`, since a 200 may follow a 183 or come from another fork.
    ///
    /// # Errors
    /// [`SdpError::NoOffer`] when we made none; the others as [`SdpError`] says.
    pub fn receive_answer(&mut self, _sdp: &[u8]) -> Result<RemoteAudio, SdpError> {
        todo!()
    }

    /// The open offer came to nothing (488, 491, failed): back to what was agreed last.
    pub fn rollback(&mut self) {
        todo!()
    }

    /// Where the exchange stands.
    pub fn state(&self) -> State {
        todo!()
    }

    /// The last description we sent, to be repeated word for word (a 200 after a 183).
    pub fn current_local(&self) -> Option<&str> {
        todo!()
    }

    /// The kind of SDP this leg speaks.
    pub fn profile(&self) -> Profile {
        self.profile
    }
}
