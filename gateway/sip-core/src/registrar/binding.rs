//! One contact of an address-of-record, and all of them.

use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

use crate::routing::FlowId;
use crate::time::UnixMillis;

/// One contact of an address-of-record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The Contact URI, byte for byte: the Request-URI of what we send there, and no route.
    pub contact: String,
    /// `+sip.instance`, angle brackets included (RFC 5626 §4.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Which of the instance's flows this is (RFC 5626 §4.2); never without an instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reg_id: Option<u32>,
    /// Call-ID of the REGISTER that made it.
    pub call_id: String,
    /// CSeq of the REGISTER that made it.
    pub cseq: u32,
    /// From then on it does not exist.
    pub expires_at: UnixMillis,
    /// Preference in thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<u16>,
    /// Where its user is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<FlowId>,
    /// User-Agent, shortened; for people to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

impl Binding {
    /// Is this what a 200 shows at this time as Contact value (RFC 3261 §10.3 step 8).
    pub(super) fn contact_value(&self, now: UnixMillis) -> String {
        let mut value = format!("<{}>", self.contact);
        if let Some(q) = self.q {
            value += &format!(";q={}", Thousandths(q));
        }
        if let Some(instance) = &self.instance {
            value += &format!(";+sip.instance=\"{instance}\"");
        }
        if let Some(reg_id) = self.reg_id {
            value += &format!(";reg-id={reg_id}");
        }
        value += &format!(";expires={}", self.expires_at.seconds_after(now));
        value
    }
}

/// All contacts of one address-of-record, oldest first; the value that the store keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bindings(pub(super) Vec<Binding>);

impl Bindings {
    /// Those that have not expired.
    pub fn active(&self, now: UnixMillis) -> impl Iterator<Item = &Binding> {
        self.0.iter().filter(move |binding| binding.expires_at > now)
    }

    /// When the last of them expires; `None` without any.
    pub fn latest_expiry(&self) -> Option<UnixMillis> {
        self.0.iter().map(|binding| binding.expires_at).max()
    }

    /// Forgets those that have expired.
    pub fn purge(&mut self, now: UnixMillis) {
        self.0.retain(|binding| binding.expires_at > now);
    }

    /// Forgets what is reached over this flow; true if there was any.
    pub fn remove_flow(&mut self, flow: FlowId) -> bool {
        let before = self.0.len();
        self.0.retain(|binding| binding.flow != Some(flow));
        self.0.len() < before
    }
}

/// RFC 3261 §25.1, `qvalue`.
struct Thousandths(u16);

impl Display for Thousandths {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            1_000.. => f.write_str("1"),
            0 => f.write_str("0"),
            fraction => f.write_str(format!("0.{fraction:03}").trim_end_matches('0')),
        }
    }
}
