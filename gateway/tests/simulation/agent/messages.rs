//! The messages that an agent writes.

use sip_core::message::{Builder, Message, Method, Name, Status, Uri};

use super::Agent;
use super::dialog::Dialog;
use crate::network::Place;

impl Agent {
    pub(super) fn response(&self, request: &Message, status: Status, with_sdp: bool) -> Message {
        let mut builder = request.response(status);
        if request.to_tag().is_none()
            && let Some(dialog) = self.state().dialogs.get(request.call_id())
            && let Some((_, tag)) = dialog.local.rsplit_once(";tag=")
        {
            builder = builder.to_tag(tag);
        }
        builder = builder.header(Name::Contact, self.contact());
        if with_sdp {
            builder = builder.body("application/sdp", self.sdp("answer"));
        }
        builder.build().unwrap()
    }

    pub(super) fn send_register(&self, cseq: u32, authorization: Option<&str>) {
        let local = format!("<sip:{}@localhost>;tag=registering", self.0.persona.name);
        let remote = format!("<sip:{}@localhost>", self.0.persona.name);
        let call_id = format!("register-{}", self.0.persona.name);
        let mut builder = self
            .request(&Method::Register, "sip:localhost", &local, &remote, &call_id, cseq)
            .header(Name::Expires, "600");
        if let Some(authorization) = authorization {
            builder = builder.header(Name::Authorization, authorization);
        }
        self.start(builder.build().unwrap());
    }

    pub(super) fn within(&self, dialog: &Dialog, method: &Method, cseq: u32) -> Builder {
        self.request(method, &dialog.target, &dialog.local, &dialog.remote, &dialog.call_id, cseq)
    }

    pub(super) fn request(
        &self,
        method: &Method,
        uri: &str,
        from: &str,
        to: &str,
        call_id: &str,
        cseq: u32,
    ) -> Builder {
        let sent_by = match self.0.persona.place {
            Place::Udp(address) => format!("SIP/2.0/UDP {address}"),
            Place::Connection(_) => "SIP/2.0/WSS df7jal23ls0d.invalid".into(),
        };
        Builder::request(method, uri)
            .header(Name::Via, format!("{sent_by};branch=z9hG4bK{}", self.random_word()))
            .header(Name::MaxForwards, 70)
            .header(Name::From, from)
            .header(Name::To, to)
            .header(Name::CallId, call_id)
            .header(Name::CSeq, format!("{cseq} {method}"))
            .header(Name::Contact, self.contact())
    }

    pub(super) fn contact(&self) -> String {
        match self.0.persona.place {
            Place::Udp(address) => format!("<sip:{}@{address}>", self.0.persona.name),
            Place::Connection(_) => {
                format!("<sip:{}@df7jal23ls0d.invalid;transport=ws>", self.0.persona.name)
            }
        }
    }

    pub(super) fn sdp(&self, kind: &str) -> String {
        let direction = if kind == "hold" && self.chance(50) { "sendonly" } else { "sendrecv" };
        match self.0.persona.place {
            Place::Udp(address) => format!(
                "v=0\r\no=- 1 {} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
                 m=audio 6000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na={direction}\r\n",
                self.0.machine.below(1 << 30),
                ip = address.ip()
            ),
            Place::Connection(_) => {
                let setup = if kind == "answer" { "active" } else { "actpass" };
                let fingerprint = ["CD"; 32].join(":");
                format!(
                    "v=0\r\no=- 1 {} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
                     m=audio 9 UDP/TLS/RTP/SAVPF 0 101\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\n\
                     a=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=fingerprint:sha-256 {fingerprint}\r\n\
                     a=setup:{setup}\r\na=mid:0\r\na={direction}\r\na=rtcp-mux\r\n\
                     a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n",
                    self.0.machine.below(1 << 30)
                )
            }
        }
    }

    pub(super) fn random_word(&self) -> String {
        format!("{:012x}", self.0.machine.below(1 << 48))
    }
}

pub(super) fn contact_uri(message: &Message) -> String {
    let contacts = message.contacts().unwrap();
    let uri = contacts.first().expect("the gateway always names its Contact").uri;
    assert!(Uri::parse(uri).is_ok());
    uri.to_string()
}
