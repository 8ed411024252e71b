//! Who is this? Digest by RFC 7616 and RFC 8760, the same for known and unknown users.

use std::time::Duration;

use sip_core::auth::server::Realm;
use sip_core::auth::{self, Verdict, server};
use sip_core::message::{Name, Status};

use super::ingress::Request;
use super::redact::Number;
use super::{Node, Runtime};
use crate::ports::transport::ConnectionId;

impl<R: Runtime> Node<R> {
    /// The user who signed this request; `None` after it has been answered.
    pub(super) fn authenticate(&self, request: &Request) -> Option<String> {
        let Some(authorization) = self.authorization(request) else {
            self.challenge(request, false);
            return None;
        };
        let address = request.source.remote.ip();
        let (now, unix_now) = (self.0.runtime.now(), self.0.runtime.unix_now());
        let Some(connection) = request.source.connection else {
            self.refuse(request, Status::FORBIDDEN);
            return None;
        };
        let Ok(name) = auth::username(&authorization) else {
            self.refuse(request, Status::BAD_REQUEST);
            return None;
        };
        if let Err(wait) = self.0.failed_logins.judge(&name, address, now)
            && !self.is_here(request, &name)
        {
            self.leave_unjudged(request, &name, wait);
            return None;
        }
        let secret = self.0.ports.users.secret(&name);
        let (method, uri) = (request.message.method().as_str(), request.message.uri().unwrap_or_default());
        let sealer = &self.0.identity.nonces;
        let binding = self.binding(connection);
        let realm = self.realm(&binding);
        let verdict =
            server::verify(sealer, &realm, &authorization, (method, uri), secret.as_ref(), unix_now);
        match verdict {
            Verdict::Accepted { username, nonce_id, nc } => {
                if self.0.flows.uses_nonce(connection, nonce_id, nc) {
                    self.0.failed_logins.succeeded(&username, address, now);
                    return Some(username);
                }
                // The same count again, or a nonce that a later one has replaced: a replay, or a client that lost count.
                self.challenge(request, true);
            }
            Verdict::Stale => self.challenge(request, true),
            Verdict::Refused(reason) => {
                self.0.metrics.failed_logins.inc();
                self.0.failed_logins.failed(&name, address, now);
                tracing::info!(user = %Number(&name), %address, ?reason, "login refused");
                self.challenge(request, false);
            }
        }
        None
    }

    /// Has this connection shown already that it is this user's? He guesses nothing.
    fn is_here(&self, request: &Request, name: &str) -> bool {
        let user = request.source.connection.and_then(|connection| self.0.flows.user(connection));
        user.is_some_and(|user| *user == *name)
    }

    /// 503 for as long as its answers are not judged (RFC 3261 §21.5.4). It is no 403, which means that nobody need try again.
    fn leave_unjudged(&self, request: &Request, name: &str, wait: Duration) {
        self.0.metrics.unjudged_logins.inc();
        let address = request.source.remote.ip();
        if let Some(more) = self.0.unjudged_lines.allows(self.0.runtime.now()) {
            tracing::info!(user = %Number(name), %address, more, "too many failed logins: not judged");
        }
        let response = self
            .answer(&request.message, Status::SERVICE_UNAVAILABLE)
            .header(Name::RetryAfter, wait.as_secs() + 1);
        self.reply_with(request, response);
    }

    /// 401 with a challenge for each algorithm, strongest first (RFC 8760 §2.4). We are the user agent server of what
    /// browsers ask, so it is never 407 (RFC 3261 §22.2).
    pub(super) fn challenge(&self, request: &Request, stale: bool) {
        let Some((connection, number)) =
            request.source.connection.and_then(|c| Some((c, self.0.flows.next_challenge(c)?)))
        else {
            return self.refuse(request, Status::FORBIDDEN);
        };
        let mut chance = [0; 4];
        self.0.runtime.random(&mut chance);
        let salt = auth::Salt { number, chance: u32::from_be_bytes(chance) };
        let (binding, now) = (self.binding(connection), self.0.runtime.unix_now());
        let challenges = server::challenge(&self.0.identity.nonces, &self.realm(&binding), salt, stale, now);
        let response =
            self.answer(&request.message, Status::UNAUTHORIZED).headers(Name::WwwAuthenticate, challenges);
        self.reply_with(request, response);
    }

    /// A nonce is good on the connection that it was given on alone: what is known of its uses lives and ends with that.
    fn binding(&self, connection: ConnectionId) -> [u8; 16] {
        (u128::from(self.0.identity.node) << 64 | u128::from(connection.0)).to_be_bytes()
    }

    fn realm<'a>(&'a self, binding: &'a [u8]) -> Realm<'a> {
        Realm {
            name: &self.0.settings.domain,
            algorithms: &self.0.settings.algorithms,
            binding,
            lifetime: self.0.settings.nonce_lifetime,
        }
    }

    fn authorization(&self, request: &Request) -> Option<String> {
        request.message.headers(Name::Authorization).next().map(str::to_string)
    }
}
