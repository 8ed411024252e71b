//! Which of our addresses a plain RTP peer is told.

use std::net::IpAddr;

use ipnet::IpNet;
use relay_api::{RelayError, RtpLeg};

/// An address for plain RTP peers. Those of one name are one interface: at most one for each family, IPv4 and IPv6.
#[derive(Clone, Debug)]
pub struct Interface {
    /// What `RtpLeg::interface` names.
    pub name: String,
    /// Peers that it is for; without any, those that no other is for. The same for every address of the name.
    pub networks: Vec<IpNet>,
    /// What peers are told.
    pub advertised: IpAddr,
    /// Its ports: index into [`EngineConfig::ranges`](super::EngineConfig::ranges). Several may share them.
    pub range: u8,
}

impl Interface {
    /// The address for a peer at the interface of this name, or at the one that is for the peer; as an index.
    ///
    /// # Errors
    /// There is no such interface, or none for this peer, or it has no address of the peer's family.
    pub fn choose(
        interfaces: &[Self],
        name: Option<&str>,
        peer: Option<IpAddr>,
    ) -> Result<usize, RelayError> {
        let peer = peer.map(|peer| peer.to_canonical());
        let first = match name {
            Some(name) => interfaces.iter().find(|one| one.name == name).ok_or_else(|| unnamed(name))?,
            None => for_peer(interfaces, peer).ok_or_else(nobodys)?,
        };
        let of_name = |one: &Self| one.name == first.name;
        let fits = |one: &Self| of_name(one) && peer.is_none_or(|peer| is_same_family(one.advertised, peer));
        match (interfaces.iter().position(fits), peer) {
            (Some(at), _) => Ok(at),
            (None, Some(peer)) => Err(RelayError::NoAddress { peer }),
            (None, None) => Err(nobodys()),
        }
    }

    /// How closely the configuration names this peer, as the length of a prefix.
    fn closeness(&self, peer: IpAddr) -> Option<u8> {
        let around = self.networks.iter().filter(|network| network.contains(&peer));
        around.map(IpNet::prefix_len).max()
    }
}

/// The address for a new leg, as an index.
///
/// # Errors
/// As [`Interface::choose`].
pub(crate) fn of_leg(interfaces: &[Interface], leg: &RtpLeg) -> Result<usize, RelayError> {
    let remote = leg.remote.map(|remote| remote.rtp.ip());
    let at = Interface::choose(interfaces, leg.interface.as_deref(), leg.peer.or(remote))?;
    reaches(&interfaces[at], remote).map(|()| at)
}

/// Does a leg keep the address it has? A peer that was told it keeps sending there, so only the gateway's word moves it.
///
/// # Errors
/// As [`Interface::choose`]; or the address is of another family than the peer's.
pub(crate) fn stays(interfaces: &[Interface], at: usize, leg: &RtpLeg) -> Result<bool, RelayError> {
    let Some(ours) = interfaces.get(at) else { return Ok(false) };
    let stays = match (leg.peer, &leg.interface) {
        (Some(_), _) => of_leg(interfaces, leg)? == at,
        (None, Some(name)) => ours.name == *name,
        (None, None) => true,
    };
    if stays {
        reaches(ours, leg.remote.map(|remote| remote.rtp.ip()))?;
    }
    Ok(stays)
}

/// The one whose network names the peer most closely, else the first that is for everybody.
fn for_peer(interfaces: &[Interface], peer: Option<IpAddr>) -> Option<&Interface> {
    let mut closest: Option<(u8, &Interface)> = None;
    for one in interfaces {
        if let Some(bits) = peer.and_then(|peer| one.closeness(peer))
            && closest.is_none_or(|(most, _)| bits > most)
        {
            closest = Some((bits, one));
        }
    }
    closest.map(|(_, one)| one).or_else(|| interfaces.iter().find(|one| one.networks.is_empty()))
}

/// RFC 6157 §3: without ICE both ends have to be of one family.
fn reaches(ours: &Interface, remote: Option<IpAddr>) -> Result<(), RelayError> {
    match remote.filter(|remote| !is_same_family(ours.advertised, *remote)) {
        Some(peer) => Err(RelayError::NoAddress { peer }),
        None => Ok(()),
    }
}

fn is_same_family(a: IpAddr, b: IpAddr) -> bool {
    a.is_ipv4() == b.to_canonical().is_ipv4()
}

fn unnamed(name: &str) -> RelayError {
    RelayError::NoInterface { reason: format!("no RTP interface is named {name:?}") }
}

