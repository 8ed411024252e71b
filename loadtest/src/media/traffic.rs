//! Voice packets at a steady pace between many peers, and what became of them.
//!
//! One thread does all of it. It sleeps until the next tick, sends what is due, and looks now and then for what has come: nothing
//! ever waits in the poll, so that a server's send never pays for waking the generator, as it never would on a real
//! network. Delays come from the kernel's own time stamps, so that looking late adds nothing to them.

use super::browser::Browser;
use super::link::{LARGEST, Link};
use crate::process::ProcessTree;
use crate::stats::Histogram;
use crate::swarm::Stop;
use crate::sys;
use rustix::event::epoll;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Somebody who speaks, listens or answers.
pub struct Endpoint {
    peer: Peer,
    is_timed: bool,
    sequence: u16,
    sent: u64,
    received: u64,
}

enum Peer {
    Plain(Link),
    Browser(Box<Browser>),
    Echo(Link),
}

/// What was carried.
#[derive(Debug, Clone)]
pub struct Carried {
    /// CPU time of the server for a packet that it delivered, in microseconds.
    pub cpu_us_per_packet: f64,
    /// Packets delivered each second.
    pub packets_per_second: f64,
    /// Of those sent.
    pub lost_percent: f64,
    /// From the sender's call to the arrival at the timed receivers, in microseconds.
    pub delay: Histogram,
}

impl Endpoint {
    /// Speaks and listens in the clear.
    pub fn plain(link: Link) -> Self {
        Self::new(Peer::Plain(link))
    }

    /// Speaks and listens by SRTP; the delay of what it hears counts.
    pub fn browser(browser: Browser) -> Self {
        Self { is_timed: true, ..Self::new(Peer::Browser(Box::new(browser))) }
    }

    /// Sends back what comes, to whoever sent it.
    pub fn echo(link: Link) -> Self {
        Self::new(Peer::Echo(link))
    }

    /// The delay of what it hears counts.
    #[must_use]
    pub fn timed(self) -> Self {
        Self { is_timed: true, ..self }
    }

    fn new(peer: Peer) -> Self {
        Self { peer, is_timed: false, sequence: 1, sent: 0, received: 0 }
    }

    fn link(&self) -> &Link {
        match &self.peer {
            Peer::Plain(link) | Peer::Echo(link) => link,
            Peer::Browser(browser) => &browser.link,
        }
    }

    fn is_echo(&self) -> bool {
        matches!(self.peer, Peer::Echo(_))
    }

