//! SIP messages: wire form, headers, addresses, framing (RFC 3261 §7, §18–§20, §25).
//!
//! [`Message::parse`] is the one door for bytes of a peer: what comes out has a Via, From, To, Call-ID and CSeq that
//! were checked once and are infallible from then on; everything else is a lazy view over the received bytes, which
//! are kept as they came. [`Builder`] is the one door for messages of our own; no value can break out of its line.

mod address;
mod body;
mod build;
mod error;
pub mod framing;
mod index;
mod limits;
mod method;
mod name;
mod params;
mod parse;
mod reply;
mod scan;
mod stamp;
mod status;
pub mod text;
mod uri;
mod via;
mod view;

pub use address::{Contact, Contacts, NameAddr, route_uri};
pub use body::MediaType;
pub use build::{BuildError, Builder};
pub use error::{Malformed, ParseError};
pub use limits::Limits;
pub use method::Method;
pub use name::Name;
pub use params::Params;
pub use status::Status;
pub use uri::{Scheme, Uri};
pub use via::Via;
pub use view::{Kind, Message};
