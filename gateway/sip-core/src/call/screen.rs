//! What can be said about a request before anybody asks who sent it (RFC 3261 §8.2, §16.3).

use relay_api::LegName;

use crate::message::{Builder, Message, Method, Name, Scheme, Status, Uri};
use crate::routing::{Purpose, Sealer};

/// The methods a call understands.
pub(super) const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE";

/// Looks at a request outside any dialog: hops (483), loops (482), methods (405, 501), URI schemes (416), extensions (420),
/// bodies of an INVITE (415, 400). An ACK always passes, there is no answer to it.
///
/// # Errors
/// The response that says what is wrong.
pub fn screen(request: &Message, sealer: &Sealer) -> Result<(), Message> {
    if *request.method() == Method::Ack {
        return Ok(());
    }
    judge(request, sealer).map_err(|reply| stateless(request, reply, sealer))
}

/// A final response outside any dialog. Its tag is the same for each repetition (RFC 3261 §8.2.7).
pub(super) fn stateless(request: &Message, reply: Builder, sealer: &Sealer) -> Message {
    let tag = sealer.tag(sealer.call_id(request), LegName::A);
    reply.to_tag(&tag).build().expect("the headers of a sound request make a sound response")
}

fn judge(request: &Message, sealer: &Sealer) -> Result<(), Builder> {
    method(request)?;
    scheme(request)?;
    hops(request, sealer)?;
    extensions(request)?;
    if *request.method() == Method::Invite {
        session_body(request)?;
    }
    Ok(())
}

/// RFC 3261 §8.2.1: a method we know but don't serve is not the same as one nobody told us about.
fn method(request: &Message) -> Result<(), Builder> {
    match request.method() {
        Method::Invite | Method::Ack | Method::Cancel | Method::Options | Method::Register => Ok(()),
        Method::Bye | Method::Info | Method::Update | Method::Prack => {
            Err(request.response(Status::CALL_DOES_NOT_EXIST))
        }
        Method::Notify | Method::Subscribe | Method::Refer | Method::Message | Method::Publish => {
            Err(not_allowed(request))
        }
        Method::Other(_) => Err(request.response(Status::NOT_IMPLEMENTED).header(Name::Allow, ALLOW)),
    }
}

pub(super) fn not_allowed(request: &Message) -> Builder {
    request.response(Status::METHOD_NOT_ALLOWED).header(Name::Allow, ALLOW)
}

/// RFC 3261 §8.2.2.1.
fn scheme(request: &Message) -> Result<(), Builder> {
    match request.uri().map(Uri::parse) {
        Some(Ok(Uri { scheme: Scheme::Sip | Scheme::Sips | Scheme::Tel, .. })) => Ok(()),
        Some(Ok(Uri { scheme: Scheme::Other(_), .. })) => {
            Err(request.response(Status::UNSUPPORTED_URI_SCHEME))
        }
        Some(Err(_)) | None => Err(request.response(Status::BAD_REQUEST)),
    }
}

/// RFC 3261 §16.3 steps 3 and 4: hops are counted, and a request that carries a Via of ours has been here before.
fn hops(request: &Message, sealer: &Sealer) -> Result<(), Builder> {
    if request.max_forwards() == Some(0) && *request.method() != Method::Options {
        return Err(request.response(Status::TOO_MANY_HOPS));
    }
    let ours = |branch: &str| sealer.open(branch).is_some_and(|named| named.purpose == Purpose::Branch);
    match request.vias().any(|via| via.branch.is_some_and(ours)) {
        true => Err(request.response(Status::LOOP_DETECTED)),
        false => Ok(()),
    }
}

/// RFC 3261 §8.2.2.3. CANCEL is exempt: it must not be refused for extensions.
pub(super) fn extensions(request: &Message) -> Result<(), Builder> {
    let required = request.require().chain(request.values(Name::ProxyRequire));
    let unknown: Vec<&str> = required.filter(|token| !is_served(token)).collect();
    if unknown.is_empty() || *request.method() == Method::Cancel {
        return Ok(());
    }
    Err(request.response(Status::BAD_EXTENSION).header(Name::Unsupported, unknown.join(", ")))
}

/// Extensions that a peer may demand. `outbound` and `path` are the registrar's (RFC 5626, RFC 3327).
fn is_served(extension: &str) -> bool {
    ["timer", "outbound", "path"].iter().any(|known| known.eq_ignore_ascii_case(extension))
}

/// RFC 3261 §8.2.3: what comes with an INVITE or UPDATE is SDP, alone or in a multipart, or nothing.
pub(super) fn session_body(request: &Message) -> Result<(), Builder> {
    if request.headers(Name::ContentEncoding).any(|coding| !coding.eq_ignore_ascii_case("identity")) {
        let reply = request.response(Status::UNSUPPORTED_MEDIA_TYPE);
        return Err(reply.header(Name::Accept, SDP).header(Name::AcceptEncoding, "identity"));
    }
    match request.sdp() {
        Ok(None) if !request.body().is_empty() => {
            Err(request.response(Status::UNSUPPORTED_MEDIA_TYPE).header(Name::Accept, SDP))
        }
        Ok(_) => Ok(()),
        Err(_) => Err(request.response(Status::BAD_REQUEST)),
    }
}

/// The session description of a message; none if its body can't be read.
pub(super) fn sdp_of(message: &Message) -> Option<&[u8]> {
    message.sdp().ok().flatten()
}

/// The media type of session descriptions.
pub(super) const SDP: &str = "application/sdp";
