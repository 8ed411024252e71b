//! A little language of SIP traces: what a peer does, and what the call does about it.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use relay_api::{
    EventKind, Fingerprint, LegDescription, LegName, LegSpec, RelayError, RelayName, SessionDescription,
    SessionId, SessionSpec,
};
use sip_core::call::{
    Admission, Call, CallTimer, Callee, Candidate, Cause, Effect, Event, Failure, Identity, LegId, Link,
    Parties, Policy, Ring, Summary, Target, Way,
};
use sip_core::message::{Limits, Message, Method};
use sip_core::routing::{Destination, FlowId, Network, Sealer, Transport, TrunkAddress};
use sip_core::sdp::{CodecName, Profile};
use sip_core::time::UnixMillis;

use super::peer::Peer;

pub const A: LegId = LegId::A;
pub const B: LegId = LegId::B;

/// The second device of the callee.
pub fn c() -> LegId {
    LegId::called(1).unwrap()
}

/// Which two ends the call has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    BrowserToTrunk,
    TrunkToBrowser,
    BrowserToBrowser,
    BrowserTo(relay_api::Service),
}

/// A call, its peers and its relay.
pub struct Trace {
    pub call: Option<Call>,
    pub sealer: Sealer,
    pub policy: Policy,
    pub now: UnixMillis,
    pub a: Peer,
    pub b: Peer,
    pub c: Peer,
    pub timers: HashMap<CallTimer, UnixMillis>,
    pub spec: Option<SessionSpec>,
    pub summary: Option<Summary>,
    pub released: u32,
    /// Does the call go through its stored form at each step?
    pub stores: bool,
    /// Ways to the callee.
    pub candidates: u8,
    /// Are all of them called at once?
    pub ring: Ring,
    /// Are all but the first of another address family?
    pub is_mixed: bool,
    /// What the relay was told of each session.
    specs: HashMap<SessionId, SessionSpec>,
    /// Sessions that the relay has made.
    made: HashSet<SessionId>,
    /// Where each message to leg B went.
    pub ways: Vec<String>,
    /// Where the last request went.
    pub went: Option<Destination>,
    /// The trunk's transport in the configuration.
    pub configured: Transport,
    /// By what the trunk's messages come.
    pub comes_by: (Transport, &'static str),
    kind: Kind,
    story: String,
}

impl Trace {
    pub fn new(kind: Kind) -> Self {
        let (a, b) = match kind {
            Kind::BrowserToTrunk => (Profile::WebRtc, Profile::PlainRtp),
            Kind::TrunkToBrowser => (Profile::PlainRtp, Profile::WebRtc),
            Kind::BrowserToBrowser | Kind::BrowserTo(_) => (Profile::WebRtc, Profile::WebRtc),
        };
        Self {
            call: None,
            sealer: Sealer::new(1, &[7; 32]),
            policy: Policy::default(),
            now: UnixMillis(1_000_000),
            a: Peer::new(A, a),
            b: Peer::new(B, b),
            c: Peer::new(c(), b),
            timers: HashMap::new(),
            spec: None,
            summary: None,
            released: 0,
            stores: true,
            candidates: 1,
            ring: Ring::InTurn,
            is_mixed: false,
            specs: HashMap::new(),
            made: HashSet::new(),
            ways: Vec::new(),
            went: None,
            configured: Transport::Udp,
            comes_by: (Transport::Udp, "192.0.2.8:5060"),
            kind,
            story: String::new(),
        }
    }

    /// A call that is up, both legs acknowledged.
    pub fn established(kind: Kind) -> Self {
        let mut t = Self::new(kind);
        let offer = t.a.offer();
        t.invites(Some(&offer)).relay_ready();
        if !matches!(kind, Kind::BrowserTo(_)) {
            let answer = t.b.answer();
            t.answers(B, 180, None).answers(B, 200, Some(&answer));
        }
        t.acks(A, None);
        t.story.clear();
        t
    }

    /// The caller's INVITE.
    pub fn invites(&mut self, sdp: Option<&str>) -> &mut Self {
        let invite = self.a.request(&Method::Invite, sdp, &[]);
        self.invites_with(invite)
    }

