//! A relay on loopback between a browser stand-in (`webrtc`) and plain RTP peers.
#![expect(clippy::unwrap_used, reason = "tests")]

mod addresses;
mod attacks;
mod browser;
mod calls;
mod peer;
mod quality;
mod sound;
mod start;
mod turn;
mod turnutils;

use std::time::Duration;

use daemon::config::Addresses;
use media_relay::{BrowserListener, Config, Events, Relay, RtpInterface};
use relay_api::{Codec, Direction, Learn, LegSpec, RtpLeg, RtpRemote, SessionId, SessionSpec};

/// A relay on loopback, any browser port, RTP ports from a block of this test's own.
fn relay(ports: std::ops::RangeInclusive<u16>) -> (Relay, Events) {
    Relay::start(config(ports)).unwrap()
}

fn config(ports: std::ops::RangeInclusive<u16>) -> Config {
    let localhost = "127.0.0.1".parse().unwrap();
    let mut config =
        Config::new(BrowserListener { bind: "127.0.0.1:0".parse().unwrap(), advertised: vec![localhost] });
    config.rtp.push(interface("trunk", &["127.0.0.1"], &[], ports));
    config.media_timeout = Duration::from_secs(3_600);
    config
}

/// Addresses as in a configuration: told as they are bound.
fn interface(
    name: &str,
    addresses: &[&str],
    networks: &[&str],
    ports: std::ops::RangeInclusive<u16>,
) -> RtpInterface {
    RtpInterface {
        name: name.to_owned(),
        addresses: addresses.iter().map(|address| Addresses::of(address.parse().unwrap())).collect(),
        networks: networks.iter().map(|network| network.parse().unwrap()).collect(),
        ports,
    }
}

fn pcmu() -> Codec {
    Codec { name: "PCMU".to_owned(), clock_rate: 8_000, channels: 1, receive: 0, send: 0 }
}

fn events(payload_type: u8) -> Codec {
    Codec {
        name: "telephone-event".to_owned(),
        clock_rate: 8_000,
        channels: 1,
        receive: payload_type,
        send: payload_type,
    }
}

fn rtp_leg(remote: Option<RtpRemote>) -> LegSpec {
    LegSpec::Rtp(RtpLeg {
        interface: None,
        peer: None,
        remote,
        codecs: vec![pcmu(), events(101)],
        direction: Direction::SendRecv,
        learn: Learn::Never,
    })
}

fn spec(id: &str, revision: u64, a: LegSpec, b: LegSpec) -> SessionSpec {
    SessionSpec { id: SessionId(id.to_owned()), revision, a, b }
}
