//! One leg's sound: what its two ends agreed on, and what the relay must do for it.

use std::net::{IpAddr, SocketAddr};

use relay_api::{Codec, Direction, DtlsRole, LegDescription, LegSpec, RtpLeg, WebRtcLeg};
use serde::{Deserialize, Serialize};

use crate::routing::{CallId, LegId};
use crate::sdp::{
    self, CodecName, Format, LocalAudio, Negotiation, Profile, RemoteAudio, SdpError, Setup, Unacceptable,
};

use super::Link;

/// Offer/answer of one leg (RFC 3264).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct LegMedia {
    negotiation: Negotiation,
    /// Our side, once the relay made it.
    description: Option<LegDescription>,
    /// The peer's offer which we did not answer yet.
    offer: Option<RemoteAudio>,
    /// Our offer which the peer did not answer yet.
    proposal: Option<Ours>,
    agreed: Option<Agreed>,
    /// What the peer wants to send and receive, told apart from what our descriptions let it say.
    wanted: Direction,
    /// Where the peer of the first offer receives sound: known before the relay makes our side.
    origin: Option<IpAddr>,
}

/// What one peer wants of the sound; the other one is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wish {
    pub(super) direction: Direction,
    /// Milliseconds of sound in a packet.
    pub(super) ptime: Option<u16>,
}

/// Our half of a description.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Ours {
    formats: Vec<Format>,
    wish: Wish,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Agreed {
    remote: RemoteAudio,
    ours: Ours,
    role: DtlsRole,
    answerer: Answerer,
}

/// Who had the last word: the order of an answer is a preference (RFC 3264 §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answerer {
    Us,
    Peer,
}

impl LegMedia {
    pub(super) fn new(profile: Profile, session_id: u64) -> Self {
        Self {
            negotiation: Negotiation::new(profile, session_id),
            description: None,
            offer: None,
            proposal: None,
            agreed: None,
            wanted: Direction::SendRecv,
            origin: None,
        }
    }

    /// The same side of ours towards another peer.
    pub(super) fn anew(&self, link: &Link, session_id: u64) -> Self {
        Self { description: self.description.clone(), ..Self::new(link.profile, session_id) }
    }

    /// Takes the peer's offer; of its formats only those count that this leg may use. `own` are our
    /// addresses, which no peer can have.
    pub(super) fn receive_offer(
        &mut self,
        sdp: &[u8],
        allowed: &[CodecName],
        own: &[SocketAddr],
    ) -> Result<(), SdpError> {
        let mut negotiation = self.negotiation.clone();
        let mut remote = negotiation.receive_offer(sdp)?;
        self.check_family(&remote)?;
        self.negotiation = negotiation;
        remote.formats = sdp::select(&remote.formats, allowed);
        if self.description.is_none() {
            self.origin = remote.rtp.map(|rtp| rtp.ip());
        }
        self.offer = Some(without_echo(remote, own));
        Ok(())
    }

    /// Takes the peer's answer: to our open offer, or once more to the last (a 200 after a 183, another fork).
    pub(super) fn receive_answer(&mut self, sdp: &[u8], own: &[SocketAddr]) -> Result<(), SdpError> {
        let mut negotiation = self.negotiation.clone();
        let remote = negotiation.receive_answer(sdp)?;
        self.check_family(&remote)?;
        let remote = without_echo(remote, own);
        let ours = match (&self.proposal, &self.agreed) {
            (Some(proposal), _) => proposal,
            (None, Some(agreed)) => &agreed.ours,
            (None, None) => return Err(SdpError::NoOffer),
        };
        if remote.rejected || !has_sound(&common(&ours.formats, &remote.formats)) {
            return Err(SdpError::NotAcceptable(Unacceptable::NoCodec));
        }
        let (ours, role) = (ours.clone(), self.role_towards(&remote));
        self.wanted = self.wanted_by_answer(remote.direction, ours.wish.direction);
        self.agreed = Some(Agreed { remote, ours, role, answerer: Answerer::Peer });
        self.proposal = None;
        self.negotiation = negotiation;
        Ok(())
    }

    /// RFC 6157 §3: without ICE a peer of the other family can't be reached from the address that it was told.
    fn check_family(&self, remote: &RemoteAudio) -> Result<(), SdpError> {
        match (self.own_address(), remote.rtp) {
            (Some(ours), Some(theirs)) if ours.is_ipv4() != theirs.is_ipv4() => {
                Err(SdpError::NotAcceptable(Unacceptable::OtherFamily))
            }
            _ => Ok(()),
        }
    }

    /// Our offer. Payload types keep the meaning they have on this leg (RFC 3264 §8.3.2).
    pub(super) fn make_offer(&mut self, formats: Vec<Format>, wish: Wish) -> Option<String> {
        let ours = Ours { formats: renumbered(formats, self.local_formats()), wish };
        let sdp = self.negotiation.offer(&self.local(&ours, DtlsRole::Passive)?);
        self.offer = None;
        self.proposal = Some(ours);
        Some(sdp)
    }

