//! What one REGISTER does to the bindings: RFC 3261 §10.3, steps 6 to 8, and RFC 5626 §6.

use crate::message::{Contact, Contacts, Message, Name, Status, Uri};
use crate::routing::FlowId;
use crate::time::UnixMillis;

use super::binding::{Binding, Bindings};

/// How long registrations last and how many there may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Seconds; less is refused with 423. Never taken for more than `max_expires`, or an hour (RFC 3261 §10.3).
    pub min_expires: u32,
    /// Seconds; more is shortened.
    pub max_expires: u32,
    /// Seconds, for a contact that does not say.
    pub default_expires: u32,
    /// Contacts of one address-of-record; more are refused.
    pub max_bindings: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self { min_expires: 60, max_expires: 3_600, default_expires: 600, max_bindings: 10 }
    }
}

/// What the 200 must say, and what the change means for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Contact values: all current bindings with their remaining time.
    pub contacts: Vec<String>,
    /// RFC 5626 was applied: the 200 carries `Require: outbound` (RFC 5626 §6).
    pub outbound: bool,
    /// Flows whose binding now has another flow: the same instance came back over a new connection.
    pub replaced_flows: Vec<FlowId>,
}

/// Why a REGISTER changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// A Contact that is malformed, too long, or cannot be a Request-URI; or a Call-ID that is too long to be kept with it.
    #[error("a malformed Contact")]
    BadContact,
    /// `*` without `Expires: 0` (RFC 3261 §10.3 step 6), or several contacts with reg-id (RFC 5626 §6).
    #[error("contacts that do not go together")]
    BadCombination,
    /// A Contact that is neither SIP nor SIPS.
    #[error("a Contact of a scheme that is not served")]
    Scheme,
    /// Shorter than the policy allows.
    #[error("registration too brief, at least {min_expires} s")]
    TooBrief {
        /// Seconds, for Min-Expires.
        min_expires: u32,
    },
    /// Not later than what made the binding (RFC 3261 §10.3 step 7).
    #[error("CSeq out of order")]
    OutOfOrder,
    /// The policy's number of contacts is reached.
    #[error("too many contacts")]
    TooMany,
}

impl RegisterError {
    /// The status of the response.
    pub fn status(&self) -> Status {
        match self {
            Self::BadContact | Self::BadCombination => Status::BAD_REQUEST,
            Self::Scheme => Status::FORBIDDEN,
            Self::TooBrief { .. } => Status::INTERVAL_TOO_BRIEF,
            Self::OutOfOrder => Status::SERVER_INTERNAL_ERROR,
            Self::TooMany => Status::SERVICE_UNAVAILABLE,
        }
    }

    /// For the Min-Expires header of a 423.
    pub fn min_expires(&self) -> Option<u32> {
        match self {
            Self::TooBrief { min_expires } => Some(*min_expires),
            Self::BadContact | Self::BadCombination | Self::Scheme | Self::OutOfOrder | Self::TooMany => None,
        }
    }
}

/// Carries out one REGISTER that was authenticated and concerns the address-of-record of these bindings. Without
/// Contact it only asks. All its contacts are taken or none: on an error the bindings are as they were, but for what
/// has expired.
///
/// # Errors
/// [`RegisterError`], with the response it wants.
pub fn register(
    bindings: &mut Bindings,
    request: &Message,
    flow: Option<FlowId>,
    policy: &Policy,
    now: UnixMillis,
) -> Result<Registered, RegisterError> {
    bindings.purge(now);
    let update = Update { request, flow, policy, now };
    let (after, outbound) = match request.contacts().map_err(|_| RegisterError::BadContact)? {
        Contacts::Star => (update.remove_all(bindings)?, false),
        Contacts::List(contacts) => update.apply(bindings, &contacts)?,
    };
    let replaced_flows = replaced_flows(bindings, &after);
    *bindings = after;
    let contacts = bindings.active(now).map(|binding| binding.contact_value(now)).collect();
    Ok(Registered { contacts, outbound, replaced_flows })
}

/// One REGISTER and the circumstances it is judged in.
struct Update<'a> {
    request: &'a Message,
    flow: Option<FlowId>,
    policy: &'a Policy,
    now: UnixMillis,
}

