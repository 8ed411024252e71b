//! Who is this? Digest by RFC 7616 and RFC 8760, the same for known and unknown users.

use std::time::Duration;

use sip_core::auth::server::Realm;
use sip_core::auth::{self, Verdict, server};
use sip_core::message::{Name, Status};

use super::ingress::Request;
use super::redact::Number;
use super::{Node, Runtime};
use crate::ports::store::StoreError;

impl<R: Runtime> Node<R> {
    /// The user who signed this request; `None` after it has been answered.
    pub(super) async fn authenticate(&self, request: &Request) -> Option<String> {
        let Some(authorization) = self.authorization(request) else {
            self.challenge(request, false);
            return None;
        };
        let address = request.source.remote.ip();
        let (now, unix_now) = (self.0.runtime.now(), self.0.runtime.unix_now());
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
        let verdict =
            server::verify(sealer, &self.realm(), &authorization, (method, uri), secret.as_ref(), unix_now);
        match verdict {
            Verdict::Accepted { username, nonce_id, nc, expires_at } => {
                match self.0.ports.store.use_nonce(nonce_id, nc, expires_at).await {
                    Ok(true) => {
                        self.0.failed_logins.succeeded(&username, address, now);
                        return Some(username);
                    }
                    // The same count again: a replay, or a client that lost count.
                    Ok(false) => self.challenge(request, true),
                    Err(StoreError::Conflict | StoreError::Full | StoreError::Unavailable) => {
                        self.refuse(request, Status::SERVICE_UNAVAILABLE);
                    }
                }
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
        let mut salt = [0; 8];
        self.0.runtime.random(&mut salt);
        let (salt, now) = (u64::from_be_bytes(salt), self.0.runtime.unix_now());
        let challenges = server::challenge(&self.0.identity.nonces, &self.realm(), salt, stale, now);
        let response =
            self.answer(&request.message, Status::UNAUTHORIZED).headers(Name::WwwAuthenticate, challenges);
        self.reply_with(request, response);
    }

    /// Nonces are bound to nothing but time: a browser may use one over another connection or node.
    fn realm(&self) -> Realm<'_> {
        Realm {
            name: &self.0.settings.domain,
            algorithms: &self.0.settings.algorithms,
            binding: &[],
            lifetime: self.0.settings.nonce_lifetime,
        }
    }

    fn authorization(&self, request: &Request) -> Option<String> {
        request.message.headers(Name::Authorization).next().map(str::to_string)
    }
}
