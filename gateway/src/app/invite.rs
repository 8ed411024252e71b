//! A new call: who calls, may he, where does it go, how is that reached.

use std::cmp::Reverse;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sip_core::call::{Admission, Call, Callee, Candidate, Identity, Link, Target};
use sip_core::message::{Message, Status, Uri};
use sip_core::registrar::{Aor, Binding};
use sip_core::routing::{Destination, Network, TrunkAddress};
use sip_core::sdp::Profile;

use super::ingress::Request;
use super::{Node, Runtime, Trunk};
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
                Some(trunk) => self.admit(&request, Caller::Trunk(trunk)).await,
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
            None => match self.authenticate(&request).await {
                Some(user) => user.into(),
                None => return,
            },
        };
        if self.0.flows.calls_of(&user) >= self.0.settings.calls_per_user {
            return self.refuse(&request, Status::BUSY_HERE);
        }
        self.admit(&request, Caller::Browser { user: &user, connection }).await;
    }

    async fn admit(&self, request: &Request, caller: Caller<'_>) {
        let target = match self.target(&request.message, &caller).await {
            Ok(target) => target,
            Err(status) => return self.refuse(request, status),
        };
        let admission = Admission { caller: self.caller_link(request, &caller), target };
        let now = self.0.runtime.unix_now();
        let (sealer, policy) = (&self.0.identity.sealer, &self.0.settings.calls);
        let (call, effects) = match Call::invite(&request.message, admission, sealer, policy, now) {
            Ok(begun) => begun,
            Err(response) => return self.reply(request, response),
        };
        let id = call.id();
        self.comes_by(&request.source, id);
        match self.begin(call, effects).await {
            // The same INVITE made the call on another node: that one answers.
            Ok(()) | Err(StoreError::Conflict) => {}
            Err(StoreError::Full | StoreError::Unavailable) => {
                self.carries_no_more(id);
                self.refuse(request, Status::SERVICE_UNAVAILABLE);
            }
        }
    }

    async fn target(&self, invite: &Message, caller: &Caller<'_>) -> Result<Target, Status> {
        let uri = invite.uri().ok_or(Status::BAD_REQUEST)?;
        let uri = Uri::parse(uri).map_err(|_| Status::BAD_REQUEST)?;
        if !uri.is_sip() {
            return Err(Status::UNSUPPORTED_URI_SCHEME);
        }
        let number = uri.user_decoded().ok_or(Status::ADDRESS_INCOMPLETE)?;
        if number.is_empty() || number.len() > MAX_NUMBER || number.chars().any(|c| !c.is_ascii_graphic()) {
            return Err(Status::NOT_FOUND);
        }
        let plan = &self.0.settings.dialplan;
        if plan.echo.as_deref() == Some(&*number) {
            return Ok(Target::Service(relay_api::Service::Echo));
        }
        if plan.tone.as_deref() == Some(&*number) {
            return Ok(Target::Service(relay_api::Service::Tone));
        }
        let identity = self.identity(invite, caller);
        let to_users = matches!(caller, Caller::Trunk(_)) || plan.between_users;
        if to_users && self.0.ports.users.secret(&number).is_some() {
            return self.user_target(&number, identity).await;
        }
        match (&plan.trunk, caller) {
            (Some(trunk), Caller::Browser { .. }) => self.trunk_target(trunk, &number, identity),
            // No trunk reaches another one through us, and nobody a number without a trunk.
            _ => Err(Status::NOT_FOUND),
        }
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
            to: format!("sip:{aor}"),
            caller,
            asserted: false,
            headers: Vec::new(),
        })))
    }

    fn trunk_target(&self, name: &str, number: &str, caller: Identity) -> Result<Target, Status> {
        let trunk = self.0.trunks.named(name).ok_or(Status::NOT_FOUND)?;
        let addresses = self.0.trunks.candidates(name, self.0.runtime.now());
        let (first, others) = addresses.split_first().ok_or(Status::SERVICE_UNAVAILABLE)?;
        let host = trunk.hosts.first().ok_or(Status::SERVICE_UNAVAILABLE)?;
        let uri = format!("sip:{}@{host}", escape_user(number));
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
            Caller::Trunk(_) => match Uri::parse(from.uri).ok().and_then(|uri| uri.user_decoded()) {
                Some(number) if number.len() <= MAX_NUMBER => escape_user(&number),
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

fn called_user(invite: &Message) -> Option<String> {
    Uri::parse(invite.uri()?).ok()?.user.map(str::to_string)
}

/// RFC 3261 §25.1: what is not `unreserved` or `user-unreserved` is written `%XX`.
fn escape_user(user: &str) -> String {
    let mut escaped = String::with_capacity(user.len());
    for byte in user.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => escaped.push(byte.into()),
            b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')' => escaped.push(byte.into()),
            b'&' | b'=' | b'+' | b'$' | b',' | b'?' | b'/' => escaped.push(byte.into()),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// A browser sends 100 at once: one that does not is gone without having said so.
const BROWSER_REPLIES_WITHIN: Duration = Duration::from_secs(5);
/// Characters of a number or a display name.
const MAX_NUMBER: usize = 128;
