//! Where a message goes: a browser's flow or an address of a configured trunk, never a name out of a message.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::FlowId;

/// Where bytes go.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
    /// A browser's connection, here or on another node.
    Flow(FlowId),
    /// An address of a trunk.
    Trunk(TrunkAddress),
}

impl Destination {
    /// The flow, when it is one.
    pub fn flow(&self) -> Option<FlowId> {
        match self {
            Self::Flow(flow) => Some(*flow),
            Self::Trunk(_) => None,
        }
    }

    /// The trunk's name, when it is one.
    pub fn trunk(&self) -> Option<&str> {
        match self {
            Self::Flow(_) => None,
            Self::Trunk(trunk) => Some(&trunk.trunk),
        }
    }

    /// The address, when it is a trunk's.
    pub fn trunk_ip(&self) -> Option<IpAddr> {
        match self {
            Self::Flow(_) => None,
            Self::Trunk(trunk) => Some(trunk.address.ip()),
        }
    }

    /// Does the transport itself repeat what was lost (RFC 3261 §17)?
    pub fn is_reliable(&self) -> bool {
        match self {
            Self::Flow(_) => true,
            Self::Trunk(trunk) => trunk.transport.is_reliable(),
        }
    }
}

/// One address of one configured trunk.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TrunkAddress {
    /// The trunk's name in the configuration: it decides the local socket and the TLS identity to expect.
    pub trunk: String,
    /// How.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
    /// Where the peer's messages of this dialog came from by the same transport, if elsewhere: that connection is used when
    /// `address` can't be reached, and never made.
    pub otherwise: Option<SocketAddr>,
}

/// A SIP transport as a Via names it (RFC 3261 §20.42, RFC 7118 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// WebSocket.
    Ws,
    /// WebSocket over TLS.
    Wss,
}

impl Transport {
    /// Does the transport itself repeat what was lost (RFC 3261 §17)?
    pub fn is_reliable(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp | Self::Tls | Self::Ws | Self::Wss => true,
        }
    }

    /// As a Via's `sent-protocol` spells it.
    pub fn via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// As the `transport` parameter of a URI spells it; none for UDP, which is the default. RFC 7118 §5.2.2: secure
    /// WebSocket is `ws` too.
    pub fn uri_parameter(self) -> Option<&'static str> {
        match self {
            Self::Udp => None,
            Self::Tcp => Some("tcp"),
            Self::Tls => Some("tls"),
            Self::Ws | Self::Wss => Some("ws"),
        }
    }

    /// What the `transport` parameter of a URI names; none for what is not spoken here.
    pub fn of_parameter(name: &str) -> Option<Self> {
        let known = [Self::Udp, Self::Tcp, Self::Tls, Self::Ws];
        known.into_iter().find(|transport| transport.via().eq_ignore_ascii_case(name))
    }

    /// Where such a peer listens when its URI has no port (RFC 3261 §19.1.2).
    pub fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.via())
    }
}

/// A range of addresses (CIDR).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Network {
    /// Any address in it.
    pub address: IpAddr,
    /// Leading bits that count.
    pub prefix: u8,
}

impl Network {
    /// Is `address` in it? IPv4 mapped into IPv6 is judged as IPv4, of a network too.
    pub fn contains(&self, address: IpAddr) -> bool {
        let own = self.address.to_canonical();
        let is_mapped = own.is_ipv4() != self.address.is_ipv4();
        let prefix = u32::from(self.prefix).saturating_sub(if is_mapped { 96 } else { 0 });
        match (own, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32u32.saturating_sub(prefix);
                (own.to_bits() ^ other.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128u32.saturating_sub(prefix);
                (own.to_bits() ^ other.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_network_counts_its_prefix_only() {
        let network = Network { address: "10.1.0.0".parse().unwrap(), prefix: 16 };
        assert!(network.contains("10.1.255.3".parse().unwrap()));
        assert!(network.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!network.contains("10.2.0.1".parse().unwrap()));
        assert!(!network.contains("::1".parse().unwrap()));
        let mapped = Network { address: "::ffff:10.1.0.0".parse().unwrap(), prefix: 112 };
        assert!(mapped.contains("10.1.255.3".parse().unwrap()));
        assert!(!mapped.contains("10.2.0.1".parse().unwrap()));
        let everything = Network { address: "0.0.0.0".parse().unwrap(), prefix: 0 };
        assert!(everything.contains("255.255.255.255".parse().unwrap()));
        let one = Network { address: "::1".parse().unwrap(), prefix: 128 };
        assert!(one.contains("::1".parse().unwrap()) && !one.contains("::2".parse().unwrap()));
    }
}
