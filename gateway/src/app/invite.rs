//! A new call: who calls, may he, where does it go, how is that reached.

use std::cmp::Reverse;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sip_core::call::{
    Admission, Call, CallKind, Callee, Candidate, Identity, Link, MAX_CANDIDATES, Parties, Ring, Target,
};
use sip_core::message::{Message, Name, Scheme, Status, Uri};
use sip_core::registrar::{Aor, Binding};
use sip_core::routing::{Destination, Network, TrunkAddress};
use sip_core::sdp::Profile;
use tracing::Instrument;

use super::ingress::Request;
use super::shares::{Holder, Share, Shares, Urgency};
use super::{Node, Runtime, Trunk, journal};
use crate::ports::store::StoreError;
use crate::ports::transport::{ConnectionId, Edge, Protocol};

/// Who calls.
enum Caller<'a> {
    Browser { user: &'a str, connection: ConnectionId },
    Trunk(&'a Trunk),
}

impl<R: Runtime> Node<R> {
    pub(super) async fn invite(&self, request: Request) {
        if self.0.draining.load(Ordering::Acquire) {
            return self.refuse(&request, Status::SERVICE_UNAVAILABLE);
        }
        match request.source.edge {
            Edge::Browser => self.invite_from_browser(request).await,
            Edge::Trunk => match self.0.trunks.trusting(request.source.remote.ip()) {
                Some(trunk) => {
                    let holder = Holder::Trunk(Arc::clone(&trunk.name));
                    if let Some(request) = self.let_in(request, &holder) {
                        self.admit(&request, Caller::Trunk(trunk), &holder).await;
                    }
                }
                None => self.refuse(&request, Status::FORBIDDEN),
            },
        }
    }

    /// A browser that registered on this connection is known; any other is challenged. Its address is worth nothing.
    async fn invite_from_browser(&self, request: Request) {
        let Some(connection) = request.source.connection else {
            return self.refuse(&request, Status::FORBIDDEN);
        };
        let user = match self.0.flows.user(connection) {
            Some(user) => user,
            None => match self.authenticate(&request) {
                Some(user) => {
                    self.0.flows.authenticated(connection, &user);
                    self.0.ports.transport.authenticated(connection);
                    user.into()
                }
                None => return,
            },
        };
        let caller = Caller::Browser { user: &user, connection };
        if self.0.flows.calls_of(&user) >= self.0.settings.calls_per_user {
            let parties = self.parties(&request.message, &caller);
            return self.refuse_call(&request, &parties, Status::BUSY_HERE);
        }
        let holder = Holder::User(Arc::clone(&user));
        if let Some(request) = self.let_in(request, &holder) {
            self.admit(&request, Caller::Browser { user: &user, connection }, &holder).await;
        }
    }

    async fn admit(&self, request: &Request, caller: Caller<'_>, holder: &Holder) {
        let span = journal::span(&self.0.identity.sealer.call_id(&request.message), None);
        self.admit_in_span(request, caller, holder).instrument(span).await;
    }

    async fn admit_in_span(&self, request: &Request, caller: Caller<'_>, holder: &Holder) {
        let mut parties = self.parties(&request.message, &caller);
        let (target, called) = match self.target(&request.message, &caller).await {
            Ok(target) => target,
            Err(status) => return self.refuse_call(request, &parties, status),
        };
        parties.kind = kind(&caller, &target);
        let admission =
            Admission { caller: self.caller_link(request, &caller), target, parties: parties.clone() };
        let now = self.0.runtime.unix_now();
        let (sealer, policy) = (&self.0.identity.sealer, &self.0.settings.calls);
        let devices = target_devices(&admission.target);
        let (call, effects) = match Call::invite(&request.message, admission, sealer, policy, now) {
            Ok(begun) => begun,
            Err(response) => {
                let status = response.status().unwrap_or(Status::SERVER_INTERNAL_ERROR);
                self.note_refused(request, &parties, status, response.header(Name::Warning));
                return self.reply(request, response);
            }
        };
        let bytes =
            (CALL + devices * DEVICE).saturating_add(request.message.bytes().len().saturating_mul(COPIES));
        let Some(share) = self.0.call_memory.take(holder, bytes, Urgency::New) else {
            self.0.metrics.shares_refused.inc();
            return self.refuse_call(request, &parties, Status::SERVICE_UNAVAILABLE);
        };
        let id = call.id();
        self.comes_by(&request.source, id);
        match self.begin(call, effects, Shares { memory: share, called }, request).await {
            // The same INVITE made the call on another node: that one answers.
            Ok(()) | Err(StoreError::Conflict) => {}
            Err(StoreError::Full | StoreError::Unavailable) => {
                self.carries_no_more(id);
                self.refuse_call(request, &parties, Status::SERVICE_UNAVAILABLE);
            }
        }
    }

    fn refuse_call(&self, request: &Request, parties: &Parties, status: Status) {
        self.note_refused(request, parties, status, None);
        self.refuse(request, status);
    }

    fn note_refused(&self, request: &Request, parties: &Parties, status: Status, warning: Option<&str>) {
        self.0.metrics.refused(status, &parties.kind);
        journal::tell_refused(parties, request, status, warning);
    }

    /// As far as they are known before it is clear where the call goes.
    fn parties(&self, invite: &Message, caller: &Caller<'_>) -> Parties {
        let user_of =
            |uri: &str| Uri::parse(uri).ok().and_then(|uri| uri.user_decoded().map(|user| user.into_owned()));
        let (from, kind) = match caller {
            Caller::Browser { user, .. } => ((*user).to_string(), CallKind::Internal),
            Caller::Trunk(trunk) => {
                (user_of(invite.from().uri).unwrap_or_default(), CallKind::Inbound(trunk.name.to_string()))
            }
        };
        Parties { from, to: invite.uri().and_then(user_of).unwrap_or_default(), kind }
    }

    /// Whom it is for, and his share if it is one of our users.
    async fn target(&self, invite: &Message, caller: &Caller<'_>) -> Result<(Target, Option<Share>), Status> {
        let uri = invite.uri().ok_or(Status::BAD_REQUEST)?;
        let uri = Uri::parse(uri).map_err(|_| Status::BAD_REQUEST)?;
        if let Scheme::Other(_) = uri.scheme {
            return Err(Status::UNSUPPORTED_URI_SCHEME);
        }
        if matches!(caller, Caller::Browser { .. }) && !self.is_ours(&uri) {
            return Err(Status::NOT_FOUND);
        }
        let dialled = uri.subscriber().ok_or(Status::ADDRESS_INCOMPLETE)?;
        let names: Vec<_> = uri.user_names().collect();
        let is_sound = |name: &str| (1..=MAX_NUMBER).contains(&name.len()) && name.chars().all(is_graphic);
        if !names.iter().chain([&dialled]).all(|name| is_sound(name)) {
            return Err(Status::NOT_FOUND);
        }
        let plan = &self.0.settings.dialplan;
        let is_called = |number: &Option<String>| {
            number.as_ref().is_some_and(|number| names.iter().any(|name| name == number))
        };
        if is_called(&plan.echo) {
            return Ok((Target::Service(relay_api::Service::Echo), None));
        }
        if is_called(&plan.tone) {
            return Ok((Target::Service(relay_api::Service::Tone), None));
        }
        let identity = self.identity(invite, caller);
        let to_users = matches!(caller, Caller::Trunk(_)) || plan.between_users;
        let user = names.iter().find(|name| self.0.ports.users.secret(name).is_some());
        if let Some(user) = user.filter(|_| to_users) {
            let target = self.user_target(user, identity).await?;
            // Who calls one user without end costs him his calls, and nobody else theirs.
            let called = self.0.called.take(&Holder::User(Arc::from(&**user)), 1, Urgency::Follows);
            return Ok((target, Some(called.ok_or(Status::BUSY_HERE)?)));
        }
        match (&plan.trunk, caller) {
            (Some(trunk), Caller::Browser { .. }) => {
                let kind = match uri.scheme {
                    // RFC 3261 §19.1.6.
                    Scheme::Tel => ";user=phone",
                    Scheme::Sip | Scheme::Sips | Scheme::Other(_) => "",
                };
                self.trunk_target(trunk, (&dialled, kind), identity).map(|target| (target, None))
            }
            // No trunk reaches another one through us, and nobody a number without a trunk.
            _ => Err(Status::NOT_FOUND),
        }
    }

    /// RFC 3261 §8.2.2.1, §16.5: a browser's Request-URI names somebody of our domain. Another domain's user is not ours of
    /// the same name. A trunk writes there whatever it knows us by. A `tel:` names nobody's domain, so that it is ours
    /// (§19.1.6).
    fn is_ours(&self, uri: &Uri<'_>) -> bool {
        let host = uri.host.strip_suffix('.').unwrap_or(uri.host);
        uri.scheme == Scheme::Tel || host.eq_ignore_ascii_case(&self.0.settings.domain)
    }

    async fn user_target(&self, user: &str, caller: Identity) -> Result<Target, Status> {
        let aor = Aor::new(user, &self.0.settings.domain);
        let bindings = self.0.ports.store.bindings(&aor).await.map_err(|_| Status::SERVICE_UNAVAILABLE)?;
        let now = self.0.runtime.unix_now();
        let mut reachable: Vec<(&Binding, ConnectionId)> = bindings
            .iter()
            .flat_map(|found| found.value.active(now))
            .filter_map(|binding| Some((binding, self.open_flow(binding)?)))
            .collect();
        reachable.sort_by_key(|(binding, _)| Reverse((binding.q, binding.expires_at)));
        let Some(((best, connection), others)) = reachable.split_first() else {
            return Err(Status::TEMPORARILY_UNAVAILABLE);
        };
        let candidate = |(binding, connection): &(&Binding, ConnectionId)| Candidate {
            destination: Destination::Flow(self.flow_id(*connection)),
            local: self.0.settings.domain.clone(),
            request_uri: binding.contact.clone(),
        };
        Ok(Target::Sip(Box::new(Callee {
            link: self.browser_link(*connection, Protocol::Wss),
            request_uri: best.contact.clone(),
            further: others.iter().map(candidate).collect(),
            ring: self.0.settings.dialplan.ring,
            to: format!("sip:{aor}"),
            caller,
            asserted: false,
            headers: Vec::new(),
        })))
    }

    /// `dialled` is the user part as the caller wrote it, so that parameters of a number stay parameters, and `kind` what the URI
    /// says of it.
    fn trunk_target(
        &self,
        name: &str,
        (dialled, kind): (&str, &str),
        caller: Identity,
    ) -> Result<Target, Status> {
        let trunk = self.0.trunks.named(name).ok_or(Status::NOT_FOUND)?;
        let random = || {
            let mut bytes = [0; 4];
            self.0.runtime.random(&mut bytes);
            u32::from_be_bytes(bytes)
        };
        let addresses = self.0.trunks.candidates(name, self.0.runtime.now(), random);
        let (first, others) = addresses.split_first().ok_or(Status::SERVICE_UNAVAILABLE)?;
        let host = trunk.hosts.first().ok_or(Status::SERVICE_UNAVAILABLE)?;
        let uri = format!("sip:{}@{host}{kind}", written_user(dialled));
        let candidate = |address: &SocketAddr| Candidate {
            destination: trunk_destination(trunk, *address),
            local: trunk.local(address.ip()),
            request_uri: uri.clone(),
        };
        let own_number = Uri::parse(&caller.uri).ok().and_then(|uri| uri.user).map(str::to_string);
        Ok(Target::Sip(Box::new(Callee {
            link: trunk_link(trunk, *first, own_number),
            request_uri: uri.clone(),
            further: others.iter().map(candidate).collect(),
            ring: Ring::InTurn,
            to: uri,
            caller,
            asserted: false,
            headers: Vec::new(),
        })))
    }

    /// Whom the callee sees: the authenticated user, or the number that a trunk, which is trusted, names.
    fn identity(&self, invite: &Message, caller: &Caller<'_>) -> Identity {
        let from = invite.from();
        let display = from
            .display_name()
            .map(|text| text.chars().filter(|c| !c.is_control()).take(MAX_NUMBER).collect());
        let domain = &self.0.settings.domain;
        let user = match caller {
            Caller::Browser { user, .. } => escape_user(user),
            Caller::Trunk(_) => match Uri::parse(from.uri).ok().and_then(|uri| uri.user) {
                Some(number) if number.len() <= MAX_NUMBER => written_user(number),
                _ => "anonymous".into(),
            },
        };
        Identity { display, uri: format!("sip:{user}@{domain}") }
    }

    fn caller_link(&self, request: &Request, caller: &Caller<'_>) -> Link {
        match caller {
            Caller::Browser { connection, .. } => self.browser_link(*connection, request.source.protocol),
            Caller::Trunk(trunk) => {
                let destination = self.origin(&request.source, &request.message);
                Link {
                    destination,
                    ..trunk_link(trunk, request.source.remote, called_user(&request.message))
                }
            }
        }
    }

    fn browser_link(&self, connection: ConnectionId, protocol: Protocol) -> Link {
        Link {
            profile: Profile::WebRtc,
            codecs: self.0.settings.browser_codecs.clone(),
            transport: protocol,
            local: self.0.settings.domain.clone(),
            contact_user: None,
            destination: Destination::Flow(self.flow_id(connection)),
            ways: Vec::new(),
            first_reply: BROWSER_REPLIES_WITHIN,
            networks: Vec::new(),
            interface: None,
            learn: relay_api::Learn::Never,
        }
    }

    fn open_flow(&self, binding: &Binding) -> Option<ConnectionId> {
        let flow = binding.flow.filter(|flow| flow.node == self.0.identity.node)?;
        let connection = ConnectionId(flow.connection);
        self.0.flows.is_open(connection).then_some(connection)
    }
}

/// `number` is ours towards the trunk: it attributes calls by the user of our Contact.
fn trunk_link(trunk: &Trunk, address: SocketAddr, number: Option<String>) -> Link {
    Link {
        profile: Profile::PlainRtp,
        codecs: trunk.codecs.clone(),
        transport: trunk.transport,
        local: trunk.local(address.ip()),
        contact_user: number,
        destination: trunk_destination(trunk, address),
        ways: trunk.ways.clone(),
        first_reply: trunk.first_reply,
        networks: trunk
            .cidrs
            .iter()
            .map(|cidr| Network { address: cidr.addr(), prefix: cidr.prefix_len() })
            .collect(),
        interface: trunk.interface.clone(),
        learn: trunk.learn,
    }
}

fn trunk_destination(trunk: &Trunk, address: SocketAddr) -> Destination {
    Destination::Trunk(TrunkAddress {
        trunk: trunk.name.to_string(),
        transport: trunk.transport,
        address,
        otherwise: None,
    })
}

fn kind(caller: &Caller<'_>, target: &Target) -> CallKind {
    match (caller, target) {
        (Caller::Trunk(trunk), _) => CallKind::Inbound(trunk.name.to_string()),
        (Caller::Browser { .. }, Target::Service(_)) => CallKind::Service,
        (Caller::Browser { .. }, Target::Sip(callee)) => match callee.link.destination.trunk() {
            Some(trunk) => CallKind::Outbound(trunk.to_owned()),
            None => CallKind::Internal,
        },
    }
}

/// Devices that ring beside the first.
fn target_devices(target: &Target) -> usize {
    match target {
        Target::Sip(callee) if callee.ring == Ring::Together => callee.further.len().min(MAX_CANDIDATES - 1),
        Target::Sip(_) | Target::Service(_) => 0,
    }
}

fn called_user(invite: &Message) -> Option<String> {
    Uri::parse(invite.uri()?).ok()?.user.map(str::to_string)
}

/// A name as the user part of a URI.
fn escape_user(user: &str) -> String {
    user.bytes().fold(String::with_capacity(user.len()), escaped)
}

/// A peer's user part for a URI of ours: its escapes stay, what should have been one becomes one.
fn written_user(user: &str) -> String {
    let mut written = String::with_capacity(user.len());
    let mut rest = user.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        match rest {
            [high, low, ..] if *first == b'%' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                written.push('%');
            }
            _ => written = escaped(written, *first),
        }
    }
    written
}

