//! Messages that must outlive this process, kept as their text.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::message::{Builder, Limits, Message, Name};

/// A message inside a stored call.
#[derive(Clone, Debug)]
pub(super) struct Stored(pub(super) Message);

impl Stored {
    /// What any node needs to answer a request, to cancel it, or to refuse it (RFC 3261 §8.2.6.2, §9.1); no more of the
    /// peer's headers and no body are kept. `None` if the parts don't make a message again.
    pub(super) fn skeleton(request: &Message) -> Option<Self> {
        let mut builder = Builder::request(request.method(), request.uri()?);
        for name in KEPT {
            for value in request.headers(name) {
                builder = builder.header(name, value);
            }
        }
        builder.build().ok().map(Self)
    }
}

impl PartialEq for Stored {
    fn eq(&self, other: &Self) -> bool {
        self.0.bytes() == other.0.bytes()
    }
}

impl Serialize for Stored {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Header values that are not UTF-8 don't get into a builder, so nothing is lost here.
        serializer.serialize_str(&String::from_utf8_lossy(self.0.bytes()))
    }
}

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let message = Message::parse(Bytes::from(text), &Limits::default())
            .map_err(|malformed| de::Error::custom(malformed.error))?;
        Ok(Self(message))
    }
}

/// Via, From, To, Call-ID, CSeq and Record-Route make the response; Max-Forwards and Route the CANCEL.
const KEPT: [Name<'static>; 8] = [
    Name::Via,
    Name::MaxForwards,
    Name::Route,
    Name::RecordRoute,
    Name::From,
    Name::To,
    Name::CallId,
    Name::CSeq,
];