    /// Our answer to the open offer: its formats that the far end has too, in the order that the far end likes best.
    pub(super) fn make_answer(&mut self, far: &[Format], wish: Wish) -> Option<String> {
        let remote = self.offer.as_ref()?;
        let formats = with_parameters_of(in_order_of(common(&remote.formats, far), far), far);
        let direction = narrowed(wish.direction, remote.direction);
        let ours = Ours { formats, wish: Wish { direction, ..wish } };
        let role = self.role_towards(remote);
        let local = self.local(&ours, role).filter(|_| has_sound(&ours.formats))?;
        let sdp = self.negotiation.answer(&local);
        let remote = self.offer.take()?;
        self.wanted = self.wanted_by_offer(remote.direction);
        self.agreed = Some(Agreed { remote, ours, role, answerer: Answerer::Us });
        Some(sdp)
    }

    /// The open offer of either side came to nothing.
    pub(super) fn rollback(&mut self) {
        if self.offer.take().is_some() | self.proposal.take().is_some() {
            self.negotiation.rollback();
        }
    }

    /// The description that the peer got last, word for word.
    pub(super) fn repeated(&self) -> Option<String> {
        self.negotiation.current_local().map(str::to_owned)
    }

    pub(super) fn set_description(&mut self, description: LegDescription) {
        self.description = Some(description);
    }

    /// The same as the relay said last, if it did.
    pub(super) fn describe_as(&mut self, description: Option<&LegDescription>) {
        if let Some(description) = description {
            self.set_description(description.clone());
        }
    }

    pub(super) fn is_agreed(&self) -> bool {
        self.agreed.is_some()
    }

    pub(super) fn has_open_offer(&self) -> bool {
        self.offer.is_some()
    }

    pub(super) fn has_open_proposal(&self) -> bool {
        self.proposal.is_some()
    }

    /// Formats of the peer's open offer that this leg may use.
    pub(super) fn acceptable(&self) -> &[Format] {
        self.offer.as_ref().map(|offer| offer.formats.as_slice()).unwrap_or_default()
    }

    /// Formats which both ends of this leg named, as the peer describes them, in the order of the answer.
    pub(super) fn common(&self) -> Vec<Format> {
        let Some(agreed) = &self.agreed else { return Vec::new() };
        let (ours, theirs) = (&agreed.ours.formats, &agreed.remote.formats);
        let shared = common(ours, theirs);
        let shared = match agreed.answerer {
            Answerer::Us => shared,
            Answerer::Peer => in_order_of(shared, theirs),
        };
        with_parameters_of(shared, theirs)
    }

    /// What an answer to `offered` may hold when this leg is not asked again: a peer that answered us has chosen among
    /// the formats, one that we answered has not. An RFC 4733 event is taken even where this leg has none, since the relay
    /// makes those of digits that come by INFO.
    pub(super) fn answerable(&self, offered: &[Format]) -> Vec<Format> {
        let Some(agreed) = &self.agreed else { return offered.to_vec() };
        let mut formats = match agreed.answerer {
            Answerer::Us => in_order_of(self.common(), offered),
            Answerer::Peer => self.common(),
        };
        let is_new = |event: &&Format| event.is_telephone_event() && !has(self.common().as_slice(), event);
        formats.extend(offered.iter().filter(is_new).cloned());
        formats
    }

    /// Could this peer be told RTP events, as far as we know? One that left them out of an answer to an offer without them
    /// said nothing about them.
    pub(super) fn may_have_events(&self) -> bool {
        self.agreed.as_ref().is_none_or(|agreed| {
            let was_asked = match agreed.answerer {
                Answerer::Us => true,
                Answerer::Peer => has_events(&agreed.ours.formats),
            };
            has_events(&agreed.remote.formats) || !was_asked
        })
    }

    /// What we listed last.
    pub(super) fn local_formats(&self) -> &[Format] {
        self.agreed.as_ref().map(|agreed| agreed.ours.formats.as_slice()).unwrap_or_default()
    }

    /// What we said last.
    pub(super) fn we_say(&self) -> Wish {
        self.agreed.as_ref().map(|agreed| agreed.ours.wish).unwrap_or_default()
    }

    /// What the peer wants: by its open offer, else by what it said when it was free to say it.
    pub(super) fn wishes(&self) -> Wish {
        let said = self.agreed.as_ref().map(|agreed| &agreed.remote);
        Wish {
            direction: self.offer.as_ref().map_or(self.wanted, |offer| self.wanted_by_offer(offer.direction)),
            ptime: self.offer.as_ref().or(said).and_then(|remote| remote.ptime),
        }
    }