impl Update<'_> {
    /// RFC 3261 §10.3 step 6.
    fn remove_all(&self, bindings: &Bindings) -> Result<Bindings, RegisterError> {
        if self.request.header(Name::Expires).map(str::trim) != Some("0") {
            return Err(RegisterError::BadCombination);
        }
        bindings.0.iter().try_for_each(|binding| self.check_order(binding))?;
        Ok(Bindings::default())
    }

    /// RFC 3261 §10.3 step 7, on a copy.
    fn apply(&self, before: &Bindings, contacts: &[Contact<'_>]) -> Result<(Bindings, bool), RegisterError> {
        if contacts.len() > 1 && contacts.iter().any(|contact| contact.reg_id.is_some()) {
            return Err(RegisterError::BadCombination);
        }
        if self.request.call_id().len() > LONGEST_CALL_ID {
            return Err(RegisterError::BadContact);
        }
        let mut after = before.clone();
        for contact in contacts {
            let key = Key::of(contact)?;
            before.0.iter().filter(|known| key.is_of(known)).try_for_each(|known| self.check_order(known))?;
            let lifetime = self.lifetime(contact)?;
            let at = after.0.iter().position(|known| key.is_of(known));
            match (at, lifetime) {
                (Some(at), 0) => drop(after.0.remove(at)),
                (None, 0) => {}
                (Some(at), lifetime) => after.0[at] = self.binding(&key, contact, lifetime),
                (None, lifetime) => after.0.push(self.binding(&key, contact, lifetime)),
            }
        }
        if after.0.len() > self.policy.max_bindings.max(before.0.len()) {
            return Err(RegisterError::TooMany);
        }
        let outbound = contacts.iter().any(|contact| contact.reg_id.is_some() && contact.instance.is_some());
        Ok((after, outbound && self.request.supported().any(|tag| tag.eq_ignore_ascii_case("outbound"))))
    }

    /// The same Call-ID must come with a higher CSeq. Another Call-ID is another registration of the same contact, after
    /// a restart of the phone.
    fn check_order(&self, binding: &Binding) -> Result<(), RegisterError> {
        let same_call = binding.call_id == self.request.call_id();
        match same_call && self.request.cseq().0 <= binding.cseq {
            true => Err(RegisterError::OutOfOrder),
            false => Ok(()),
        }
    }

    /// Seconds: of the contact, else of the request, else of the policy; 0 removes.
    fn lifetime(&self, contact: &Contact<'_>) -> Result<u32, RegisterError> {
        let Policy { min_expires, max_expires, default_expires, .. } = *self.policy;
        let min_expires = min_expires.min(max_expires).min(AN_HOUR);
        match contact.expires.or(self.request.expires()).unwrap_or(default_expires) {
            0 => Ok(0),
            wanted if wanted < min_expires => Err(RegisterError::TooBrief { min_expires }),
            wanted => Ok(wanted.min(max_expires)),
        }
    }

    fn binding(&self, key: &Key<'_>, contact: &Contact<'_>, seconds: u32) -> Binding {
        Binding {
            contact: contact.uri.to_owned(),
            instance: key.instance.map(str::to_owned),
            reg_id: key.reg_id,
            call_id: self.request.call_id().to_owned(),
            cseq: self.request.cseq().0,
            expires_at: self.now.plus(std::time::Duration::from_secs(seconds.into())),
            q: contact.q,
            flow: self.flow,
            user_agent: self.request.header(Name::UserAgent).map(shortened),
        }
    }
}

/// What makes two contacts the same.
struct Key<'a> {
    uri: Uri<'a>,
    instance: Option<&'a str>,
    reg_id: Option<u32>,
}

impl<'a> Key<'a> {
    fn of(contact: &Contact<'a>) -> Result<Self, RegisterError> {
        let uri = Uri::parse(contact.uri).map_err(|_| RegisterError::BadContact)?;
        if !uri.is_sip() {
            return Err(RegisterError::Scheme);
        }
        let fits = contact.uri.len() <= LONGEST_URI && contact.instance.is_none_or(is_instance);
        // RFC 3261 §19.1.1: a Request-URI has no headers.
        if !fits || uri.headers.is_some() {
            return Err(RegisterError::BadContact);
        }
        // RFC 5626 §6: a reg-id says something about an instance.
        let reg_id = contact.reg_id.filter(|_| contact.instance.is_some());
        Ok(Self { uri, instance: contact.instance, reg_id })
    }

    /// RFC 5626 §6: with instance and reg-id these two decide, whatever the URI; else RFC 3261 §19.1.4 does.
    fn is_of(&self, binding: &Binding) -> bool {
        match self.reg_id {
            Some(_) => self.reg_id == binding.reg_id && self.instance == binding.instance.as_deref(),
            None => {
                binding.reg_id.is_none()
                    && Uri::parse(&binding.contact).is_ok_and(|known| known.equivalent(&self.uri))
            }
        }
    }
}

/// Flows before, of contacts that still are but over another flow.
fn replaced_flows(before: &Bindings, after: &Bindings) -> Vec<FlowId> {
    let still_used = |flow: FlowId| after.0.iter().any(|binding| binding.flow == Some(flow));
    let same = |a: &Binding, b: &Binding| match a.reg_id {
        Some(_) => a.reg_id == b.reg_id && a.instance == b.instance,
        None => a.contact == b.contact,
    };
    let mut replaced: Vec<FlowId> = before
        .0
        .iter()
        .filter(|old| after.0.iter().any(|new| same(old, new)))
        .filter_map(|old| old.flow)
        .filter(|flow| !still_used(*flow))
        .collect();
    replaced.dedup();
    replaced
}

/// It is printed again between quotes.
fn is_instance(text: &str) -> bool {
    (1..=LONGEST_INSTANCE).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'))
}

fn shortened(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(LONGEST_USER_AGENT).collect()
}

/// RFC 3261 §10.3: only what is asked for less than an hour may be refused as too brief.
const AN_HOUR: u32 = 3_600;
/// Bytes of a Contact URI that is stored.
const LONGEST_URI: usize = 512;
/// Bytes of an instance that is stored.
const LONGEST_INSTANCE: usize = 128;
/// Bytes of a Call-ID that is stored.
const LONGEST_CALL_ID: usize = 512;
/// Characters of a User-Agent that are stored.
const LONGEST_USER_AGENT: usize = 80;
