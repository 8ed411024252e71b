//! Messages of the traces.

use bytes::Bytes;
use sip_core::message::{Limits, Message, Status};

/// What varies between the requests of the traces.
#[derive(Clone)]
pub struct Request {
    pub method: &'static str,
    pub uri: &'static str,
    pub sent_by: &'static str,
    pub branch: String,
    pub call_id: &'static str,
    pub cseq: u32,
    pub from_tag: &'static str,
    pub to_tag: Option<&'static str>,
    pub extra: &'static str,
}

impl Request {
    pub fn new(method: &'static str) -> Self {
        Self {
            method,
            uri: "sip:bob@192.0.2.4",
            sent_by: "pc33.atlanta.example",
            branch: "z9hG4bKx1".to_owned(),
            call_id: "a84b4c76",
            cseq: 314_159,
            from_tag: "1928301774",
            to_tag: None,
            extra: "",
        }
    }

    pub fn branch(self, branch: impl Into<String>) -> Self {
        Self { branch: branch.into(), ..self }
    }

    pub fn message(&self) -> Message {
        let Self { method, uri, sent_by, branch, call_id, cseq, from_tag, to_tag, extra } = self;
        let to_tag = to_tag.map_or(String::new(), |tag| format!(";tag={tag}"));
        parse(format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {sent_by};branch={branch}\r\nMax-Forwards: 70\r\n\
             To: Bob <sip:bob@biloxi.example>{to_tag}\r\nFrom: Alice <sip:alice@atlanta.example>;tag={from_tag}\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n{extra}Content-Length: 0\r\n\r\n"
        ))
    }
}

pub fn invite() -> Message {
    Request::new("INVITE").message()
}

pub fn options() -> Message {
    Request::new("OPTIONS").message()
}

pub fn cancel() -> Message {
    Request::new("CANCEL").message()
}

/// The ACK of a 300–699 response: on the branch of the INVITE.
pub fn ack() -> Message {
    Request { to_tag: Some("bob"), ..Request::new("ACK") }.message()
}

/// A response to one of the requests above, with the To tag `bob` unless it is a 100.
pub fn response(request: &Message, code: u16) -> Message {
    response_of(request, code, "bob")
}

/// As [`response`], of another fork.
pub fn response_of(request: &Message, code: u16, tag: &str) -> Message {
    let builder = request.response(Status::new(code).unwrap());
    if code == 100 { builder.build().unwrap() } else { builder.to_tag(tag).build().unwrap() }
}

pub fn parse(text: impl Into<String>) -> Message {
    Message::parse(Bytes::from(text.into()), &Limits::default()).unwrap()
}
