//! REGISTER: a browser tells where its user is reached (RFC 3261 §10.3, RFC 5626 §6).

use sip_core::call::ALLOW;
use sip_core::message::{Contact, Name, Status, Uri};
use sip_core::registrar::{self, Aor, Bindings, RegisterError, Registered};
use sip_core::routing::FlowId;
use sip_core::time::UnixMillis;
use tracing::field::debug;

use super::ingress::Request;
use super::redact::{Number, Peers};
use super::turn::ICE_SERVER;
use super::{Node, Runtime};
use crate::ports::store::StoreError;
use crate::ports::transport::{CloseReason, ConnectionId, Edge, Source};

impl<R: Runtime> Node<R> {
    pub(super) async fn register(&self, request: Request) {
        let (Edge::Browser, Some(connection)) = (request.source.edge, request.source.connection) else {
            // Trunks register nobody.
            return self.refuse(&request, Status::METHOD_NOT_ALLOWED);
        };
        let Some(user) = self.authenticate(&request) else { return };
        let aor = Aor::new(&user, &self.0.settings.domain);
        if !self.is_own(&request, &aor) {
            return self.refuse(&request, Status::FORBIDDEN);
        }
        match self.update_bindings(&request, &aor, connection).await {
            Ok((registered, kept)) => {
                self.0.flows.authenticated(connection, &user);
                self.note_registration(&request, &user, &registered, kept.as_ref());
                self.0.ports.transport.authenticated(connection);
                self.0.metrics.registrations.inc();
                self.accept(&request, &user, &registered);
                for flow in &registered.replaced_flows {
                    self.0.flows.registered(ConnectionId(flow.connection), None);
                }
                for before in self.left_by_page(&request, &user, connection, &registered) {
                    self.browser_returned(before, connection).await;
                }
            }
            Err(Refusal::Register(error)) => self.refuse_registration(&request, &error),
            Err(Refusal::Store) => self.refuse(&request, Status::SERVICE_UNAVAILABLE),
        }
    }

    /// The connections from which calls follow the page that has registered.
    fn left_by_page(
        &self,
        request: &Request,
        user: &str,
        connection: ConnectionId,
        registered: &Registered,
    ) -> Vec<ConnectionId> {
        let Ok(contacts) = request.message.contacts() else { return Vec::new() };
        let stays = |contact: &&Contact<'_>| contact.expires.or(request.message.expires()) != Some(0);
        let Some(contact) = contacts.first().filter(stays) else { return Vec::new() };
        let ours = registered.replaced_flows.iter().filter(|flow| flow.node == self.0.identity.node);
        let replaced: Vec<_> = ours.map(|flow| ConnectionId(flow.connection)).collect();
        let page = self.0.flows.page(contact.uri, request.message.call_id());
        self.0.flows.came(connection, user, page, &replaced)
    }

    /// A user registers only himself: To is compared after normalisation, numbers as numbers.
    fn is_own(&self, request: &Request, aor: &Aor) -> bool {
        Uri::parse(request.message.to().uri).is_ok_and(|to| Aor::named_by(&to).any(|named| named == *aor))
    }

    async fn update_bindings(
        &self,
        request: &Request,
        aor: &Aor,
        connection: ConnectionId,
    ) -> Result<(Registered, Option<Kept>), Refusal> {
        let flow = Some(self.flow_id(connection));
        for _ in 0..MOST_CONFLICTS {
            let found = self.0.ports.store.bindings(aor).await.map_err(|_| Refusal::Store)?;
            let version = found.as_ref().map(|found| found.version);
            let mut bindings = found.map_or_else(Bindings::default, |found| found.value);
            let now = self.0.runtime.unix_now();
            self.make_room(&mut bindings, now);
            let registered =
                registrar::register(&mut bindings, &request.message, flow, &self.0.settings.registrar, now)
                    .map_err(Refusal::Register)?;
            let kept = Kept::of(&bindings, flow, now);
            let expires = bindings.latest_expiry().unwrap_or(now);
            match self.0.ports.store.put_bindings(aor, bindings, version, expires).await {
                Ok(_) => return Ok((registered, kept)),
                Err(StoreError::Conflict) => self.0.metrics.conflicts.inc(),
                Err(StoreError::Full | StoreError::Unavailable) => return Err(Refusal::Store),
            }
        }
        Err(Refusal::Store)
    }

