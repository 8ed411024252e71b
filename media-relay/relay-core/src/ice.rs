//! An ICE-lite agent for one browser: RFC 8445 §2.5 and §7.3, RFC 8863, consent RFC 7675.
//!
//! It never sends checks. A check that authenticates makes its source a *valid* path; the one that the browser
//! nominates is the *selected* path. What does not authenticate gets no answer at all, nor does a check that somebody
//! overheard and sends from elsewhere; one that is repeated from a valid path is answered and changes nothing.

mod seen;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::engine::SocketId;
use crate::random::Random;
use crate::stun::{self, MESSAGE_SIZE, Refusal};
use seen::Seen;

/// One way to a browser: our socket and its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    pub(crate) socket: SocketId,
    pub(crate) remote: SocketAddr,
}

/// What the peer's SDP told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) ufrag: String,
    pub(crate) password: String,
}

/// Our half of the credentials.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    pub(crate) ufrag: String,
    pub(crate) password: String,
    key: stun::Key,
}

pub(crate) struct Agent {
    current: Generation,
    /// Valid until the first check of the current generation: RFC 8445 §9, media goes on during a restart.
    previous: Option<Generation>,
    paths: Vec<ValidPath>,
    selected: Option<Path>,
    seen: Seen,
    budget: Budget,
}

struct Generation {
    local: Local,
    remote: Option<Remote>,
}

struct ValidPath {
    path: Path,
    checked: Instant,
}

/// What a check led to.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    /// Bytes of the answer, 0 for silence.
    pub(crate) answer: usize,
    /// The path is valid now.
    pub(crate) valid: bool,
    /// Paths that are valid no more.
    pub(crate) forgotten: Vec<Path>,
    /// A ufrag of ours that is in use no more.
    pub(crate) retired: Option<String>,
}

impl Agent {
    pub(crate) fn new(local: Local, remote: Option<Remote>, now: Instant) -> Self {
        Self {
            current: Generation { local, remote },
            previous: None,
            paths: Vec::new(),
            selected: None,
            seen: Seen::default(),
            budget: Budget::full(now),
        }
    }

    pub(crate) fn local(&self) -> &Local {
        &self.current.local
    }

