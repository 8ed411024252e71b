//! What a server adds to the topmost Via of a request it received (RFC 3261 §18.2.1, RFC 3581 §4).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::fmt::Write;
use std::net::IpAddr;

use super::Message;
use super::index::TopVia;

impl Message {
    /// The same message with the sender's address in its topmost Via: `received` where the sent-by names another
    /// host or `rport` is asked for, and the value of `rport` if it is. What the sender claimed there is replaced.
    #[must_use]
    pub fn with_top_via_stamped(&self, received: IpAddr, rport: u16) -> Self {
        let via = self.via();
        let received = received.to_canonical();
        let asked = via.rport.is_some();
        let honest = via.host_ip().map(|ip| ip.to_canonical()) == Some(received);
        if honest && !asked && via.received.is_none() {
            return self.clone();
        }
        let mut value = String::with_capacity(128);
        let mut stamp = write!(value, "SIP/2.0/{} {}", via.transport, via.sent_by);
        let kept = |name: &str| !name.eq_ignore_ascii_case("received") && !name.eq_ignore_ascii_case("rport");
        for (name, content) in via.params.iter().filter(|(name, _)| kept(name)) {
            stamp = stamp.and_then(|()| match content {
                Some(content) => write!(value, ";{name}={content}"),
                None => write!(value, ";{name}"),
            });
        }
        if asked || !honest {
            stamp = stamp.and_then(|()| write!(value, ";received={received}"));
        }
        if asked {
            stamp = stamp.and_then(|()| write!(value, ";rport={rport}"));
        }
        match stamp {
            Ok(()) => self.with_top_via(value.as_bytes()),
            Err(std::fmt::Error) => self.clone(),
        }
    }

    fn with_top_via(&self, value: &[u8]) -> Self {
        let (text, old) = (self.text(), self.index().via.value);
        let (Ok(start), Ok(end)) = (usize::try_from(old.start), usize::try_from(old.end)) else {
            return self.clone();
        };
        let (before, behind) = (text.get(..start).unwrap_or_default(), text.get(end..).unwrap_or_default());
        let raw = bytes::Bytes::from([before, value, behind].concat());
        let placed = raw.get(start..start.saturating_add(value.len())).unwrap_or_default();
        let length = |octets: usize| i32::try_from(octets).unwrap_or(i32::MAX);
        let by = length(value.len()).saturating_sub(length(end.saturating_sub(start)));
        match TopVia::read(&raw, placed) {
            Some(via) => Self::new(raw.clone(), raw.clone(), self.index().with_via(via, by)),
            None => self.clone(),
        }
    }
}