    /// RFC 6337 §5.1: an offer says what its author wants. But phones that are held leave out of their own offers what we
    /// would not take anyway: that says nothing new.
    fn wanted_by_offer(&self, offered: Direction) -> Direction {
        let (ours, before) = (self.we_say().direction, self.wanted);
        Direction::of(
            offered.sends() || (!ours.receives() && before.sends()),
            offered.receives() || (!ours.sends() && before.receives()),
        )
    }

    /// An answer can't say more than the offer allows (RFC 3264 §6.1): what it was not asked is as it was.
    fn wanted_by_answer(&self, answered: Direction, offered: Direction) -> Direction {
        let before = self.wanted;
        Direction::of(
            if offered.receives() { answered.sends() } else { before.sends() },
            if offered.sends() { answered.receives() } else { before.receives() },
        )
    }

    /// What we would do towards this peer if the far one wants that; seen from us.
    pub(super) fn would_flow(&self, far: Wish) -> Direction {
        narrowed(far.direction, self.wanted)
    }

    /// Does the open offer restart ICE? Our answer then needs new credentials from the relay (RFC 8839 §4.4.1.1).
    pub(super) fn restarts_ice(&self) -> bool {
        match (&self.offer, &self.agreed) {
            (Some(offer), Some(agreed)) => offer.restarts_ice_of(&agreed.remote),
            (Some(_), None) | (None, Some(_)) | (None, None) => false,
        }
    }

    /// Can the peer be sent DTMF as RTP events?
    pub(super) fn has_telephone_event(&self) -> bool {
        has_events(&self.common())
    }

    /// Where the relay receives this leg's sound.
    pub(super) fn own_address(&self) -> Option<SocketAddr> {
        self.description.as_ref().and_then(rtp_address)
    }

    /// What the relay is to do.
    pub(super) fn spec(&self, link: &Link) -> LegSpec {
        self.spec_of(link, self.description.as_ref(), self.codecs(), self.flow())
    }

    /// The same while the call is set up, in a session where our side is this one. A caller who was told no answer neither hears
    /// nor is listened to, however long it rings.
    pub(super) fn spec_in_set_up(&self, link: &Link, ours: Option<&LegDescription>) -> LegSpec {
        match self.is_agreed() {
            true => self.spec_of(link, ours, self.codecs(), self.flow()),
            false => self.spec_of(link, ours, Vec::new(), Direction::Inactive),
        }
    }

    fn spec_of(
        &self,
        link: &Link,
        ours: Option<&LegDescription>,
        codecs: Vec<Codec>,
        direction: Direction,
    ) -> LegSpec {
        let remote = self.transport_remote();
        match link.profile {
            Profile::WebRtc => LegSpec::WebRtc(WebRtcLeg {
                remote: remote.and_then(RemoteAudio::webrtc_remote),
                dtls: self.role(),
                codecs,
                direction,
            }),
            Profile::PlainRtp => LegSpec::Rtp(RtpLeg {
                interface: link.interface.clone(),
                peer: self.origin.or(link.destination.trunk_ip()),
                remote: remote.and_then(|remote| remote.rtp_remote(ours)),
                codecs,
                direction,
                learn: link.learn,
            }),
        }
    }

    /// An ICE restart counts at once, since our answer depends on it; anything else counts once it is agreed.
    fn transport_remote(&self) -> Option<&RemoteAudio> {
        match (&self.offer, &self.agreed) {
            (Some(offer), None) => Some(offer),
            (Some(offer), Some(_)) if self.restarts_ice() => Some(offer),
            (_, Some(agreed)) => Some(&agreed.remote),
            (None, None) => None,
        }
    }

    fn codecs(&self) -> Vec<Codec> {
        match (&self.agreed, &self.offer) {
            (Some(agreed), _) => sdp::join(&agreed.ours.formats, &agreed.remote.formats),
            (None, Some(offer)) => sdp::join(&offer.formats, &offer.formats),
            (None, None) => Vec::new(),
        }
    }

    /// What we do towards the peer.
    pub(super) fn flow(&self) -> Direction {
        self.agreed.as_ref().map_or_else(
            || self.wishes().direction.reversed(),
            |agreed| narrowed(agreed.ours.wish.direction, agreed.remote.direction),
        )
    }

    fn role(&self) -> DtlsRole {
        match (&self.agreed, &self.offer) {
            (Some(agreed), _) => agreed.role,
            (None, Some(offer)) => offer.dtls_role(),
            (None, None) => DtlsRole::Passive,
        }
    }

    /// RFC 8842 §5.3: a role once taken stays, unless the peer takes it from us.
    fn role_towards(&self, remote: &RemoteAudio) -> DtlsRole {
        match (remote.setup, &self.agreed) {
            (Some(Setup::ActPass) | None, Some(agreed)) => agreed.role,
            (Some(Setup::ActPass) | None, None) | (Some(Setup::Active | Setup::Passive), _) => {
                remote.dtls_role()
            }
        }
    }

