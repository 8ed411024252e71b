//! One source floods, and a user at another address registers and calls as if nothing were (docs/limits.md).
//!
//! Each flood has a few seconds. All that the user asks succeeds, in less than 250 ms beside what the machine itself makes a task
//! wait; the gateway's memory stays below a ceiling and is back within ten seconds.

mod attackers;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::phone::Phone;
use super::program::{Gateway, Shape};
use attackers::{Flood, Tally};
use tokio::runtime::Builder;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // RFC 3261 §8.2.7: a 401 needs no transaction
async fn strangers_whose_401_is_never_acknowledged_leave_nothing() {
    flooded("40 strangers, INVITE of 48 kB", Flood::Invites { connections: 40, padding: 47_000 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_messages_over_all_connections_of_an_address_take_nobodys_room() {
    flooded("98 strangers, small INVITE", Flood::Invites { connections: 98, padding: 0 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_who_do_not_read_are_closed_and_hold_their_share() {
    flooded("90 strangers that never read", Flood::Deaf { connections: 90, padding: 47_000 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_messages_and_connections_that_come_and_go_cost_others_nothing() {
    flooded("connections with half a message", Flood::HalfMessages { connections: 150 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // RFC 7616 §3.4
async fn one_users_logins_cost_no_other_user_his() {
    flooded("bob logs in anew over 96 connections", Flood::Logins { connections: 96, contact: 0 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_users_bindings_are_bounded_in_bytes() {
    flooded("bob registers long contacts", Flood::Logins { connections: 20, contact: 7_000 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_users_calls_are_his_share() {
    flooded("bob calls without end", Flood::Calls { connections: 20 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trunk_that_floods_takes_its_own_share() {
    flooded("trunk, INVITE over UDP", Flood::Datagrams { from: TRUNK, method: "INVITE" }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_at_the_trunks_port_take_nothing() {
    flooded("strangers, OPTIONS over UDP", Flood::Datagrams { from: FLOODER, method: "OPTIONS" }).await;
}

/// Floods, watches, and prints what the documentation quotes.
async fn flooded(name: &str, flood: Flood) {
    let gateway = Arc::new(Gateway::launch(&Shape {
        limits: "",
        sections: "[relay]\nbrowser_port = 0\nworkers = 1\n",
        ..Shape::default()
    }));
    let mut user = User::comes(&gateway).await;
    user.asks_for(WARM_UP).await;
    let before = gateway.memory();
    let over = Arc::new(AtomicBool::new(false));
    let noise = tokio::spawn(noise(Arc::clone(&over)));
    let peak = tokio::spawn(peak(Arc::clone(&gateway), Arc::clone(&over)));
    let tally = Arc::new(Tally::default());
    // They have one core at most, and not the threads of the user.
    let attackers = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let begun = attackers.spawn(flood.begin(gateway.ws, gateway.sip, Arc::clone(&tally)));
    let flooding = begun.await.unwrap();
    user.latencies.clear();
    user.asks_for(FLOOD).await;
    over.store(true, Relaxed);
    drop(flooding);
    attackers.shutdown_background();
    let (noise, peak) = (noise.await.unwrap(), peak.await.unwrap());
    let (asked, p99) = (user.latencies.len(), percentile(&mut user.latencies, 99));
    let after = calmed(&gateway, before).await;
    println!(
        "| {name} | {} | {asked} | {p99:.1?} | {noise:.1?} | {} | {} | {} |",
        tally.sent(),
        mib(before),
        mib(peak),
        mib(after)
    );
    assert!(p99 < SLOWEST + noise, "p99 {p99:?}, of which the machine's {noise:?}");
    assert!(peak < before + CEILING, "memory: {before} KiB before, {peak} KiB at most");
}

/// The user who wants nothing but to register and call.
struct User {
    gateway: Arc<Gateway>,
    phone: Phone,
    latencies: Vec<Duration>,
}

impl User {
    async fn comes(gateway: &Arc<Gateway>) -> Self {
        let phone = Phone::connect_from(USER, gateway.ws, "alice").await;
        Self { gateway: Arc::clone(gateway), phone, latencies: Vec::new() }
    }

    /// Registers, calls, and now and then comes anew. All of it must succeed.
    async fn asks_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        for turn in 1.. {
            if turn % 10 == 0 {
                self.phone = Phone::connect_from(USER, self.gateway.ws, "alice").await;
            }
            let begun = Instant::now();
            assert_eq!(self.phone.log_in("secret").await.code(), 200);
            // Two requests.
            self.latencies.extend([begun.elapsed() / 2; 2]);
            let begun = Instant::now();
            self.phone.call("echo").await;
            // INVITE and BYE.
            self.latencies.extend([begun.elapsed() / 2; 2]);
            if Instant::now() >= end {
                return;
            }
        }
    }
}

/// How long this machine makes a task wait that wants to run: what is no fault of the gateway.
async fn noise(over: Arc<AtomicBool>) -> Duration {
    let mut waits = Vec::new();
    while !over.load(Relaxed) {
        let begun = Instant::now();
        tokio::time::sleep(Duration::from_millis(1)).await;
        waits.push(begun.elapsed().saturating_sub(Duration::from_millis(2)));
    }
    percentile(&mut waits, 99)
}

async fn peak(gateway: Arc<Gateway>, over: Arc<AtomicBool>) -> u64 {
    let mut peak = 0;
    while !over.load(Relaxed) {
        peak = peak.max(gateway.memory());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    peak
}

/// Waits until memory is near what it was.
async fn calmed(gateway: &Gateway, before: u64) -> u64 {
    let begun = Instant::now();
    loop {
        let now = gateway.memory();
        if now <= before + LEFT {
            return now;
        }
        assert!(begun.elapsed() < CALM, "{before} KiB before, {now} KiB {CALM:?} after the flood");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times.get(times.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default()
}

fn mib(kib: u64) -> u64 {
    kib / 1_024
}

/// In the networks of the trunk.
const TRUNK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const USER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// Outside of them.
const FLOODER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));
const WARM_UP: Duration = Duration::from_millis(500);
const FLOOD: Duration = Duration::from_secs(3);
const SLOWEST: Duration = Duration::from_millis(250);
const CALM: Duration = Duration::from_secs(10);
/// KiB that one source may add: the share of its address, or of a user or trunk, and what the allocator keeps.
const CEILING: u64 = 160 * 1_024;
/// KiB that may be left: transactions of the user's own calls, and what the allocator keeps.
const LEFT: u64 = 24 * 1_024;
