//! A whole call of a browser through a trunk: every arriving message parsed, every leaving one built, the transaction layer
//! and the call machine between them, and the call put into its stored form where a node would do so.

use std::time::Duration;

use bytes::Bytes;
use relay_api::{Fingerprint, Learn, LegDescription, LegSpec, SessionDescription, SessionSpec};
use sip_core::call::{
    Admission, Call, Callee, Effect, Event, Identity, LegId, Link, Parties, Policy, Ring, Target,
};
use sip_core::message::{Builder, Limits, Message, Method, Name, Status};
use sip_core::routing::{Destination, FlowId, Sealer, Transport, TrunkAddress};
use sip_core::sdp::{CodecName, Profile};
use sip_core::time::{Instant, UnixMillis};
use sip_core::transaction::{Output, Received, Reliability, Response, Timing, Transactions};

/// The gateway's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

#[divan::bench]
fn a_whole_call(bencher: divan::Bencher<'_, '_>) {
    let script = record();
    bencher.with_inputs(Node::new).bench_refs(|node| {
        for (leg, bytes) in &script {
            node.receive(*leg, divan::black_box(bytes.clone()));
        }
        node.sent_octets
    });
}

#[divan::bench]
fn store_an_established_call(bencher: divan::Bencher<'_, '_>) {
    let call = established();
    bencher.bench(|| serde_json::to_string(divan::black_box(&call)).map(|text| text.len()));
}

#[divan::bench]
fn load_an_established_call(bencher: divan::Bencher<'_, '_>) {
    let text = serde_json::to_string(&established()).expect("a call is a value");
    bencher.bench(|| serde_json::from_str::<Call>(divan::black_box(&text)).map(|call| call.id()));
}

/// One node with one call: what a driver does, without sockets.
struct Node {
    transactions: Transactions<Destination, LegId>,
    call: Option<Call>,
    sealer: Sealer,
    policy: Policy,
    sent_octets: usize,
    /// What left for each leg, for the recording.
    outbox: Vec<(LegId, Message)>,
}

impl Node {
    fn new() -> Self {
        Self {
            transactions: Transactions::new(Timing::default(), [3; 16]),
            call: None,
            sealer: Sealer::new(1, &[7; 32]),
            policy: Policy::default(),
            sent_octets: 0,
            outbox: Vec::new(),
        }
    }

    fn receive(&mut self, leg: LegId, bytes: Bytes) {
        let message = Message::parse(bytes, &Limits::default()).expect("the script is sound");
        match message.is_request() {
            true => self.request(leg, message),
            false => self.response(leg, message),
        }
    }

    fn request(&mut self, leg: LegId, message: Message) {
        let from = destination(leg);
        match self.transactions.receive_request(&message, NOW) {
            Received::New => {
                let admitted = self.transactions.admit(&message, from.clone(), reliability(leg), (), NOW);
                admitted.expect("it is new");
            }
            Received::Ack => {}
            other => panic!("{other:?}"),
        }
        self.drain();
        if self.call.is_none() {
            let (call, effects) = Call::invite(&message, admission(), &self.sealer, &self.policy, TIME)
                .expect("the INVITE is sound");
            self.call = Some(call);
            self.carry_out(effects);
        } else {
            self.handle(Event::Request { leg, message, from });
        }
    }

    fn response(&mut self, leg: LegId, message: Message) {
        match self.transactions.receive_response(&message, NOW) {
            Response::ForTu { user, .. } => assert_eq!(user, leg),
            other => panic!("{other:?}"),
        }
        self.drain();
        self.handle(Event::Response { leg, message });
    }