    pub fn invites_with(&mut self, invite: Message) -> &mut Self {
        let admission = self.admission();
        match Call::invite(&invite, admission, &self.sealer, &self.policy, self.now) {
            Ok((call, effects)) => {
                self.call = Some(call);
                self.a.invite = Some(invite);
                self.take(effects);
            }
            Err(reply) => {
                let _ = write!(self.story, "A {} INVITE, ", reply.status().unwrap());
                self.a.inbox.push(reply);
            }
        }
        self
    }

    /// A request within the dialog.
    pub fn sends(&mut self, leg: LegId, method: Method, sdp: Option<&str>) -> &mut Self {
        self.sends_with(leg, method, sdp, &[])
    }

    pub fn sends_with(
        &mut self,
        leg: LegId,
        method: Method,
        sdp: Option<&str>,
        headers: &[(&str, &str)],
    ) -> &mut Self {
        let message = self.peer_mut(leg).request(&method, sdp, headers);
        self.delivers(leg, message)
    }

    pub fn sends_body(&mut self, leg: LegId, method: Method, kind: &str, body: &str) -> &mut Self {
        let message = self.peer_mut(leg).builder(&method, &[]).body(kind, body).build().unwrap();
        self.delivers(leg, message)
    }

    /// Any request, as it is.
    pub fn delivers(&mut self, leg: LegId, message: Message) -> &mut Self {
        let from = self.destination(leg);
        if *message.method() == Method::Invite {
            self.peer_mut(leg).invite = Some(message.clone());
        }
        self.feed(Event::Request { leg, message, from })
    }

    /// The ACK of the last 2xx.
    pub fn acks(&mut self, leg: LegId, sdp: Option<&str>) -> &mut Self {
        let peer = self.peer_mut(leg);
        let cseq = peer.last_response().cseq().0;
        let ack = peer.builder_with_cseq(&Method::Ack, cseq, &[]);
        let ack = sdp.map_or(ack.clone(), |sdp| ack.body("application/sdp", sdp)).build().unwrap();
        self.delivers(leg, ack)
    }

    pub fn cancels(&mut self, leg: LegId, headers: &[(&str, &str)]) -> &mut Self {
        let message = self.peer_mut(leg).cancel(headers);
        let from = self.destination(leg);
        self.feed(Event::Cancel { leg, message, from })
    }

    /// A response to the call's last request of that leg.
    pub fn answers(&mut self, leg: LegId, status: u16, sdp: Option<&str>) -> &mut Self {
        self.answers_as(leg, status, sdp, None, &[])
    }

    /// The same, from a fork of that tag, with more headers.
    pub fn answers_as(
        &mut self,
        leg: LegId,
        status: u16,
        sdp: Option<&str>,
        tag: Option<&str>,
        headers: &[(&str, &str)],
    ) -> &mut Self {
        let request = self.peer(leg).last_request().clone();
        self.answers_to(leg, &request, status, sdp, tag, headers)
    }

    pub fn answers_to(
        &mut self,
        leg: LegId,
        request: &Message,
        status: u16,
        sdp: Option<&str>,
        tag: Option<&str>,
        headers: &[(&str, &str)],
    ) -> &mut Self {
        let message = self.peer_mut(leg).response(request, status, sdp, tag, headers);
        self.feed(Event::Response { leg, message })
    }

    pub fn relay_ready(&mut self) -> &mut Self {
        let spec = self.spec.clone().unwrap();
        let description = describe(&spec);
        self.feed(Event::MediaReady(Box::new(description)))
    }

    /// The relay made the session of this leg that is called.
    pub fn relay_ready_for(&mut self, leg: LegId) -> &mut Self {
        let session = self.call.as_ref().unwrap().id().session(leg);
        let description = describe(&self.specs[&session]);
        self.feed(Event::MediaReady(Box::new(description)))
    }

    pub fn relay_says(&mut self, leg: LegId, kind: EventKind) -> &mut Self {
        let session = self.spec.as_ref().unwrap().id.clone();
        let side = if leg == A { LegName::A } else { LegName::B };
        self.feed(Event::Media { session, side, kind })
    }

