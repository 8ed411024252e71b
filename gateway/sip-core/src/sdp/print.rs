//! [`Description`] to SDP text, lines in the order of RFC 8866 §5.

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, SocketAddr};

use relay_api::Direction;

use super::description::{Address, Description, Media, Payload, Rtcp, Transport};

impl Display for Description<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let origin = &self.origin;
        write!(f, "v=0\r\no=- {} {} {}\r\ns=-\r\n", origin.id, origin.version, origin.address)?;
        if let Some(address) = &self.connection {
            write!(f, "c={address}\r\n")?;
        }
        f.write_str("t=0 0\r\n")?;
        if !self.bundle.is_empty() {
            f.write_str("a=group:BUNDLE")?;
            self.bundle.iter().try_for_each(|mid| write!(f, " {mid}"))?;
            f.write_str("\r\n")?;
        }
        if self.ice_lite {
            f.write_str("a=ice-lite\r\n")?;
        }
        direction(f, self.direction)?;
        self.transport.fmt(f)?;
        self.media.iter().try_for_each(|media| media.fmt(f))
    }
}

impl Display for Media<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.media_line(f)?;
        if let Some(address) = &self.connection {
            write!(f, "c={address}\r\n")?;
        }
        if let Some(mid) = self.mid {
            write!(f, "a=mid:{mid}\r\n")?;
        }
        flag(f, self.bundle_only, "bundle-only")?;
        self.formats.iter().try_for_each(|payload| payload.fmt(f))?;
        if let Some(ptime) = self.ptime {
            write!(f, "a=ptime:{ptime}\r\n")?;
        }
        direction(f, self.direction)?;
        if let Some(msid) = self.msid {
            write!(f, "a=msid:{msid}\r\n")?;
        }
        if let Some(rtcp) = &self.rtcp {
            write!(f, "a=rtcp:{rtcp}\r\n")?;
        }
        flag(f, self.rtcp_mux, "rtcp-mux")?;
        self.transport.fmt(f)?;
        for (rank, address) in (0..).zip(&self.candidates) {
            host_candidate(f, rank, address)?;
        }
        flag(f, self.end_of_candidates, "end-of-candidates")
    }
}

impl Media<'_> {
    fn media_line(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "m={} {} {}", self.kind, self.port, self.protocol)?;
        if self.formats.is_empty() {
            write!(f, " {}", self.first_format)?;
        }
        self.formats.iter().try_for_each(|payload| write!(f, " {}", payload.payload_type))?;
        f.write_str("\r\n")
    }
}

impl Display for Payload<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { payload_type, name, clock_rate, channels, fmtp } = self;
        write!(f, "a=rtpmap:{payload_type} {name}/{clock_rate}")?;
        if *channels != 1 {
            write!(f, "/{channels}")?;
        }
        f.write_str("\r\n")?;
        match fmtp {
            Some(parameters) => write!(f, "a=fmtp:{payload_type} {parameters}\r\n"),
            None => Ok(()),
        }
    }
}

impl Display for Transport<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(ufrag) = self.ufrag {
            write!(f, "a=ice-ufrag:{ufrag}\r\n")?;
        }
        if let Some(password) = self.password {
            write!(f, "a=ice-pwd:{password}\r\n")?;
        }
        for (algorithm, hash) in &self.fingerprints {
            write!(f, "a=fingerprint:{algorithm} {hash}\r\n")?;
        }
        match self.setup {
            Some(setup) => write!(f, "a=setup:{}\r\n", setup.as_str()),
            None => Ok(()),
        }
    }
}

impl Display for Address<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V4(ip)) => write!(f, "IN IP4 {ip}"),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "IN IP6 {ip}"),
            Self::Name(name) => write!(f, "IN IP4 {name}"),
        }
    }
}

impl Display for Rtcp<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.port.fmt(f)?;
        match &self.address {
            Some(address) => write!(f, " {address}"),
            None => Ok(()),
        }
    }
}

/// RFC 8839 §5.1. RFC 8445 §5.1.2.1: type preference 126 for host candidates, a local preference that falls with the
/// rank, component 1.
fn host_candidate(f: &mut Formatter<'_>, rank: u16, address: &SocketAddr) -> fmt::Result {
    let priority = (126_u32 << 24) | (u32::from(u16::MAX - rank) << 8) | 255;
    let (ip, port) = (address.ip(), address.port());
    write!(f, "a=candidate:{} 1 udp {priority} {ip} {port} typ host\r\n", u32::from(rank) + 1)
}

fn direction(f: &mut Formatter<'_>, direction: Option<Direction>) -> fmt::Result {
    match direction {
        Some(Direction::SendRecv) => f.write_str("a=sendrecv\r\n"),
        Some(Direction::SendOnly) => f.write_str("a=sendonly\r\n"),
        Some(Direction::RecvOnly) => f.write_str("a=recvonly\r\n"),
        Some(Direction::Inactive) => f.write_str("a=inactive\r\n"),
        None => Ok(()),
    }
}

fn flag(f: &mut Formatter<'_>, set: bool, name: &str) -> fmt::Result {
    match set {
        true => write!(f, "a={name}\r\n"),
        false => Ok(()),
    }
}