    fn handle(&mut self, event: Event) {
        if let Some(call) = &mut self.call {
            let effects = call.handle(event, &self.sealer, &self.policy, TIME);
            self.carry_out(effects);
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Respond { message, .. } => self.respond(message),
                Effect::Send { leg, message, to } => {
                    self.transactions
                        .request(message, to, reliability(leg), leg, (), NOW)
                        .expect("there is room");
                }
                Effect::SendAck { leg, message, .. } => self.sent(leg, message),
                Effect::Media { spec, .. } => self.handle(Event::MediaReady(Box::new(describe(&spec)))),
                Effect::Abandon { .. }
                | Effect::StopResending { .. }
                | Effect::PassOver { .. }
                | Effect::ReleaseMedia(_)
                | Effect::DropMedia(_)
                | Effect::Dtmf { .. }
                | Effect::StartTimer(..)
                | Effect::StopTimer(_)
                | Effect::Ended(_) => {}
            }
            self.drain();
        }
    }

    fn respond(&mut self, message: Message) {
        let key = self.transactions.server_key(&message).expect("the request is open");
        self.transactions.respond(&key, message, NOW).expect("the transaction lives");
    }

    fn drain(&mut self) {
        while let Some(output) = self.transactions.poll_output() {
            if let Output::Send { to, message, .. } = output {
                let leg = if to.flow().is_some() { LegId::A } else { LegId::B };
                self.sent(leg, message);
            }
        }
    }

    fn sent(&mut self, leg: LegId, message: Message) {
        self.sent_octets += message.bytes().len();
        self.outbox.push((leg, message));
    }
}

/// Plays the call once and writes down what the peers said. The machine has no chance in it, so they may say it again.
fn record() -> Vec<(LegId, Bytes)> {
    let mut node = Node::new();
    let mut script = Vec::new();
    let mut say = |node: &mut Node, leg: LegId, message: Message| {
        script.push((leg, message.bytes().clone()));
        node.receive(leg, message.bytes().clone());
    };
    say(&mut node, LegId::A, from_browser(&Method::Invite, 1, None, Some(BROWSER_OFFER)));
    for status in [100, 180, 200] {
        let answer = answer(last_request(&node, &Method::Invite), status);
        say(&mut node, LegId::B, answer);
    }
    let tag = node.outbox.iter().rev().find(|(leg, _)| *leg == LegId::A).and_then(|(_, ok)| ok.to_tag());
    let tag = tag.map(str::to_owned);
    say(&mut node, LegId::A, from_browser(&Method::Ack, 1, tag.as_deref(), None));
    say(&mut node, LegId::A, from_browser(&Method::Bye, 2, tag.as_deref(), None));
    let answer = answer(last_request(&node, &Method::Bye), 200);
    say(&mut node, LegId::B, answer);
    assert!(node.call.as_ref().is_some_and(Call::is_ended));
    script
}

fn established() -> Call {
    let mut node = Node::new();
    for (leg, bytes) in record().into_iter().take(5) {
        node.receive(leg, bytes);
    }
    node.call.expect("the call is up")
}

fn last_request<'n>(node: &'n Node, method: &Method) -> &'n Message {
    let wanted = |(leg, message): &&(LegId, Message)| {
        *leg == LegId::B && message.is_request() && message.method() == method
    };
    &node.outbox.iter().rfind(wanted).expect("the trunk was asked").1
}

fn from_browser(method: &Method, cseq: u32, tag: Option<&str>, sdp: Option<&str>) -> Message {
    let to = tag.map(|tag| format!(";tag={tag}")).unwrap_or_default();
    let builder = Builder::request(method, "sip:1002@gw.example")
        .header(Name::Via, format!("SIP/2.0/WSS f3.invalid;branch=z9hG4bK{}{cseq}", 6_843_212))
        .header(Name::MaxForwards, 69)
        .header(Name::To, format!("<sip:1002@gw.example>{to}"))
        .header(Name::From, "\"Anna\" <sip:1001@gw.example>;tag=f2m8rjpqvn")
        .header(Name::CallId, "ovdb1gugmvtvhk1h4p9k")
        .header(Name::CSeq, format!("{cseq} {method}"))
        .header(Name::Contact, "<sip:x7k2@f3.invalid;transport=ws;ob>")
        .header(Name::Allow, "INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY")
        .header(Name::Supported, "timer,ice,replaces,outbound")
        .header(Name::UserAgent, "JsSIP 3.10.1");
    let builder = match sdp {
        Some(sdp) => builder.body("application/sdp", crlf(sdp)),
        None => builder,
    };
    builder.build().expect("a sound request")
}