    pub fn no_media(&mut self, error: RelayError) -> &mut Self {
        let session = self.spec.as_ref().unwrap().id.clone();
        self.feed(Event::MediaFailed { session, error })
    }

    pub fn fails(&mut self, leg: LegId, method: Method, failure: Failure) -> &mut Self {
        let cseq = self.peer(leg).last_request().cseq().0;
        self.feed(Event::ClientFailed { leg, cseq, method, failure })
    }

    pub fn after(&mut self, time: Duration) -> &mut Self {
        self.now = self.now.plus(time);
        self
    }

    /// Lets the time pass until a timer fires; it must be set.
    pub fn fires(&mut self, timer: CallTimer) -> &mut Self {
        let at = self.timers.remove(&timer).unwrap_or_else(|| panic!("{timer:?} is not set"));
        self.now = self.now.max(at);
        self.feed(Event::Timer(timer))
    }

    /// Milliseconds until a timer fires.
    pub fn due(&self, timer: CallTimer) -> Option<u128> {
        self.timers.get(&timer).map(|at| at.since(self.now).as_millis())
    }

    pub fn flow_lost(&mut self, leg: LegId) -> &mut Self {
        let flow = self.flow_of(leg);
        self.feed(Event::FlowLost { leg, flow })
    }

    pub fn flow_restored(&mut self, leg: LegId) -> &mut Self {
        let was = self.flow_of(leg);
        self.feed(Event::FlowRestored { leg, was, flow: FlowId { node: 9, connection: 99 } })
    }

    fn flow_of(&self, leg: LegId) -> FlowId {
        let flows = self.call.as_ref().expect("the call began").flows();
        let flow = flows.into_iter().find(|(of, _)| *of == leg);
        flow.map_or(FlowId { node: 0, connection: 0 }, |(_, flow)| flow)
    }

    pub fn terminated(&mut self) -> &mut Self {
        self.feed(Event::Terminate { cause: Cause::Operator })
    }

    /// One event; the call goes through its stored form before and after.
    pub fn feed(&mut self, event: Event) -> &mut Self {
        let mut call = self.call.take().expect("the call began");
        if self.stores {
            call = stored(&call);
        }
        if let Event::MediaReady(made) = &event {
            self.made.insert(made.id.clone());
        }
        let effects = call.handle(event, &self.sealer, &self.policy, self.now);
        if self.stores {
            call = stored(&call);
        }
        self.call = Some(call);
        self.take(effects);
        self
    }

    /// What the call did since the last look.
    #[track_caller]
    pub fn does(&mut self, expected: &str) -> &mut Self {
        assert_eq!(self.story.trim_end_matches(", "), expected);
        self.story.clear();
        self
    }

    /// Skips what the call did.
    pub fn and(&mut self) -> &mut Self {
        self.story.clear();
        self
    }

    pub fn peer(&self, leg: LegId) -> &Peer {
        match leg {
            A => &self.a,
            B => &self.b,
            _ => &self.c,
        }
    }

    pub fn peer_mut(&mut self, leg: LegId) -> &mut Peer {
        match leg {
            A => &mut self.a,
            B => &mut self.b,
            _ => &mut self.c,
        }
    }

    pub fn destination(&self, leg: LegId) -> Destination {
        match (self.peer(leg).profile, self.comes_by) {
            (Profile::PlainRtp, (transport, address)) => Destination::Trunk(TrunkAddress {
                trunk: "genesys".to_owned(),
                transport,
                address: address.parse().unwrap(),
                otherwise: None,
            }),
            (Profile::WebRtc, _) => destination(leg, Profile::WebRtc),
        }
    }

    fn link(&self, leg: LegId) -> Link {
        let link = link(leg, self.peer(leg).profile);
        match link.profile {
            Profile::PlainRtp => {
                Link { transport: self.configured, destination: self.destination(leg), ..link }
            }
            Profile::WebRtc => link,
        }
    }

    pub fn admission(&self) -> Admission {
        let target = match self.kind {
            Kind::BrowserTo(service) => Target::Service(service),
            Kind::BrowserToTrunk | Kind::TrunkToBrowser | Kind::BrowserToBrowser => {
                Target::Sip(Box::new(self.callee()))
            }
        };
        Admission { caller: self.link(A), target, parties: Parties::default() }
    }

