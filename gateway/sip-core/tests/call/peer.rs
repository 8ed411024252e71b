//! A scripted user agent: what it sends, and what it checks in everything that the call sends it.

use std::collections::HashMap;

use sip_core::call::LegId;
use sip_core::message::{Builder, Limits, Message, Method, Name, Status};
use sip_core::sdp::Profile;

use super::trace::{A, B};

/// A scripted user agent.
pub struct Peer {
    leg: LegId,
    pub profile: Profile,
    /// What the call sent here, oldest first.
    pub inbox: Vec<Message>,
    pub call_id: String,
    pub tag: String,
    pub gateway_tag: Option<String>,
    pub cseq: u32,
    /// CSeq numbers of the gateway's requests, by the tag they were for.
    gateway_cseq: HashMap<String, u32>,
    /// Its last INVITE.
    pub invite: Option<Message>,
    ended: bool,
    /// Another than its usual one.
    pub contact: Option<&'static str>,
}

impl Peer {
    pub fn new(leg: LegId, profile: Profile) -> Self {
        Self {
            leg,
            profile,
            inbox: Vec::new(),
            call_id: "call-of-a".to_owned(),
            tag: format!("tag-{leg:?}"),
            gateway_tag: None,
            cseq: 1,
            gateway_cseq: HashMap::new(),
            invite: None,
            ended: false,
            contact: None,
        }
    }

    pub fn offer(&self) -> String {
        match self.profile {
            Profile::WebRtc => super::sdp::browser_offer(),
            Profile::PlainRtp => super::sdp::trunk_offer(),
        }
    }

    pub fn answer(&self) -> String {
        match self.profile {
            Profile::WebRtc => super::sdp::browser_answer(),
            Profile::PlainRtp => super::sdp::trunk_answer(),
        }
    }

    /// The next request of this peer.
    pub fn request(&mut self, method: &Method, sdp: Option<&str>, headers: &[(&str, &str)]) -> Message {
        let builder = self.builder(method, headers);
        sdp.map_or(builder.clone(), |sdp| builder.body("application/sdp", sdp)).build().unwrap()
    }

    pub fn builder(&mut self, method: &Method, headers: &[(&str, &str)]) -> Builder {
        self.cseq += 1;
        self.builder_with_cseq(method, self.cseq, headers)
    }

    pub fn builder_with_cseq(&self, method: &Method, cseq: u32, headers: &[(&str, &str)]) -> Builder {
        let to = self.gateway_tag.as_ref().map(|tag| format!(";tag={tag}")).unwrap_or_default();
        let builder = Builder::request(method, "sip:x@gw.example")
            .header(
                Name::Via,
                format!("SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK-{:?}-{cseq}-{method}", self.leg),
            )
            .header(Name::MaxForwards, 70)
            .header(Name::From, format!("<sip:peer@example.org>;tag={}", self.tag))
            .header(Name::To, format!("<sip:x@gw.example>{to}"))
            .header(Name::CallId, &self.call_id)
            .header(Name::CSeq, format!("{cseq} {method}"))
            .header(Name::Contact, self.contact())
            .header(Name::Allow, "INVITE, ACK, BYE, CANCEL, INFO")
            .header(Name::UserAgent, "secret of one leg");
        headers.iter().fold(builder, |builder, (name, value)| builder.header(Name::Other(name), value))
    }

