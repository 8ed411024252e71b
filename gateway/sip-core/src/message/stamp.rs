//! What a server adds to the topmost Via of a request it received (RFC 3261 §18.2.1, RFC 3581 §4).
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::IpAddr;

use super::index::TopVia;
use super::{Message, Via};

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
        let (text, old) = (self.text(), self.index().via.value);
        let (Ok(start), Ok(end)) = (usize::try_from(old.start), usize::try_from(old.end)) else {
            return self.clone();
        };
        let (before, behind) = (text.get(..start).unwrap_or_default(), text.get(end..).unwrap_or_default());
        let mut raw = Vec::with_capacity(text.len().saturating_add(LONGEST_STAMP));
        raw.extend_from_slice(before);
        put_via(&mut raw, &via);
        if asked || !honest {
            put(&mut raw, &[b";received=", received.to_string().as_bytes()]);
        }
        if asked {
            put(&mut raw, &[b";rport=", rport.to_string().as_bytes()]);
        }
        let grown = raw.len();
        raw.extend_from_slice(behind);
        let length = |octets: usize| i32::try_from(octets).unwrap_or(i32::MAX);
        let by = length(grown).saturating_sub(length(end));
        let raw = bytes::Bytes::from(raw);
        match TopVia::read(&raw, raw.get(start..grown).unwrap_or_default()) {
            Some(via) => Self::new(raw, None, self.index().with_via(via, by)),
            None => self.clone(),
        }
    }
}

/// All of the value but what the stamp says.
fn put_via(raw: &mut Vec<u8>, via: &Via<'_>) {
    put(raw, &[b"SIP/2.0/", via.transport.as_bytes(), b" ", via.sent_by.as_bytes()]);
    let kept = |name: &str| !name.eq_ignore_ascii_case("received") && !name.eq_ignore_ascii_case("rport");
    for (name, value) in via.params.iter().filter(|(name, _)| kept(name)) {
        put(raw, &[b";", name.as_bytes()]);
        if let Some(value) = value {
            put(raw, &[b"=", value.as_bytes()]);
        }
    }
}

fn put(raw: &mut Vec<u8>, pieces: &[&[u8]]) {
    for piece in pieces {
        raw.extend_from_slice(piece);
    }
}

/// `;received=` with the longest IPv6 address, `;rport=` with the longest port, and blanks that are normalised.
const LONGEST_STAMP: usize = 80;
