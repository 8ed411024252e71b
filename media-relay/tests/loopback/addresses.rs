//! Several addresses, of both families: who is told which, and sound between them.

use std::net::{IpAddr, SocketAddr};

use daemon::config::Addresses;
use media_relay::{BrowserListener, Config, Relay, StartError};
use relay_api::{DtlsRole, LegDescription, LegSpec, RelayError, RtpLeg, RtpRemote, Service};

use crate::browser::Browser;
use crate::calls::pace;
use crate::peer::Peer;
use crate::sound::{Tone, is_tone};
use crate::{interface, rtp_leg, spec};

const BROWSER: f64 = 440.0;
const TRUNK: f64 = 1_000.0;

/// Browsers at both families' loopback; trunks at 127.0.0.1 and ::1, those of 127.0.0.2 at 127.0.0.2.
fn config(ports: std::ops::RangeInclusive<u16>) -> Config {
    let listener = |ip: &str| {
        let ip: IpAddr = ip.parse().unwrap();
        BrowserListener { bind: SocketAddr::new(ip, 0), advertised: vec![ip] }
    };
    let mut config = Config::new(listener("::1"));
    config.browser.push(listener("127.0.0.1"));
    config.rtp = vec![
        interface("default", &["127.0.0.1", "::1"], &[], ports.clone()),
        interface("second", &["127.0.0.2"], &["127.0.0.2/32"], ports),
    ];
    config
}

fn leg(interface: Option<&str>, peer: Option<&str>, remote: Option<RtpRemote>) -> LegSpec {
    let LegSpec::Rtp(leg) = rtp_leg(remote) else { unreachable!("a plain leg") };
    let peer = peer.map(|peer| peer.parse().unwrap());
    LegSpec::Rtp(RtpLeg { interface: interface.map(str::to_owned), peer, ..leg })
}

fn told(description: &LegDescription) -> SocketAddr {
    match description {
        LegDescription::Rtp { rtp, rtcp } => {
            assert_eq!((rtcp.ip(), rtcp.port()), (rtp.ip(), rtp.port() + 1));
            *rtp
        }
        other => panic!("not a plain leg: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_and_a_trunk_over_ipv6_hear_each_other() {
    both_hear_each_other("[::1]:0", "::1", 24_700).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_over_ipv6_and_a_trunk_over_ipv4_hear_each_other() {
    both_hear_each_other("[::1]:0", "127.0.0.2", 24_720).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_over_ipv4_and_a_trunk_over_ipv6_hear_each_other() {
    both_hear_each_other("127.0.0.1:0", "::1", 24_740).await;
}

async fn both_hear_each_other(browser: &'static str, trunk: &str, port: u16) {
    let (relay, _events) = Relay::start(config(port..=port + 9)).unwrap();
    let mut browser = Browser::at(browser).await;
    let mut peer = Peer::at(trunk).await;
    let id = "families";
    let offered =
        relay.put(spec(id, 1, browser.leg(DtlsRole::Passive), leg(None, Some(trunk), None))).await.unwrap();
    let LegDescription::WebRtc { candidates, .. } = &offered.a else { panic!("a browser's leg") };
    let families: Vec<bool> = candidates.iter().map(SocketAddr::is_ipv4).collect();
    assert_eq!(families, [false, true], "all of them, best first");
    assert_eq!(told(&offered.b).ip().to_string(), trunk);
    let answered = leg(None, Some(trunk), Some(peer.remote()));
    let description = relay.put(spec(id, 2, browser.leg(DtlsRole::Passive), answered)).await.unwrap();
    assert_eq!(description.b, offered.b, "what the trunk was told stays");

    browser.accept(&description.a, DtlsRole::Passive).await;
    browser.connected().await;
    let (mut at_browser, mut at_trunk) = (0, 0);
    let (mut browser_tone, mut trunk_tone) = (Tone::new(BROWSER), Tone::new(TRUNK));
    let mut pace = pace();
    while at_browser < 25 || at_trunk < 25 {
        tokio::select! {
            _ = pace.tick() => {
                browser.say(&browser_tone.frame()).await;
                peer.send(told(&description.b), 0, &trunk_tone.frame()).await;
            }
            heard = browser.hear() => at_browser += u32::from(is_tone(&heard.payload, TRUNK)),
            heard = peer.receive() => at_trunk += u32::from(is_tone(&heard.payload, BROWSER)),
        }
    }
    relay.delete(&description.id).await.unwrap();
    browser.close().await;
    assert_eq!((relay.totals().sessions, relay.totals().rtp_sockets), (0, 0));
}

#[tokio::test]
async fn a_leg_moves_when_its_peer_is_elsewhere_and_gives_its_ports_back() {
    let (relay, _events) = Relay::start(config(24_760..=24_761)).unwrap();
    let echo = LegSpec::Service(Service::Echo);
    let put = async |revision, leg| relay.put(spec("moves", revision, leg, echo.clone())).await;
    for (revision, peer) in [(1, "127.0.0.1"), (2, "127.0.0.2"), (3, "::1")] {
        let description = put(revision, leg(None, Some(peer), None)).await.unwrap();
        assert_eq!(told(&description.a), SocketAddr::new(peer.parse().unwrap(), 24_760));
        assert_eq!(relay.totals().rtp_sockets, 2, "one pair at a time");
    }
    let named = put(4, leg(Some("second"), None, None)).await;
    assert_eq!(named, Err(RelayError::Full { what: "ports".to_owned() }), "its one pair still rests");
    let unknown = put(5, leg(Some("third"), Some("127.0.0.1"), None)).await.unwrap_err();
    assert!(unknown.to_string().contains("\"third\""), "{unknown}");
    let ipv4 = Peer::at("127.0.0.1").await.remote();
    let refused = put(6, leg(None, Some("::1"), Some(ipv4))).await;
    assert_eq!(refused, Err(RelayError::NoAddress { peer: ipv4.rtp.ip() }));
}

#[tokio::test]
async fn an_inside_and_an_outside_address_share_the_ports_of_one_bound_address() {
    let ports = 24_764..=24_767;
    let mut config = config(ports.clone());
    config.rtp = vec![
        interface("default", &["127.0.0.1"], &[], ports.clone()),
        interface("inside", &["127.0.0.1"], &["10.0.0.0/8"], ports.clone()),
    ];
    config.rtp[0].addresses =
        vec![Addresses { bind: "127.0.0.1".parse().unwrap(), advertised: "203.0.113.7".parse().unwrap() }];
    let (relay, _events) = Relay::start(config.clone()).unwrap();
    let put = async |id, peer| {
        let wanted = spec(id, 1, leg(None, Some(peer), None), LegSpec::Service(Service::Echo));
        relay.put(wanted).await.map(|description| told(&description.a).to_string())
    };
    assert_eq!(put("outside", "198.51.100.1").await.unwrap(), "203.0.113.7:24764");
    assert_eq!(put("inside", "10.1.2.3").await.unwrap(), "127.0.0.1:24766");
    assert_eq!(put("third", "10.1.2.3").await, Err(RelayError::Full { what: "ports".to_owned() }));

    config.rtp[1].ports = 24_766..=24_769;
    assert!(matches!(Relay::start(config).err(), Some(StartError::Overlap { .. })));
}
