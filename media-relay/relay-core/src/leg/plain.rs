//! The transport of a leg that speaks plain RTP: believed is the signalled address alone.

use std::net::{IpAddr, SocketAddr};

use relay_api::{Learn, RtpLeg, RtpRemote};

use crate::engine::{PortPair, SocketId};

pub(crate) struct Plain {
    /// Index into [`EngineConfig::interfaces`](crate::EngineConfig::interfaces).
    pub(crate) interface: usize,
    pub(crate) pair: PortPair,
    /// What the peer is told.
    local: SocketAddr,
    remote: Option<RtpRemote>,
    learn: Learn,
    /// With [`Learn::Once`]: the first source that spoke.
    learned: Option<SocketAddr>,
    /// Packets of RTP that were not believed, up to [`DOUBTED`].
    doubted: u8,
}

impl Plain {
    pub(crate) fn new(interface: usize, pair: PortPair, advertised: IpAddr) -> Self {
        let local = SocketAddr::new(advertised, pair.rtp);
        Self { interface, pair, local, remote: None, learn: Learn::Never, learned: None, doubted: 0 }
    }

    /// A peer that gives us back our own address has none: sound sent there would go round for ever.
    /// Tells whether it sends from elsewhere now.
    pub(crate) fn adapt(&mut self, spec: &RtpLeg) -> bool {
        let remote = spec.remote.filter(|remote| !is_same(&remote.rtp, &self.local));
        if self.remote != remote || self.learn != spec.learn {
            self.learned = None;
        }
        let rtp = |remote: Option<RtpRemote>| remote.map(|remote| remote.rtp);
        let has_moved = rtp(self.remote) != rtp(remote);
        (self.remote, self.learn) = (remote, spec.learn);
        has_moved
    }

    /// Where the peer sends RTP.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Where RTP goes.
    pub(crate) fn rtp(&self) -> Option<SocketAddr> {
        self.learned.or(self.remote.map(|remote| remote.rtp))
    }

    /// Where RTCP goes, and from which socket: with rtcp-mux (RFC 5761) both are RTP's.
    pub(crate) fn rtcp(&self) -> Option<(SocketId, SocketAddr)> {
        let remote = self.remote?;
        if remote.rtcp == remote.rtp {
            return self.rtp().map(|to| (SocketId::Rtp(self.pair), to));
        }
        let mut to = remote.rtcp;
        if let Some(learned) = self.learned {
            to.set_ip(learned.ip());
        }
        Some((SocketId::Rtcp(self.pair), to))
    }

    /// Is RTP from there believed? `speaks` says whether the packet is of a negotiated format.
    pub(crate) fn believes_rtp(&mut self, source: SocketAddr, speaks: bool) -> bool {
        let Some(remote) = self.remote else { return false };
        if self.learn == Learn::Once && self.learned.is_none() && speaks {
            self.learned = Some(source);
        }
        is_same(&self.learned.unwrap_or(remote.rtp), &source)
    }

    /// Counts RTP that is not believed; where it should come from, once, when this is to be told. Before the peer's address
    /// is known nothing is.
    pub(crate) fn doubt(&mut self) -> Option<SocketAddr> {
        let expected = self.rtp()?;
        let is_told = self.doubted == DOUBTED;
        self.doubted += u8::from(!is_told);
        (!is_told && self.doubted == DOUBTED).then_some(expected)
    }

    /// Is RTCP that came to `socket` from there believed?
    pub(crate) fn believes_rtcp(&self, socket: SocketId, source: SocketAddr) -> bool {
        self.rtcp().is_some_and(|(ours, theirs)| {
            // Where the port was learned, nothing is known of RTCP's but the address.
            let port_counts = self.learned.is_none() || socket == SocketId::Rtp(self.pair);
            ours == socket && if port_counts { is_same(&theirs, &source) } else { theirs.ip() == source.ip() }
        })
    }
}

/// Packets: fewer are what was under way from a peer that has moved.
const DOUBTED: u8 = 5;

/// Address and port: flow label and scope are not told in an SDP.
fn is_same(a: &SocketAddr, b: &SocketAddr) -> bool {
    a.ip() == b.ip() && a.port() == b.port()
}