    /// Says 20 ms of G.711 with the time in it.
    fn speak(&mut self) {
        let mut packet = [0xD5; PACKET];
        packet[..2].copy_from_slice(&[0x80, 0]);
        packet[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        packet[4..8].copy_from_slice(&(u32::from(self.sequence) * 160).to_be_bytes());
        packet[8..12].copy_from_slice(&7_u32.to_be_bytes());
        packet[12..20].copy_from_slice(&MARK);
        packet[20..28].copy_from_slice(&(since_1970().as_nanos() as u64).to_be_bytes());
        match &mut self.peer {
            Peer::Plain(link) => link.send(&packet),
            Peer::Browser(browser) => {
                if let Some(protected) = browser.protect(&packet) {
                    browser.link.send(protected.as_ref());
                }
                if self.sent.is_multiple_of(CONSENT) {
                    browser.check();
                }
            }
            Peer::Echo(_) => {}
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.sent += 1;
    }

    fn hear(&mut self, delay: &mut Histogram) {
        let mut buffer = [0; LARGEST];
        let heard = match &mut self.peer {
            Peer::Plain(link) => link.receive(&mut buffer).and_then(|(packet, at)| sent_at(packet, at)),
            Peer::Browser(browser) => {
                let Some((datagram, at)) = browser.link.receive(&mut buffer) else { return };
                let length = datagram.len();
                let mut copy = [0; LARGEST];
                copy[..length].copy_from_slice(datagram);
                match copy[0] {
                    128..=191 => {
                        browser.open(&copy[..length]).and_then(|packet| sent_at(packet.as_ref(), at))
                    }
                    _ => {
                        browser.take(&copy[..length], Instant::now());
                        None
                    }
                }
            }
            Peer::Echo(link) => match link.socket().recv_from(&mut buffer) {
                Ok((length, source)) => {
                    _ = link.socket().send_to(&buffer[..length], source);
                    Some(Duration::ZERO)
                }
                Err(_) => None,
            },
        };
        if let Some(took) = heard {
            self.received += 1;
            if self.is_timed {
                delay.record(took);
            }
        }
    }
}

/// How long a packet of ours was under way; silence and others are not ours.
fn sent_at(packet: &[u8], arrived: Duration) -> Option<Duration> {
    let stamp = packet.get(20..28).filter(|_| packet[12..20] == MARK)?;
    let sent = Duration::from_nanos(u64::from_be_bytes(stamp.try_into().ok()?));
    Some(arrived.saturating_sub(sent))
}

/// Lets everybody speak for `warm_up` and then for `measured`, in which the server's CPU time counts.
///
/// # Errors
/// What the operating system says; [`io::ErrorKind::Interrupted`] if it is to stop.
pub fn carry(
    endpoints: &mut [Endpoint],
    server: &ProcessTree,
    measured: Duration,
    stop: &Stop,
) -> io::Result<Carried> {
    let mut stage = Stage::new(endpoints)?;
    stage.run(endpoints, WARM_UP, stop)?;
    stage.delay = Histogram::new();
    let (before, heard, began) = (server.read()?, received(endpoints), Instant::now());
    stage.run(endpoints, measured, stop)?;
    let (after, took) = (server.read()?, began.elapsed());
    let packets = (received(endpoints) - heard) as f64;
    let delay = stage.take_delays();
    stage.settle(endpoints)?;
    let sent = sent(endpoints);
    let listened: u64 = endpoints.iter().filter(|one| !one.is_echo()).map(|one| one.received).sum();
    Ok(Carried {
        cpu_us_per_packet: after.cpu_since(&before).as_secs_f64() * 1e6 / packets.max(1.0),
        packets_per_second: packets / took.as_secs_f64(),
        lost_percent: 100.0 * sent.saturating_sub(listened) as f64 / (sent.max(1)) as f64,
        delay,
    })
}

/// What all have heard.
pub fn received(endpoints: &[Endpoint]) -> u64 {
    endpoints.iter().map(|endpoint| endpoint.received).sum()
}

/// What all have said.
pub fn sent(endpoints: &[Endpoint]) -> u64 {
    endpoints.iter().map(|endpoint| endpoint.sent).sum()
}

/// Where endpoints speak and are listened to.
pub struct Stage {
    epoll: OwnedFd,
    speakers: Vec<usize>,
    delay: Histogram,
    buffer: Vec<epoll::Event>,
}

impl Stage {
    /// For these endpoints, and no others later.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn new(endpoints: &[Endpoint]) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (index, endpoint) in endpoints.iter().enumerate() {
            let data = epoll::EventData::new_u64(index as u64);
            epoll::add(&epoll, endpoint.link().socket(), data, epoll::EventFlags::IN)?;
        }
        let speakers = (0..endpoints.len()).filter(|&index| !endpoints[index].is_echo()).collect();
        let empty = epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) };
        Ok(Self { epoll, speakers, delay: Histogram::new(), buffer: vec![empty; EVENTS] })
    }

    /// Lets all speak. Their packets are spread evenly over the 20 ms.
    ///
    /// # Errors
    /// What the operating system says; [`io::ErrorKind::Interrupted`] if it is to stop.
    pub fn run(&mut self, endpoints: &mut [Endpoint], during: Duration, stop: &Stop) -> io::Result<()> {
        let gap = FRAME / self.speakers.len() as u32;
        let (began, mut listened) = (Instant::now(), Instant::now());
        let (mut next, mut due) = (0, Duration::ZERO);
        loop {
            let now = began.elapsed();
            if now >= during {
                return self.listen(endpoints);
            }
            while due <= now {
                endpoints[self.speakers[next]].speak();
                next = (next + 1) % self.speakers.len();
                due += gap;
            }
            if listened.elapsed() >= LOOK {
                self.listen(endpoints)?;
                listened = Instant::now();
                if stop.is_requested() {
                    return Err(io::ErrorKind::Interrupted.into());
                }
            }
            std::thread::sleep(due.saturating_sub(began.elapsed()).max(TICK).min(LOOK));
        }
    }

    /// The delays since the last time.
    pub fn take_delays(&mut self) -> Histogram {
        std::mem::take(&mut self.delay)
    }

    /// Waits for what is still under way.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn settle(&mut self, endpoints: &mut [Endpoint]) -> io::Result<()> {
        std::thread::sleep(LAST);
        self.listen(endpoints)
    }

    /// Takes all that is there.
    fn listen(&mut self, endpoints: &mut [Endpoint]) -> io::Result<()> {
        loop {
            let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
            let count = epoll::wait(&self.epoll, &mut self.buffer[..], Some(&now))?;
            for event in &self.buffer[..count] {
                endpoints[event.data.u64() as usize].hear(&mut self.delay);
            }
            if count == 0 {
                return Ok(());
            }
        }
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Makes sleeps end in time: by default Linux adds 50 µs (prctl(2), PR_SET_TIMERSLACK).
pub fn prepare() {
    sys::wake_in_time();
}

/// A packet of 20 ms of G.711: RTP header and 160 bytes.
const PACKET: usize = 172;
const FRAME: Duration = Duration::from_millis(20);
/// In the payload, so that the server's silence is told from ours.
const MARK: [u8; 8] = *b"loadtest";
/// The generator sleeps no shorter: at high rates a tick's packets leave together.
const TICK: Duration = Duration::from_micros(250);
/// Between two looks for what has come.
const LOOK: Duration = Duration::from_millis(2);
const WARM_UP: Duration = Duration::from_secs(1);
/// For what is still under way at the end.
const LAST: Duration = Duration::from_millis(200);
/// Packets between two signs of consent (RFC 7675): 5 s.
const CONSENT: u64 = 250;
const EVENTS: usize = 1_024;