    /// Where to send, once a check was authentic.
    pub(crate) fn selected(&self) -> Option<Path> {
        self.selected
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = Path> {
        self.paths.iter().map(|valid| valid.path)
    }

    /// Every ufrag of ours that a check may name.
    pub(crate) fn ufrags(&self) -> impl Iterator<Item = &str> {
        [Some(&self.current), self.previous.as_ref()]
            .into_iter()
            .flatten()
            .map(|generation| generation.local.ufrag.as_str())
    }

    /// When the last path's consent ends (RFC 7675 §5.1); `None` while there is no path.
    pub(crate) fn consent_ends(&self) -> Option<Instant> {
        self.paths.iter().map(|valid| valid.checked + CONSENT).max()
    }

    /// Will `remote` be a restart (RFC 8445 §9), so that new credentials of ours are needed?
    pub(crate) fn restarts_with(&self, remote: &Remote) -> bool {
        self.current.remote.as_ref().is_some_and(|current| current != remote)
    }

    /// The peer's half becomes known.
    pub(crate) fn set_remote(&mut self, remote: Remote) {
        self.current.remote = Some(remote);
    }

    /// RFC 8445 §9: both halves change, the old paths carry the sound until the new ones are checked. The result is a
    /// ufrag that was waiting to be retired and is so now.
    pub(crate) fn restart(&mut self, local: Local, remote: Remote) -> Option<String> {
        let old = std::mem::replace(&mut self.current, Generation { local, remote: Some(remote) });
        self.previous.replace(old).map(|older| older.local.ufrag)
    }

    /// The path belongs to somebody else now.
    pub(crate) fn forget(&mut self, path: &Path) {
        self.paths.retain(|valid| valid.path != *path);
        if self.selected == Some(*path) {
            self.selected = self.paths.last().map(|valid| valid.path);
        }
    }

    /// Judges one Binding request: RFC 8445 §7.3.
    pub(crate) fn check(
        &mut self,
        request: &stun::Request<'_>,
        path: Path,
        now: Instant,
        out: &mut [u8; MESSAGE_SIZE],
    ) -> Checked {
        let is_current = self.current.authenticates(request);
        let generation = match &self.previous {
            _ if is_current => &self.current,
            Some(previous) if previous.authenticates(request) => previous,
            Some(_) | None => return Checked::default(),
        };
        // RFC 8489 §6.2.1: a browser repeats a request from the same address, and has another id for each path.
        let is_repeated = self.seen.contains(&request.transaction);
        let is_overheard = is_repeated && !self.is_valid(&path);
        if is_overheard || !self.budget.take(now) {
            return Checked::default();
        }
        let key = &generation.local.key;
        if let Some(refusal) = refusal(request) {
            return Checked { answer: request.refuse(refusal, key, out), ..Checked::default() };
        }
        let answer = request.accept(path.remote, key, out);
        if is_repeated {
            // Addresses can be forged: it is no sign of the browser's life, nor its choice of a path.
            return Checked { answer, ..Checked::default() };
        }
        let mut checked = Checked { answer, valid: true, ..Checked::default() };
        if is_current && let Some(previous) = self.previous.take() {
            checked.retired = Some(previous.local.ufrag);
            checked.forgotten = self.forget_all_but(path);
            self.seen.clear();
        }
        self.seen.insert(&request.transaction);
        checked.forgotten.extend(self.validate(path, now));
        if request.use_candidate || self.selected.is_none_or(|selected| self.is_stale(&selected, now)) {
            self.selected = Some(path);
        }
        checked
    }

    fn is_valid(&self, path: &Path) -> bool {
        self.paths.iter().any(|valid| valid.path == *path)
    }

    /// Marks a path as checked, in place of the one checked longest ago when there are too many.
    fn validate(&mut self, path: Path, now: Instant) -> Option<Path> {
        if let Some(known) = self.paths.iter_mut().find(|valid| valid.path == path) {
            known.checked = now;
            return None;
        }
        let selected = self.selected;
        let oldest = (self.paths.len() >= MAX_PATHS)
            .then(|| {
                let others = self.paths.iter().enumerate().filter(|(_, valid)| Some(valid.path) != selected);
                others.min_by_key(|(_, valid)| valid.checked).map(|(at, _)| at)
            })
            .flatten();
        let forgotten = oldest.map(|at| self.paths.swap_remove(at).path);
        self.paths.push(ValidPath { path, checked: now });
        forgotten
    }

    fn forget_all_but(&mut self, path: Path) -> Vec<Path> {
        let (kept, gone) = std::mem::take(&mut self.paths).into_iter().partition(|valid| valid.path == path);
        self.paths = kept;
        self.selected = self.selected.filter(|selected| *selected == path);
        gone.into_iter().map(|valid: ValidPath| valid.path).collect()
    }

    /// A browser that moved checks its new path and no longer the old one.
    fn is_stale(&self, path: &Path, now: Instant) -> bool {
        let checked = self.paths.iter().find(|valid| valid.path == *path).map(|valid| valid.checked);
        checked.is_none_or(|checked| now.saturating_duration_since(checked) > STALE)
    }
}

impl Generation {
    /// RFC 8445 §7.2.2: the username is `our ufrag:their ufrag`, the key is our password.
    fn authenticates(&self, request: &stun::Request<'_>) -> bool {
        let Some(remote) = &self.remote else { return false };
        let named = request.username.strip_prefix(self.local.ufrag.as_bytes());
        named.and_then(|rest| rest.strip_prefix(b":")) == Some(remote.ufrag.as_bytes())
            && request.is_authentic(&self.local.key)
    }
}

impl Local {
    /// RFC 8445 §5.3 asks for 24 bits of ufrag and 128 bits of password at least.
    pub(crate) fn random(random: &mut Random) -> Self {
        let (ufrag, password) = (random.text(UFRAG_LENGTH), random.text(PASSWORD_LENGTH));
        let key = stun::Key::new(&password);
        Self { ufrag, password, key }
    }
}

/// The local ufrag that a check names.
pub(crate) fn local_ufrag<'a>(request: &stun::Request<'a>) -> Option<&'a str> {
    let colon = request.username.iter().position(|byte| *byte == b':')?;
    std::str::from_utf8(request.username.get(..colon)?).ok()
}

fn refusal(request: &stun::Request<'_>) -> Option<Refusal> {
    match request.unknown_attribute {
        Some(kind) => Some(Refusal::UnknownAttribute(kind)),
        // RFC 8445 §6.1.1: a lite agent is the controlled one, always.
        None => request.controlled.then_some(Refusal::RoleConflict),
    }
}

/// Checks that are answered: a bucket, so that a peer's flood costs us no more than reading it.
struct Budget {
    tokens: u32,
    filled: Instant,
}

impl Budget {
    fn full(now: Instant) -> Self {
        Self { tokens: BURST, filled: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        let earned = (now.saturating_duration_since(self.filled).as_millis() / PER_TOKEN.as_millis()) as u32;
        if earned > 0 {
            self.tokens = self.tokens.saturating_add(earned).min(BURST);
            self.filled = now;
        }
        let allowed = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        allowed
    }
}

const UFRAG_LENGTH: usize = 8;
const PASSWORD_LENGTH: usize = 24;

/// RFC 7675 §5.1.
pub(crate) const CONSENT: Duration = Duration::from_secs(30);

/// Browsers check a path they use every 2.5–6 s; one that was left alone for longer gives way to one that is checked.
const STALE: Duration = Duration::from_secs(8);

/// Interfaces of a browser times our addresses; the one checked longest ago makes room.
const MAX_PATHS: usize = 8;

/// Browsers pace checks by 20–50 ms and repeat them.
const BURST: u32 = 100;
const PER_TOKEN: Duration = Duration::from_millis(20);