fn nobodys() -> RelayError {
    RelayError::NoInterface { reason: "no RTP interface is for this peer".to_owned() }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::net::SocketAddr;

    use relay_api::{Direction, Learn, RtpRemote};

    use super::*;

    fn interfaces() -> Vec<Interface> {
        let one = |name: &str, networks: &[&str], advertised: &str| Interface {
            name: name.to_owned(),
            networks: networks.iter().map(|network| network.parse().unwrap()).collect(),
            advertised: advertised.parse().unwrap(),
            range: 0,
        };
        vec![
            one("default", &[], "203.0.113.7"),
            one("default", &[], "2001:db8::7"),
            one("inside", &["10.0.0.0/8", "fd00::/8"], "10.0.0.7"),
            one("branch", &["10.9.0.0/16", "2001:db8:9::/48"], "10.9.0.7"),
        ]
    }

    fn leg(interface: Option<&str>, peer: Option<&str>, remote: Option<&str>) -> RtpLeg {
        let at = |remote: &str| SocketAddr::new(remote.parse().unwrap(), 40_000);
        RtpLeg {
            interface: interface.map(str::to_owned),
            peer: peer.map(|peer| peer.parse().unwrap()),
            remote: remote.map(|remote| RtpRemote { rtp: at(remote), rtcp: at(remote) }),
            codecs: Vec::new(),
            direction: Direction::SendRecv,
            learn: Learn::Never,
        }
    }

    fn told(interface: Option<&str>, peer: Option<&str>, remote: Option<&str>) -> Result<String, RelayError> {
        let interfaces = interfaces();
        of_leg(&interfaces, &leg(interface, peer, remote)).map(|at| interfaces[at].advertised.to_string())
    }

    #[test]
    fn the_longest_prefix_around_the_peer_chooses() {
        assert_eq!(told(None, Some("10.1.2.3"), None).unwrap(), "10.0.0.7");
        assert_eq!(told(None, Some("10.9.2.3"), None).unwrap(), "10.9.0.7");
        assert_eq!(told(None, Some("::ffff:10.9.2.3"), None).unwrap(), "10.9.0.7");
        assert_eq!(told(None, Some("192.0.2.1"), None).unwrap(), "203.0.113.7");
        assert_eq!(told(None, Some("2001:db8::1"), None).unwrap(), "2001:db8::7");
        assert_eq!(told(None, None, Some("10.9.2.3")).unwrap(), "10.9.0.7");
        assert_eq!(told(None, None, None).unwrap(), "203.0.113.7");
    }

    #[test]
    fn a_name_is_stronger_than_networks() {
        assert_eq!(told(Some("inside"), Some("192.0.2.1"), None).unwrap(), "10.0.0.7");
        assert_eq!(told(Some("default"), Some("2001:db8:9::1"), None).unwrap(), "2001:db8::7");
        let unknown = told(Some("outside"), Some("192.0.2.1"), None).unwrap_err();
        assert!(unknown.to_string().contains("\"outside\""), "{unknown}");
    }

    #[test] // RFC 6157 §3
    fn families_do_not_mix() {
        let peer = |peer: &str| Err(RelayError::NoAddress { peer: peer.parse().unwrap() });
        assert_eq!(told(None, Some("fd00::1"), None), peer("fd00::1"));
        assert_eq!(told(Some("inside"), Some("2001:db8::1"), None), peer("2001:db8::1"));
        assert_eq!(told(None, Some("192.0.2.1"), Some("2001:db8::1")), peer("2001:db8::1"));
        let stays = |at, leg: RtpLeg| stays(&interfaces(), at, &leg);
        assert_eq!(stays(0, leg(None, None, Some("2001:db8::1"))), peer("2001:db8::1").map(|_: String| true));
    }

    #[test]
    fn a_leg_keeps_its_address_until_it_is_told_of_another_peer() {
        let stays = |at, leg: RtpLeg| stays(&interfaces(), at, &leg).unwrap();
        assert!(stays(0, leg(None, Some("192.0.2.1"), Some("10.1.2.3"))), "media came from elsewhere");
        assert!(stays(0, leg(None, None, Some("10.1.2.3"))));
        assert!(!stays(0, leg(None, Some("10.1.2.3"), None)));
        assert!(!stays(0, leg(Some("inside"), None, None)));
        assert!(stays(2, leg(Some("inside"), None, Some("192.0.2.1"))));
    }
}