    fn callee(&self) -> Callee {
        Callee {
            link: self.link(B),
            request_uri: "sip:1002@callee.invalid;transport=ws".to_owned(),
            to: "sip:1002@gw.example".to_owned(),
            caller: Identity {
                display: Some("Anna \"A\"".to_owned()),
                uri: "sip:1001@gw.example".to_owned(),
            },
            further: (1..self.candidates).map(|at| candidate(at, self.b.profile, self.is_mixed)).collect(),
            ring: self.ring,
            asserted: self.b.profile == Profile::PlainRtp,
            headers: Vec::new(),
        }
    }

    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.note(effect);
        }
    }

    fn note(&mut self, effect: Effect) {
        let polite = matches!(effect, Effect::Respond { .. } | Effect::SendAck { .. } | Effect::Send { .. });
        assert!(self.summary.is_none() || polite, "after the end: {effect:?}");
        let line = match effect {
            Effect::Respond { leg, message, .. } => {
                let line = told(leg, &message);
                self.peer_mut(leg).receives(message);
                line
            }
            Effect::Send { leg, message, to } | Effect::SendAck { leg, message, to } => {
                if leg == B {
                    self.ways.push(place(&to));
                }
                self.went = Some(to);
                let line = told(leg, &message);
                self.peer_mut(leg).receives(message);
                line
            }
            Effect::Abandon { invite } => format!("B abandon {}", invite.method()),
            Effect::StopResending { invite } => format!("B quiet {}", invite.method()),
            Effect::PassOver { to, seconds, .. } => {
                let seconds = seconds.map(|seconds| format!(" for {seconds} s")).unwrap_or_default();
                format!("pass over {}{seconds}", place(&to))
            }
            Effect::Media { spec, relay } => {
                assert!(self.released == 0, "media after its release");
                let is_made = self.made.contains(&spec.id);
                assert_eq!(relay, is_made.then(home), "the session stays on its relay");
                let old = self.specs.insert(spec.id.clone(), (*spec).clone());
                assert!(old.is_none_or(|old| old.revision < spec.revision));
                self.spec = Some(*spec);
                "media".to_owned()
            }
            Effect::ReleaseMedia(place) => {
                assert!(self.specs.contains_key(&place.id));
                self.released += 1;
                "release".to_owned()
            }
            Effect::DropMedia(_) => "drop".to_owned(),
            Effect::Dtmf { side, digit, duration_ms, .. } => format!("{side:?} dtmf {digit} {duration_ms}"),
            Effect::StartTimer(timer, at) => {
                self.timers.insert(timer, at);
                return;
            }
            Effect::StopTimer(timer) => {
                self.timers.remove(&timer);
                return;
            }
            Effect::Ended(summary) => {
                let by = summary.ended_by.map(|leg| format!(" by {leg:?}")).unwrap_or_default();
                let line = format!("ended {:?}{by}", summary.cause);
                assert!(self.summary.is_none(), "ended twice");
                self.summary = Some(summary);
                line
            }
        };
        let _ = write!(self.story, "{line}, ");
    }
}

fn told(leg: LegId, message: &Message) -> String {
    let sdp = if message.body().is_empty() { "" } else { "+sdp" };
    match message.status() {
        Some(status) if *message.method() == Method::Invite => format!("{leg:?} {status}{sdp}"),
        Some(status) => format!("{leg:?} {status}{sdp} {}", message.method()),
        None => format!("{leg:?} {}{sdp}", message.method()),
    }
}

/// What the store does to a call.
fn stored(call: &Call) -> Call {
    let text = serde_json::to_string(call).unwrap();
    let back: Call = serde_json::from_str(&text).unwrap();
    assert_eq!(&back, call);
    back
}

pub fn describe(spec: &SessionSpec) -> SessionDescription {
    SessionDescription {
        id: spec.id.clone(),
        revision: spec.revision,
        a: describe_leg(&spec.a, 40_000),
        b: describe_leg(&spec.b, 40_002),
        relay: Some(home()),
    }
}

