//! SDP: a typed model of what audio calls need, and one leg's side of offer/answer.
//!
//! Text becomes a [`Description`] once, within limits that are checked before anything is allocated for it; what the
//! model does not know is dropped, so no line of a peer is ever passed on unread. A [`Negotiation`] turns descriptions
//! into [`RemoteAudio`] and [`LocalAudio`] into text, and keeps what RFC 3264 §8 wants kept between the rounds.

mod attribute;
mod audio;
mod audio_line;
mod codec;
mod description;
mod error;
mod fmtp;
mod layout;
mod limits;
mod lines;
mod local;
mod negotiation;
mod parse;
mod print;
mod remote;
mod words;

pub use audio::{Format, IceParameters, LocalAudio, Profile, RemoteAudio, Setup};
pub use codec::{CodecName, UnknownCodec, join, offered, select};
pub use description::{Address, Description, Flaws, Media, Number, Origin, Payload, Rtcp, Transport};
pub use error::{Flaw, SdpError, Unacceptable};
pub use negotiation::{Negotiation, State};
