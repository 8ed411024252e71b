//! What can be said about a request before anybody asks who sent it (RFC 3261 §8.2, §16.3).

use crate::message::{Message, Method, Name, Scheme, Status, Uri};
use crate::routing::{LegId, Purpose, Sealer};

use super::refusal::Refusal;

/// The methods that a user agent may send us (RFC 3261 §20.5), within a call or for a new one.
pub const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE";

/// Looks at a request outside any dialog: hops (483), loops (482), methods (405, 501), URI schemes (416), extensions (420),
/// bodies of an INVITE (415, 400). An ACK always passes, there is no answer to it.
///
/// # Errors
/// The response that says what is wrong.
pub fn screen(request: &Message, sealer: &Sealer) -> Result<(), Message> {
    if *request.method() == Method::Ack {
        return Ok(());
    }
    judge(request, sealer).map_err(|refusal| stateless(request, &refusal, sealer))
}

/// A refusal outside any dialog. Its tag is the same for each repetition (RFC 3261 §8.2.7).
pub(super) fn stateless(request: &Message, refusal: &Refusal, sealer: &Sealer) -> Message {
    let tag = sealer.tag(sealer.call_id(request), LegId::A);
    let response = refusal.response(request).to_tag(&tag);
    response.build().expect("the headers of a sound request make a sound response")
}

fn judge(request: &Message, sealer: &Sealer) -> Result<(), Refusal> {
    method(request)?;
    scheme(request)?;
    hops(request, sealer)?;
    extensions(request)?;
    match request.method() {
        Method::Invite => session_body(request),
        Method::Ack
        | Method::Bye
        | Method::Cancel
        | Method::Register
        | Method::Options
        | Method::Info
        | Method::Update
        | Method::Prack
        | Method::Notify
        | Method::Subscribe
        | Method::Refer
        | Method::Message
        | Method::Publish
        | Method::Other(_) => Ok(()),
    }
}

/// RFC 3261 §8.2.1: a method we know but don't serve is not the same as one nobody told us about.
fn method(request: &Message) -> Result<(), Refusal> {
    match request.method() {
        Method::Invite | Method::Ack | Method::Cancel | Method::Options | Method::Register => Ok(()),
        Method::Bye | Method::Info | Method::Update | Method::Prack => {
            Err(Status::CALL_DOES_NOT_EXIST.into())
        }
        Method::Notify | Method::Subscribe | Method::Refer | Method::Message | Method::Publish => {
            Err(not_allowed())
        }
        Method::Other(_) => Err(Refusal::from(Status::NOT_IMPLEMENTED).with(Name::Allow, ALLOW)),
    }
}

pub(super) fn not_allowed() -> Refusal {
    Refusal::from(Status::METHOD_NOT_ALLOWED).with(Name::Allow, ALLOW)
}

/// RFC 3261 §8.2.2.1.
fn scheme(request: &Message) -> Result<(), Refusal> {
    match request.uri().map(Uri::parse) {
        Some(Ok(Uri { scheme: Scheme::Sip | Scheme::Sips | Scheme::Tel, .. })) => Ok(()),
        Some(Ok(Uri { scheme: Scheme::Other(_), .. })) => Err(Status::UNSUPPORTED_URI_SCHEME.into()),
        Some(Err(_)) | None => Err(Status::BAD_REQUEST.into()),
    }
}

/// RFC 3261 §16.3 steps 3 and 4: hops are counted, and a request that carries a Via of ours has been here before.
fn hops(request: &Message, sealer: &Sealer) -> Result<(), Refusal> {
    if request.max_forwards() == Some(0) && *request.method() == Method::Invite {
        return Err(Status::TOO_MANY_HOPS.into());
    }
    let ours = |branch: &str| sealer.open(branch).is_some_and(|named| named.purpose == Purpose::Branch);
    match request.vias().any(|via| via.branch.is_some_and(ours)) {
        true => Err(Status::LOOP_DETECTED.into()),
        false => Ok(()),
    }
}

/// RFC 3261 §8.2.2.3. CANCEL is exempt: it must not be refused for extensions.
pub(super) fn extensions(request: &Message) -> Result<(), Refusal> {
    let required = request.require().chain(request.values(Name::ProxyRequire));
    let unknown: Vec<&str> = required.filter(|token| !is_served(token)).collect();
    if unknown.is_empty() || *request.method() == Method::Cancel {
        return Ok(());
    }
    Err(Refusal::from(Status::BAD_EXTENSION).with(Name::Unsupported, unknown.join(", ")))
}

/// Extensions that a peer may demand. `outbound` and `path` are the registrar's (RFC 5626, RFC 3327).
fn is_served(extension: &str) -> bool {
    ["timer", "outbound", "path"].iter().any(|known| known.eq_ignore_ascii_case(extension))
}

/// RFC 3261 §8.2.3: what comes with an INVITE or UPDATE is SDP, alone or in a multipart, or nothing.
pub(super) fn session_body(request: &Message) -> Result<(), Refusal> {
    let unsupported = || Refusal::from(Status::UNSUPPORTED_MEDIA_TYPE).with(Name::Accept, SDP);
    if request.values(Name::ContentEncoding).any(|coding| !coding.eq_ignore_ascii_case("identity")) {
        return Err(unsupported().with(Name::AcceptEncoding, "identity"));
    }
    match request.sdp() {
        Ok(None) if !request.body().is_empty() => Err(unsupported()),
        Ok(_) => Ok(()),
        Err(_) => Err(Status::BAD_REQUEST.into()),
    }
}

/// The session description of a message; none if its body can't be read.
pub(super) fn sdp_of(message: &Message) -> Option<&[u8]> {
    message.sdp().ok().flatten()
}

/// The media type of session descriptions.
pub(super) const SDP: &str = "application/sdp";