fn answer(request: &Message, status: u16) -> Message {
    let status = Status::new(status).expect("a status");
    let builder = request.response(status);
    let builder = if status == Status::TRYING { builder } else { builder.to_tag("genesys-1") };
    let builder = builder.header(Name::Contact, "<sip:1002@192.0.2.9:5060>").header(
        Name::Allow,
        "ACK, BYE, CANCEL, INFO, INVITE, MESSAGE, NOTIFY, OPTIONS, PRACK, REFER, UPDATE",
    );
    let builder = match status == Status::OK && *request.method() == Method::Invite {
        true => builder.body("application/sdp", crlf(TRUNK_ANSWER)),
        false => builder,
    };
    builder.build().expect("a sound response")
}

fn admission() -> Admission {
    let caller = Link {
        profile: Profile::WebRtc,
        codecs: vec![CodecName::Opus, CodecName::Pcmu, CodecName::Pcma, CodecName::TelephoneEvent],
        transport: Transport::Wss,
        local: "gw.example:8443".to_owned(),
        contact_user: None,
        destination: destination(LegId::A),
        ways: Vec::new(),
        first_reply: Duration::from_millis(2_500),
        networks: Vec::new(),
        interface: None,
        learn: Learn::Never,
    };
    let link = Link {
        profile: Profile::PlainRtp,
        codecs: vec![CodecName::Pcmu, CodecName::Pcma, CodecName::TelephoneEvent],
        transport: Transport::Udp,
        local: "198.51.100.2:5060".to_owned(),
        contact_user: Some("1001".to_owned()),
        destination: destination(LegId::B),
        ..caller.clone()
    };
    let callee = Callee {
        link,
        request_uri: "sip:1002@192.0.2.9:5060".to_owned(),
        further: Vec::new(),
        ring: Ring::InTurn,
        to: "sip:1002@192.0.2.9:5060".to_owned(),
        caller: Identity { display: Some("Anna".to_owned()), uri: "sip:1001@198.51.100.2".to_owned() },
        asserted: true,
        headers: Vec::new(),
    };
    Admission { caller, target: Target::Sip(Box::new(callee)), parties: Parties::default() }
}

fn destination(leg: LegId) -> Destination {
    match leg {
        LegId::A => Destination::Flow(FlowId { node: 1, connection: 1 }),
        _ => Destination::Trunk(TrunkAddress {
            trunk: "genesys".to_owned(),
            transport: Transport::Udp,
            address: ([192, 0, 2, 9], 5060).into(),
            otherwise: None,
        }),
    }
}

fn reliability(leg: LegId) -> Reliability {
    if destination(leg).is_reliable() { Reliability::Reliable } else { Reliability::Unreliable }
}

fn describe(spec: &SessionSpec) -> SessionDescription {
    let leg = |leg: &LegSpec| match leg {
        LegSpec::WebRtc(_) => LegDescription::WebRtc {
            ufrag: "Ue5k".to_owned(),
            password: "ourpasswordourpassword".to_owned(),
            candidates: vec![([198, 51, 100, 2], 3478).into()],
            fingerprint: Fingerprint { algorithm: "sha-256".to_owned(), value: ["AB"; 32].join(":") },
        },
        LegSpec::Rtp(_) => LegDescription::Rtp {
            rtp: ([198, 51, 100, 2], 40_000).into(),
            rtcp: ([198, 51, 100, 2], 40_001).into(),
        },
        LegSpec::Service(_) => LegDescription::Service,
    };
    SessionDescription {
        id: spec.id.clone(),
        revision: spec.revision,
        a: leg(&spec.a),
        b: leg(&spec.b),
        relay: None,
    }
}

fn crlf(text: &str) -> String {
    text.lines().flat_map(|line| [line, "\r\n"]).collect()
}

const NOW: Instant = Instant::START;
const TIME: UnixMillis = UnixMillis(1_700_000_000_000);
const BROWSER_OFFER: &str = include_str!("../tests/sdp/samples/chromium.sdp");
const TRUNK_ANSWER: &str = "v=0
o=PureEngage 1 1 IN IP4 192.0.2.9
s=PureEngage
c=IN IP4 192.0.2.9
t=0 0
m=audio 6000 RTP/AVP 0 101
a=rtpmap:0 pcmu/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=sendrecv
";
