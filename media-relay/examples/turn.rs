//! The relay with its control API and a TURN server on UDP, on one worker: what `loadtest media` measures.
//!
//! `turn CONTROL TURN SECRET`, the first two as address:port on loopback.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use arc_swap::ArcSwap;
use media_relay::control::{self, Control, ControlSettings, Protection};
use media_relay::{BrowserListener, Config, PeerRule, Relay, RelayedRange, RtpInterface, TurnConfig};
use relay_api::control::Epoch;
use relay_api::turn::Secret;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(worker_threads = 1)]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [at, turn, secret] = &arguments[..] else { anyhow::bail!("turn CONTROL TURN SECRET") };
    let secret = Secret::new(secret).ok_or_else(|| anyhow!("a secret"))?;
    let listener = TcpListener::bind(at).await?;
    let (relay, events) = Relay::start(config(turn.parse()?, secret)?)?;
    let settings = ControlSettings { max_sessions: 2_000, orphaned_after: Duration::from_secs(120) };
    let control = Control::new(relay.clone(), Epoch("load".into()), settings);
    let teller = control.clone();
    tokio::spawn(async move { teller.tell_events(events, |_| {}).await });
    let protection = Arc::new(ArcSwap::from_pointee(Protection::default()));
    let router = control::router(control.clone(), Arc::clone(&protection));
    tokio::spawn(control::serve(listener, router, protection, control));
    signal(SignalKind::terminate())?.recv().await.context("no signals")?;
    relay.stop().await;
    Ok(())
}

fn config(turn: SocketAddr, secret: Secret) -> anyhow::Result<Config> {
    let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let bind = SocketAddr::new(localhost, 0);
    let mut config = Config::new(BrowserListener { bind, advertised: vec![localhost] });
    config.workers = 1;
    let ports = 20_000..=23_999;
    config.rtp.push(RtpInterface { name: "trunk".into(), bind: localhost, advertised: localhost, ports });
    let relayed = RelayedRange { bind: localhost, advertised: localhost, ports: 28_000..=31_999 };
    config.turn = Some(TurnConfig {
        udp: vec![turn],
        // The peer of the load test is anywhere on this machine.
        peers: vec![PeerRule { network: "127.0.0.1/32".parse()?, ports: 1_024..=65_535 }],
        ..TurnConfig::new("north", vec![secret], relayed)
    });
    Ok(config)
}