    fn contact(&self) -> &'static str {
        if let Some(contact) = self.contact {
            return contact;
        }
        match self.profile {
            Profile::WebRtc => "<sip:x7k2@f3.invalid;transport=ws>",
            Profile::PlainRtp => "<sip:peer@192.0.2.9:5070>",
        }
    }

    pub fn cancel(&self, headers: &[(&str, &str)]) -> Message {
        let invite = self.invite.as_ref().unwrap();
        let mut builder = Builder::request(&Method::Cancel, invite.uri().unwrap());
        for name in [Name::Via, Name::From, Name::To, Name::CallId] {
            builder = builder.header(name, invite.header(name).unwrap());
        }
        builder = builder.header(Name::CSeq, format!("{} CANCEL", invite.cseq().0));
        headers
            .iter()
            .fold(builder, |builder, (name, value)| builder.header(Name::Other(name), value))
            .build()
            .unwrap()
    }

    pub fn response(
        &mut self,
        request: &Message,
        status: u16,
        sdp: Option<&str>,
        tag: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Message {
        let own = self.tag_towards(request);
        let tag = tag.unwrap_or(&own).to_owned();
        let mut builder = request.response(Status::new(status).unwrap());
        if status > 100 {
            builder = builder.to_tag(&tag);
        }
        builder = builder.header(Name::Contact, self.contact()).header(Name::Server, "secret of one leg");
        builder =
            headers.iter().fold(builder, |builder, (name, value)| builder.header(Name::Other(name), value));
        sdp.map_or(builder.clone(), |sdp| builder.body("application/sdp", sdp)).build().unwrap()
    }

    /// Each attempt to call leg B reaches another phone.
    fn tag_towards(&self, request: &Message) -> String {
        match (request.cseq(), request.to_tag()) {
            ((2.., Method::Invite), None) if self.leg == B => format!("tag-B-{}", request.cseq().0),
            ((_, Method::Invite), None) => format!("tag-{:?}", self.leg),
            (_, _) => self.tag.clone(),
        }
    }

    #[track_caller]
    pub fn last_request(&self) -> &Message {
        let request = |message: &&Message| message.is_request() && *message.method() != Method::Ack;
        self.inbox.iter().rfind(request).expect("a request came")
    }

    /// The first INVITE that it got.
    #[track_caller]
    pub fn invited(&self) -> Message {
        let invite = |message: &&Message| message.is_request() && *message.method() == Method::Invite;
        self.inbox.iter().find(invite).expect("an INVITE came").clone()
    }

    #[track_caller]
    pub fn last_response(&self) -> &Message {
        self.inbox.iter().rfind(|message| !message.is_request()).expect("a response came")
    }

    pub fn last(&self) -> &Message {
        self.inbox.last().expect("something came")
    }

    /// The last description that came.
    pub fn last_sdp(&self) -> String {
        let message =
            self.inbox.iter().rfind(|message| !message.body().is_empty()).expect("a description came");
        String::from_utf8(message.body().to_vec()).unwrap()
    }

    pub fn receives(&mut self, message: Message) {
        self.check_secrets(&message);
        match message.status() {
            None => self.check_request(&message),
            Some(status) => {
                self.gateway_tag = message.to_tag().map(str::to_owned).or(self.gateway_tag.take());
                let refused = self.leg == A && status.is_failure() && message.cseq() == (2, &Method::Invite);
                let left = status.is_success() && *message.method() == Method::Bye;
                self.ended |= refused || left;
            }
        }
        self.inbox.push(message);
    }

    fn check_request(&mut self, message: &Message) {
        if self.leg != A {
            self.call_id = message.call_id().to_owned();
            self.gateway_tag = message.from_tag().map(str::to_owned);
            if *message.method() == Method::Invite && message.to_tag().is_none() {
                self.tag = self.tag_towards(message);
                self.ended = false;
            }
        }
        let (cseq, method) = message.cseq();
        if matches!(method, Method::Ack | Method::Cancel) {
            return;
        }
        let stray = message.to_tag().is_some_and(|tag| tag != self.tag);
        let again = *method == Method::Bye;
        assert!(!self.ended || stray || again, "a request to a leg that ended: {message:?}");
        let tag = message.to_tag().unwrap_or_default().to_owned();
        let last = self.gateway_cseq.insert(tag, cseq);
        assert!(last.is_none_or(|last| last < cseq), "CSeq does not rise");
        self.ended |= *method == Method::Bye && message.to_tag() == Some(&self.tag);
    }

    /// Nothing of the other leg, and no SDP of the other kind.
    fn check_secrets(&self, message: &Message) {
        let text = String::from_utf8_lossy(message.bytes()).to_string();
        assert!(!text.contains("secret of one leg"), "{text}");
        if self.profile == Profile::PlainRtp {
            for secret in ["fingerprint", "candidate", "SAVPF", "ice-"] {
                assert!(!text.contains(secret), "{text}");
            }
        }
        Message::parse(message.bytes().clone(), &Limits::default()).expect("what is sent can be parsed");
    }
}
