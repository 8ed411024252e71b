//! One source floods, and a user at another address registers, calls, allocates and is heard as if nothing were (docs/limits.md).
//!
//! Each flood has a second. All that the user asks succeeds, in less than 250 ms beside what the machine itself makes a task
//! wait, and his sound crosses; memory stays below a ceiling and is back within ten seconds.

mod allocation;
mod attackers;
mod sound;
mod stage;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::phone::Phone;
use super::turn::told;
use allocation::TurnClient;
use attackers::{Door, Flood, Manner, Port, Says, Tally};
use sound::{Heard, Sound};
use stage::Stage;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // RFC 7616 §5.4
async fn guessed_passwords_are_refused_and_lock_nobody_out() {
    flooded("wrong passwords over 60 connections", Flood::WrongPasswords { connections: 60 }).await;
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
    Stage::embedded()
        .bears("trunk, INVITE over UDP", &[(TRUNK, Flood::Datagrams { method: "INVITE" })])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_at_the_trunks_port_take_nothing() {
    flooded("strangers, OPTIONS over UDP", Flood::Datagrams { method: "OPTIONS" }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_that_nobody_reads_and_half_requests_cost_others_nothing() {
    let unread = Flood::Stream { door: Door::Ws, connections: 50, says: Says::Page, manner: Manner::Repeats };
    let half =
        Flood::Stream { door: Door::Ws, connections: 50, says: Says::HalfRequest, manner: Manner::Waits };
    Stage::embedded()
        .bears("pages that nobody reads, half requests", &[(FLOODER, unread), (FLOODER, half)])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_handshakes_that_end_nowhere_cost_others_nothing() {
    let half = Flood::Stream { door: Door::Wss, connections: 60, says: Says::Hello, manner: Manner::Waits };
    let failed =
        Flood::Stream { door: Door::Wss, connections: 60, says: Says::Garbage, manner: Manner::Waits };
    let long =
        Flood::Stream { door: Door::Wss, connections: 60, says: Says::LongHello, manner: Manner::Waits };
    Stage::embedded()
        .bears("TLS handshakes that end nowhere", &[(FLOODER, half), (FLOODER, failed), (FLOODER, long)])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operators_listener_is_bounded_too() {
    let asks =
        Flood::Stream { door: Door::Admin, connections: 20, says: Says::Metrics, manner: Manner::Asks };
    let unread =
        Flood::Stream { door: Door::Admin, connections: 20, says: Says::Metrics, manner: Manner::Repeats };
    let half =
        Flood::Stream { door: Door::Admin, connections: 100, says: Says::HalfRequest, manner: Manner::Waits };
    Stage::embedded()
        .bears(
            "operators' listener: metrics, unread and half requests",
            &[(FLOODER, asks), (FLOODER, unread), (FLOODER, half)],
        )
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_and_a_trunk_at_the_trunks_stream_ports_take_nothing_of_others() {
    let strangers =
        Flood::Stream { door: Door::TrunkTls, connections: 50, says: Says::Hello, manner: Manner::Waits };
    let half =
        Flood::Stream { door: Door::TrunkTcp, connections: 100, says: Says::HalfSip, manner: Manner::Waits };
    let hellos =
        Flood::Stream { door: Door::TrunkTls, connections: 100, says: Says::Hello, manner: Manner::Waits };
    let floods = [(FLOODER, strangers), (TRUNK, half), (TRUNK, hellos)];
    Stage::embedded().bears("trunk over TCP and TLS, half messages and handshakes", &floods).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // RFC 8656 §7.2, RFC 8489 §9.2.4
async fn strangers_who_ask_turn_over_udp_take_no_users_allocation() {
    flooded("TURN over UDP, requests of strangers", Flood::Packets { port: Port::Turn }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // RFC 8656 §12.5
async fn turns_connections_are_bounded() {
    let stream = |door, says, manner| (FLOODER, Flood::Stream { door, connections: 30, says, manner });
    let floods = [
        stream(Door::TurnTcp, Says::HalfFrame, Manner::Waits),
        stream(Door::TurnTcp, Says::Bindings, Manner::Repeats),
        stream(Door::TurnTls, Says::Hello, Manner::Waits),
        stream(Door::TurnTls, Says::Garbage, Manner::Waits),
        stream(Door::TurnTls, Says::LongHello, Manner::Waits),
    ];
    Stage::embedded().bears("TURN over TCP and TLS, half, unread and odd", &floods).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // RFC 8445 §7.3, RFC 5763 §5
async fn garbage_at_the_browsers_media_port_costs_no_calls_sound() {
    flooded("garbage at the media port: ICE, DTLS, RTP", Flood::Packets { port: Port::Media }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_at_a_relay_of_a_pool_cost_its_gateway_nothing() {
    let stream =
        |says, manner| (FLOODER, Flood::Stream { door: Door::Control, connections: 60, says, manner });
    let floods = [
        stream(Says::Hello, Manner::Waits),
        stream(Says::Garbage, Manner::Waits),
        (
            FLOODER,
            Flood::Stream {
                door: Door::TurnTcp,
                connections: 70,
                says: Says::HalfFrame,
                manner: Manner::Waits,
            },
        ),
        (FLOODER, Flood::Packets { port: Port::Turn }),
        (FLOODER, Flood::Packets { port: Port::Media }),
    ];
    Stage::pool().bears("relay of a pool: control API, TURN, media port", &floods).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_of_many_addresses_who_do_everything_at_once_stay_below_their_ceiling() {
    let floods: Vec<_> = addresses(4).flat_map(|from| strangers().map(|flood| (from, flood))).collect();
    let stage = Stage::embedded();
    let name = "all of the strangers' at once, from 4 addresses";
    let rest = stage.bears_up_to(STRANGERS, name, &floods).await;
    let again = stage.bears_up_to(STRANGERS, &format!("{name}, once more"), &floods).await;
    assert!(again[0] <= rest[0] + REPEATED, "{rest:?} KiB after the first, {again:?} after the second");
}

/// What a stranger can do, each over a few connections.
fn strangers() -> [Flood; 13] {
    let stream = |door, says, manner| Flood::Stream { door, connections: 8, says, manner };
    [
        Flood::Invites { connections: 10, padding: 0 },
        Flood::Invites { connections: 10, padding: 47_000 },
        Flood::Deaf { connections: 10, padding: 47_000 },
        Flood::HalfMessages { connections: 10 },
        Flood::Datagrams { method: "OPTIONS" },
        stream(Door::Ws, Says::Page, Manner::Repeats),
        stream(Door::Wss, Says::Hello, Manner::Waits),
        stream(Door::TrunkTcp, Says::HalfSip, Manner::Waits),
        stream(Door::Admin, Says::HalfRequest, Manner::Waits),
        stream(Door::TurnTcp, Says::HalfFrame, Manner::Waits),
        stream(Door::TurnTls, Says::Hello, Manner::Waits),
        Flood::Packets { port: Port::Turn },
        Flood::Packets { port: Port::Media },
    ]
}

fn addresses(many: u8) -> impl Iterator<Item = IpAddr> {
    (1..=many).map(|number| Ipv4Addr::new(127, 0, 9, number).into())
}

/// One flood from one address.
async fn flooded(name: &str, flood: Flood) {
    Stage::embedded().bears(name, &[(FLOODER, flood)]).await;
}

impl Stage {
    /// Floods that one source is answerable for.
    async fn bears(self: &Arc<Self>, name: &str, floods: &[(IpAddr, Flood)]) {
        self.bears_up_to(ONE_SOURCE, name, floods).await;
    }

    /// Floods, watches, and prints what the documentation quotes. The memory that is left, in KiB.
    async fn bears_up_to(self: &Arc<Self>, room: Room, name: &str, floods: &[(IpAddr, Flood)]) -> Vec<u64> {
        let mut user = User::comes(self).await;
        user.asks_for(WARM_UP).await;
        let before = self.memory();
        let over = Arc::new(AtomicBool::new(false));
        let noise = tokio::spawn(noise(Arc::clone(&over)));
        let peak = tokio::spawn(peak(Arc::clone(self), Arc::clone(&over)));
        let sound = tokio::spawn(user.sound.take().unwrap().goes_on(Arc::clone(&over)));
        let tally = Arc::new(Tally::default());
        // They have one core at most, and not the threads of the user.
        let attackers = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        for (from, flood) in floods {
            flood.begin(attackers.handle(), self.doors, *from, &tally);
        }
        tally.rises().await;
        user.latencies.clear();
        user.asks_for(flood_time()).await;
        over.store(true, Relaxed);
        attackers.shutdown_background();
        let (noise, peak, heard) = (noise.await.unwrap(), peak.await.unwrap(), sound.await.unwrap());
        let (asked, p99) = (user.latencies.len(), percentile(&mut user.latencies, 99));
        let after = calmed(self, &before, room.left).await;
        let Heard { said, mut ways } = heard;
        let (lost, way) = (said - ways.len(), percentile(&mut ways, 99));
        for (at, (program, before)) in before.iter().enumerate() {
            println!(
                "| {name} | {program} | {} | {asked} | {p99:.1?} | {lost} of {said}, {way:.1?} | {noise:.1?} | {} | {} | {} |",
                tally.sent(),
                mib(*before),
                mib(peak[at]),
                mib(after[at])
            );
        }
        assert!(p99 < room.slowest + noise, "p99 {p99:?}, of which the machine's {noise:?}");
        assert!(way < room.slowest + noise, "sound took {way:?}, of which the machine's {noise:?}");
        assert!(lost * 100 <= said * room.lost_percent, "{lost} of {said} packets of sound are lost");
        for (at, (program, before)) in before.iter().enumerate() {
            assert!(
                peak[at] < before + room.peak,
                "{program}: {before} KiB before, {} KiB at most",
                peak[at]
            );
        }
        after
    }
}

/// The user who wants nothing but to register, call, allocate and be heard.
struct User {
    stage: Arc<Stage>,
    phone: Phone,
    /// Over which he has a call with sound.
    _other: Phone,
    sound: Option<Sound>,
    turn: TurnClient,
    latencies: Vec<Duration>,
}

impl User {
    async fn comes(stage: &Arc<Stage>) -> Self {
        let ws = stage.doors.ws;
        let mut other = Phone::connect_from(USER, ws, "alice").await;
        assert_eq!(other.log_in("secret").await.code(), 200);
        let turn = TurnClient::new(USER, stage.doors.turn_udp, &told(&other)).await;
        let sound = Some(Sound::begins(&mut other).await);
        let phone = Phone::connect_from(USER, ws, "alice").await;
        Self { stage: Arc::clone(stage), phone, _other: other, sound, turn, latencies: Vec::new() }
    }

    /// Registers, calls, allocates, and now and then comes anew. All of it must succeed.
    async fn asks_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        for turn in 1.. {
            if turn % 10 == 0 {
                self.phone = Phone::connect_from(USER, self.stage.doors.ws, "alice").await;
            }
            let begun = Instant::now();
            assert_eq!(self.phone.log_in("secret").await.code(), 200);
            // Two requests.
            self.latencies.extend([begun.elapsed() / 2; 2]);
            let begun = Instant::now();
            self.phone.call("echo").await;
            // INVITE and BYE.
            self.latencies.extend([begun.elapsed() / 2; 2]);
            let begun = Instant::now();
            self.turn.allocates().await;
            self.latencies.extend([begun.elapsed() / 3; 3]);
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

async fn peak(stage: Arc<Stage>, over: Arc<AtomicBool>) -> Vec<u64> {
    let mut peak = Vec::new();
    while !over.load(Relaxed) {
        peak.resize(stage.memory().len(), 0);
        for (most, (_, now)) in peak.iter_mut().zip(stage.memory()) {
            *most = now.max(*most);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    peak
}

/// Waits until memory is near what it was.
async fn calmed(stage: &Stage, before: &[(&str, u64)], left: u64) -> Vec<u64> {
    let begun = Instant::now();
    loop {
        let now: Vec<u64> = stage.memory().into_iter().map(|(_, now)| now).collect();
        if now.iter().zip(before).all(|(now, (_, before))| *now <= before + left) {
            return now;
        }
        assert!(begun.elapsed() < CALM, "KiB before: {before:?}; {CALM:?} after the flood: {now:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// FLOOD_SECONDS makes it longer, for figures.
fn flood_time() -> Duration {
    let seconds = std::env::var("FLOOD_SECONDS").ok().map(|seconds| seconds.parse().unwrap());
    seconds.map_or(FLOOD, Duration::from_secs)
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
const WARM_UP: Duration = Duration::from_millis(300);
const FLOOD: Duration = Duration::from_secs(1);
/// Until a lost datagram of the user is sent again.
const REPEAT: Duration = Duration::from_millis(500);
const CALM: Duration = Duration::from_secs(10);
/// What a flood may cost.
#[derive(Clone, Copy)]
struct Room {
    /// The p99 of the user's requests and of his sound.
    slowest: Duration,
    /// Of his sound.
    lost_percent: usize,
    /// KiB that it may add.
    peak: u64,
    /// Ten seconds later: transactions of the user's own calls, and what the allocator keeps.
    left: u64,
}

/// The share of its address, or of a user or trunk.
const ONE_SOURCE: Room =
    Room { slowest: Duration::from_millis(250), lost_percent: 1, peak: 160 * 1_024, left: 24 * 1_024 };
/// Those of several addresses together (docs/limits.md): shares are of memory. Of processors nobody has one, so that it may be slow.
const STRANGERS: Room =
    Room { slowest: Duration::from_secs(10), lost_percent: 50, peak: 512 * 1_024, left: 48 * 1_024 };
/// KiB that the same flood may leave once more: nothing but what the allocator finds its place for.
const REPEATED: u64 = 8 * 1_024;