    fn local(&self, ours: &Ours, role: DtlsRole) -> Option<LocalAudio> {
        Some(LocalAudio {
            description: self.description.clone()?,
            formats: ours.formats.clone(),
            direction: ours.wish.direction,
            setup: role.into(),
            ptime: ours.wish.ptime,
        })
    }
}

/// Where the relay receives a plain leg's sound.
pub(super) fn rtp_address(ours: &LegDescription) -> Option<SocketAddr> {
    match ours {
        LegDescription::Rtp { rtp, .. } => Some(*rtp),
        LegDescription::WebRtc { .. } | LegDescription::Service => None,
    }
}

/// What is left of our wish within the peer's description (RFC 3264 §6.1).
pub(super) fn narrowed(ours: Direction, theirs: Direction) -> Direction {
    Direction::of(ours.sends() && theirs.receives(), ours.receives() && theirs.sends())
}

/// The formats of `first` that `second` has as well; RTP events only beside a sound of their clock rate.
pub(super) fn common(first: &[Format], second: &[Format]) -> Vec<Format> {
    let shared = |format: &&Format| has(second, format);
    let both: Vec<Format> = first.iter().filter(shared).cloned().collect();
    let fits = |format: &Format| {
        let beside = |other: &Format| !other.is_telephone_event() && other.clock_rate == format.clock_rate;
        !format.is_telephone_event() || both.iter().any(beside)
    };
    both.iter().filter(|format| fits(format)).cloned().collect()
}

/// Is there more than RTP events?
pub(super) fn has_sound(formats: &[Format]) -> bool {
    formats.iter().any(|format| !format.is_telephone_event())
}

/// Are there RTP events?
pub(super) fn has_events(formats: &[Format]) -> bool {
    formats.iter().any(Format::is_telephone_event)
}

fn has(formats: &[Format], wanted: &Format) -> bool {
    formats.iter().any(|format| format.same_codec(wanted))
}

/// The formats as another list has them; what it does not have comes last.
fn in_order_of(mut formats: Vec<Format>, order: &[Format]) -> Vec<Format> {
    let place = |format: &Format| order.iter().position(|other| other.same_codec(format));
    formats.sort_by_key(|format| place(format).unwrap_or(order.len()));
    formats
}

/// A peer that describes itself with one of our own addresses would make the relay talk to itself: it gets silence.
fn without_echo(mut remote: RemoteAudio, own: &[SocketAddr]) -> RemoteAudio {
    if remote.echoed || remote.rtp.is_some_and(|rtp| own.contains(&rtp)) {
        remote.rtp = None;
        remote.rtcp = None;
        remote.direction = Direction::Inactive;
        remote.held = true;
    }
    remote
}

/// What the far end wants to receive is what the near end must know of it.
fn with_parameters_of(mut formats: Vec<Format>, others: &[Format]) -> Vec<Format> {
    for format in &mut formats {
        let theirs = others.iter().find(|other| other.same_codec(format));
        if let Some(parameters) = theirs.and_then(|other| other.fmtp.clone()) {
            format.fmtp = Some(parameters);
        }
    }
    formats
}

/// Payload types that were given away on this leg keep their meaning; newcomers get free ones.
fn renumbered(mut formats: Vec<Format>, before: &[Format]) -> Vec<Format> {
    for at in 0..formats.len() {
        let wanted =
            before.iter().find(|known| known.same_codec(&formats[at])).map(|known| known.payload_type);
        let taken = |payload_type: u8| {
            formats[..at].iter().any(|earlier| earlier.payload_type == payload_type)
                || before
                    .iter()
                    .any(|known| known.payload_type == payload_type && !known.same_codec(&formats[at]))
        };
        let own = formats[at].payload_type;
        let free =
            wanted.or_else(|| (!taken(own)).then_some(own)).or_else(|| DYNAMIC.rev().find(|pt| !taken(*pt)));
        if let Some(payload_type) = free {
            formats[at].payload_type = payload_type;
        }
    }
    formats
}

/// RFC 3551 §6: payload types without a fixed meaning.
const DYNAMIC: std::ops::RangeInclusive<u8> = 96..=127;

/// A number for the `o=` line: differs from call to call and leg to leg, and fits 63 bits.
pub(super) fn session_id(call: CallId, leg: LegId) -> u64 {
    let first = call.0.first_chunk().expect("a call id has twelve bytes");
    (u64::from_be_bytes(*first) >> LEG_BITS) + u64::from(leg.number())
}

/// Bits of the `o=` line's number that a leg may change, and one that stays zero.
const LEG_BITS: u32 = 6;
