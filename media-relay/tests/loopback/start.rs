//! Starting, sharing out, stopping.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use daemon::config::Addresses;
use media_relay::{BrowserListener, Config, Relay, StartError};
use relay_api::{LegDescription, LegName, LegSpec, RelayError, Service, SessionId};

use crate::{interface, rtp_leg, spec};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn config() -> Config {
    Config::new(BrowserListener { bind: "127.0.0.1:0".parse().unwrap(), advertised: vec![LOCALHOST] })
}

#[tokio::test]
async fn a_configuration_that_peers_could_not_use_is_refused() {
    let start = |change: fn(&mut Config)| {
        let mut config = config();
        change(&mut config);
        Relay::start(config).expect_err("refused")
    };
    let unspecified = start(|config| config.browser[0].advertised = vec!["0.0.0.0".parse().unwrap()]);
    assert!(matches!(unspecified, StartError::Advertised { .. }));
    let unspecified = start(|config| {
        config.rtp.push(interface("trunk", &["127.0.0.1"], &[], 24_100..=24_109));
        config.rtp[0].addresses = vec![Addresses { bind: LOCALHOST, advertised: "::".parse().unwrap() }];
    });
    assert!(matches!(unspecified, StartError::Advertised { .. }));
    assert!(matches!(start(|config| config.browser.clear()), StartError::NoBrowserListener));
    assert!(matches!(start(|config| config.workers = 0), StartError::Workers { .. }));
    let twice = start(|config| config.rtp = vec![interface("a", &["127.0.0.1"], &[], 24_100..=24_109); 2]);
    assert!(matches!(twice, StartError::DuplicateInterface { .. }));
    let few = start(|config| {
        config.rtp.push(interface("trunk", &["127.0.0.1"], &[], 24_100..=24_103));
        config.workers = 3;
    });
    assert!(matches!(few, StartError::PortRange { .. }));
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut config = config();
    config.browser[0].bind = taken.local_addr().unwrap();
    assert!(matches!(Relay::start(config).err(), Some(StartError::Bind { .. })));
}

#[tokio::test]
async fn workers_have_ports_of_their_own_and_a_session_stays_with_its_worker() {
    let mut config = config();
    config.workers = 2;
    config.rtp.push(interface("trunk", &["127.0.0.1"], &[], 24_110..=24_149));
    let (relay, _events) = Relay::start(config).unwrap();
    let addresses = relay.browser_addresses();
    assert_eq!(addresses.len(), 2);
    assert_ne!(addresses[0].port(), addresses[1].port());
    let mut ports = std::collections::HashSet::new();
    for number in 0..12 {
        let wanted = spec(&format!("call-{number}"), 1, rtp_leg(None), LegSpec::Service(Service::Echo));
        let description = relay.put(wanted.clone()).await.unwrap();
        assert_eq!(relay.put(wanted).await.unwrap(), description);
        let LegDescription::Rtp { rtp, .. } = description.a else { panic!("a plain leg") };
        assert!(ports.insert(rtp.port()) && (24_110..=24_149).contains(&rtp.port()));
    }
    let totals = relay.totals();
    assert_eq!((totals.sessions, totals.rtp_sockets), (12, 24));
    let unknown = SessionId("never-was".to_owned());
    assert_eq!(relay.statistics(&unknown).await, Err(RelayError::Unknown));
    assert_eq!(relay.dtmf(&unknown, LegName::A, '1', 100).await, Err(RelayError::Unknown));
    assert_eq!(relay.delete(&unknown).await, Ok(None));
    for number in 0..12 {
        let id = SessionId(format!("call-{number}"));
        relay.delete(&id).await.unwrap();
        assert_eq!(relay.statistics(&id).await, Err(RelayError::Unknown));
    }
    let totals = relay.totals();
    assert_eq!((totals.sessions, totals.rtp_sockets), (0, 0));
}

#[tokio::test]
async fn a_worker_whose_ports_rest_is_passed_over() {
    let mut config = config();
    config.workers = 2;
    config.rtp.push(interface("trunk", &["127.0.0.1"], &[], 24_102..=24_109));
    let (relay, _events) = Relay::start(config).unwrap();
    let wanted = |number| spec(&format!("call-{number}"), 1, rtp_leg(None), LegSpec::Service(Service::Echo));
    for number in 0..4 {
        relay.put(wanted(number)).await.unwrap();
        relay.delete(&wanted(number).id).await.unwrap();
    }
    let full = relay.put(wanted(4)).await;
    assert!(matches!(full, Err(RelayError::Full { .. })), "all rest");
    assert_eq!(relay.totals().sessions, 0);
}

#[tokio::test]
async fn the_last_handle_takes_the_relay_and_its_sockets_with_it() {
    let (relay, mut events) = Relay::start(config()).unwrap();
    let address = relay.browser_addresses()[0];
    assert!(UdpSocket::bind(address).is_err());
    let twin = relay.clone();
    drop(relay);
    assert!(UdpSocket::bind(address).is_err());
    drop(twin);
    UdpSocket::bind(address).unwrap();
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_stopped_relay_says_so() {
    let (relay, mut events) = Relay::start(config()).unwrap();
    let service = || LegSpec::Service(Service::Echo);
    relay.put(spec("call", 1, service(), service())).await.unwrap();
    relay.stop().await;
    relay.stop().await;
    assert_eq!(events.next().await, None);
    assert_eq!(relay.statistics(&SessionId("call".to_owned())).await, Err(RelayError::Unavailable));
    assert_eq!(relay.put(spec("next", 1, service(), service())).await, Err(RelayError::Unavailable));
}