    /// A browser may come back to its binding until it expires (RFC 5626 §4.4), unless others need the place.
    fn make_room(&self, bindings: &mut Bindings, now: UnixMillis) {
        if bindings.active(now).count() < self.0.settings.registrar.max_bindings {
            return;
        }
        let flows = bindings.active(now).filter_map(|binding| binding.flow);
        let ours = flows.filter(|flow| flow.node == self.0.identity.node);
        let gone: Vec<_> = ours.filter(|flow| !self.0.flows.is_open(ConnectionId(flow.connection))).collect();
        for flow in gone {
            bindings.remove_flow(flow);
        }
    }

    fn accept(&self, request: &Request, user: &str, registered: &Registered) {
        let response = self
            .answer(&request.message, Status::OK)
            .headers(Name::Contact, registered.contacts.iter())
            .header(Name::Allow, ALLOW);
        let response = match registered.outbound {
            // RFC 5626 §6: the flow is kept.
            true => response.header(Name::Require, "outbound"),
            false => response,
        };
        let turn = self.0.settings.turn.as_ref().filter(|_| !registered.contacts.is_empty());
        let response = match turn {
            Some(turn) => response.header(ICE_SERVER, turn.ice_server(user, self.0.runtime.unix_now())),
            None => response,
        };
        self.reply_with(request, response);
    }

    /// One line for a registration that is new or gone; a refresh is of no interest.
    fn note_registration(&self, request: &Request, user: &str, registered: &Registered, kept: Option<&Kept>) {
        let Some(connection) = request.source.connection else { return };
        let was = self.0.flows.registered(connection, kept.map(|kept| kept.expires_at));
        let (user, address) = (Number(user), request.source.remote);
        let contacts = registered.contacts.len();
        match (was, kept) {
            (None, Some(Kept { seconds, user_agent, .. })) => {
                let user_agent = user_agent.as_deref().map(|text| debug(Peers(text)));
                tracing::info!(%user, %address, contacts, expires_s = seconds, user_agent, "registered");
            }
            (Some(_), Some(Kept { seconds, .. })) => {
                tracing::debug!(%user, %address, contacts, expires_s = seconds, "registration refreshed");
            }
            (Some(_), None) => tracing::info!(%user, %address, contacts, "registration removed"),
            (None, None) => tracing::debug!(%user, %address, contacts, "asked for registrations"),
        }
    }

    /// A registration ends with its connection: its user is reached over that alone.
    pub(super) fn note_lost_registration(&self, source: &Source, connection: ConnectionId, why: CloseReason) {
        if let Some((user, _)) = self.0.flows.registration(connection) {
            let (user, address) = (Number(&user), source.remote);
            tracing::info!(%user, %address, why = why.as_str(), "registration lost with its connection");
        }
    }

    pub(super) fn tell_expired_registrations(&self) {
        for user in self.0.flows.expired(self.0.runtime.unix_now()) {
            tracing::info!(user = %Number(&user), "registration expired");
        }
    }

    fn refuse_registration(&self, request: &Request, error: &RegisterError) {
        let response = self.answer(&request.message, error.status());
        let response = match error.min_expires() {
            Some(seconds) => response.header(Name::MinExpires, seconds),
            None => response,
        };
        self.reply_with(request, response);
    }
}

/// What is registered over a connection.
struct Kept {
    expires_at: UnixMillis,
    seconds: u32,
    user_agent: Option<String>,
}

impl Kept {
    fn of(bindings: &Bindings, flow: Option<FlowId>, now: UnixMillis) -> Option<Self> {
        let of_flow = bindings.active(now).filter(|binding| binding.flow == flow);
        let last = of_flow.max_by_key(|binding| binding.expires_at)?;
        Some(Self {
            expires_at: last.expires_at,
            seconds: last.expires_at.seconds_after(now),
            user_agent: last.user_agent.clone(),
        })
    }
}

enum Refusal {
    Register(RegisterError),
    Store,
}

/// A registration that loses this many races in a row is refused with 503.
const MOST_CONFLICTS: usize = 16;