/// RFC 3261 §25.1: what is not `unreserved` or `user-unreserved` is written `%XX`. `;` stays what it is: it begins the
/// parameters of a number (RFC 3966 §3).
fn escaped(mut to: String, byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => to.push(byte.into()),
        b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')' => to.push(byte.into()),
        b'&' | b'=' | b'+' | b'$' | b',' | b';' | b'?' | b'/' => to.push(byte.into()),
        // Writing to a `String` cannot fail.
        _ => drop(write!(to, "%{byte:02X}")),
    }
    to
}

fn is_graphic(c: char) -> bool {
    c.is_ascii_graphic()
}

/// A browser sends 100 at once: one that does not is gone without having said so.
const BROWSER_REPLIES_WITHIN: Duration = Duration::from_secs(5);
/// Bytes of a call beside what it keeps of its INVITE: two legs with what they agreed on, timers, the offer of the other side.
const CALL: usize = 16 * 1_024;
/// Bytes of each further device that rings.
const DEVICE: usize = 6 * 1_024;
/// What a call keeps of its INVITE, it may keep in this many forms: read, told to the other leg, told to the relay.
const COPIES: usize = 4;
/// Characters of a number or a display name.
const MAX_NUMBER: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // RFC 3261 §25.1, RFC 3966 §3
    fn parameters_of_a_number_stay_parameters() {
        for (dialled, written) in [
            ("+49301000;npdi;rn=+4989", "+49301000;npdi;rn=+4989"),
            ("%2331%23*72+49(0)30", "%2331%23*72+49(0)30"),
            ("#31#", "%2331%23"),
            ("a%3Bb", "a%3Bb"),
            ("50%", "50%25"),
            ("a%4", "a%254"),
            ("a%zz", "a%25zz"),
        ] {
            assert_eq!(written_user(dialled), written);
        }
        assert_eq!(escape_user("a b;c%41@d"), "a%20b;c%2541%40d");
    }
}