/// The relay that makes every session.
fn home() -> RelayName {
    RelayName("relay-1".to_owned())
}

fn describe_leg(leg: &LegSpec, port: u16) -> LegDescription {
    match leg {
        LegSpec::WebRtc(leg) => LegDescription::WebRtc {
            ufrag: format!(
                "ours{}",
                leg.remote.as_ref().map(|remote| remote.ufrag.as_str()).unwrap_or_default()
            ),
            password: "ourpasswordourpassword".to_owned(),
            candidates: vec!["198.51.100.1:3478".parse().unwrap()],
            fingerprint: Fingerprint { algorithm: "sha-256".to_owned(), value: ["AB"; 32].join(":") },
        },
        LegSpec::Rtp(leg) => {
            let is_ipv6 = leg.peer.is_some_and(|peer| peer.is_ipv6());
            let ip = if is_ipv6 { "[2001:db8::2]" } else { "198.51.100.2" };
            LegDescription::Rtp {
                rtp: format!("{ip}:{port}").parse().unwrap(),
                rtcp: format!("{ip}:{}", port + 1).parse().unwrap(),
            }
        }
        LegSpec::Service(_) => LegDescription::Service,
    }
}

fn link(leg: LegId, profile: Profile) -> Link {
    let browser = profile == Profile::WebRtc;
    let codecs = if browser {
        vec![CodecName::Opus, CodecName::Pcmu, CodecName::Pcma, CodecName::TelephoneEvent]
    } else {
        vec![CodecName::Pcmu, CodecName::Pcma, CodecName::TelephoneEvent]
    };
    Link {
        profile,
        codecs,
        transport: if browser { Transport::Wss } else { Transport::Udp },
        local: "gw.example:5060".to_owned(),
        contact_user: (!browser).then(|| "1001".to_owned()),
        destination: destination(leg, profile),
        ways: if browser { Vec::new() } else { ways() },
        first_reply: Duration::from_millis(2_500),
        networks: vec![Network { address: "192.0.2.0".parse().unwrap(), prefix: 24 }],
        interface: None,
        learn: relay_api::Learn::Never,
    }
}

/// A gateway with listeners for all.
fn ways() -> Vec<Way> {
    let way = |transport, port| Way { transport, local: ([198, 51, 100, 1], port).into() };
    vec![way(Transport::Udp, 5060), way(Transport::Tcp, 5062), way(Transport::Tls, 5061)]
}

/// The second and later ways to the callee.
fn candidate(at: u8, profile: Profile, is_mixed: bool) -> Candidate {
    let destination = match destination(B, profile) {
        Destination::Flow(flow) => {
            Destination::Flow(FlowId { connection: flow.connection + u64::from(at), ..flow })
        }
        Destination::Trunk(mut trunk) => {
            trunk.address.set_port(5060 + u16::from(at));
            if is_mixed {
                trunk.address.set_ip("2001:db8::8".parse().unwrap());
            }
            Destination::Trunk(trunk)
        }
    };
    let local = if is_mixed { "[2001:db8::1]:5060" } else { "gw.example:5060" }.to_owned();
    Candidate { destination, local, request_uri: format!("sip:1002@192.0.2.8;at={at}") }
}

/// A port, or a connection.
fn place(to: &Destination) -> String {
    match to {
        Destination::Flow(flow) => flow.connection.to_string(),
        Destination::Trunk(trunk) => trunk.address.port().to_string(),
    }
}

fn destination(leg: LegId, profile: Profile) -> Destination {
    match profile {
        Profile::WebRtc => Destination::Flow(FlowId { node: 1, connection: if leg == A { 10 } else { 20 } }),
        Profile::PlainRtp => Destination::Trunk(TrunkAddress {
            trunk: "genesys".to_owned(),
            transport: Transport::Udp,
            address: "192.0.2.8:5060".parse().unwrap(),
            otherwise: None,
        }),
    }
}

pub fn parsed(text: &str) -> Message {
    Message::parse(Bytes::from(text.replace('\n', "\r\n")), &Limits::default()).unwrap()
}

/// The other of the two legs that a call without forks has.
pub fn other(leg: LegId) -> LegId {
    if leg == A { B } else { A }
}
