//! A user's call to `echo`, whose sound goes on: each packet comes back or is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use relay_api::{Fingerprint, LegDescription, LegSpec, SessionDescription, SessionId};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::super::phone::{Dialled, Phone};
use super::super::speaker;
use super::REPEAT;

/// What became of the packets of one call.
pub struct Heard {
    pub said: usize,
    /// From the browser to `echo` and back, of those that came back.
    pub ways: Vec<Duration>,
}

/// A browser whose call has sound.
pub struct Sound {
    speaker: speaker::Phone,
}

impl Sound {
    /// Calls `echo` until sound crosses.
    pub async fn begins(phone: &mut Phone) -> Self {
        let mut speaker = speaker::Phone::new().await;
        let call = phone.dial_with("echo", offer(&speaker)).await;
        speaker.learn(&description(&call));
        // RFC 8445 §7.2.1: a check that was lost is sent again.
        while timeout(REPEAT, speaker.check()).await.is_err() {}
        speaker.shake_hands().await;
        Self { speaker }
    }

    /// Speaks 20 ms at a time until `over`.
    pub async fn goes_on(mut self, over: Arc<AtomicBool>) -> Heard {
        let mut said: Vec<Instant> = Vec::new();
        let mut ways = Vec::new();
        let mut pace = interval(PACKET);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !over.load(Relaxed) {
            tokio::select! {
                _ = pace.tick() => {
                    let number = said.len() as u32;
                    said.push(Instant::now());
                    self.speaker.say(&payload(number)).await;
                }
                packet = self.speaker.hear_packet() => ways.extend(way(&said, &packet)),
            }
        }
        // What is still on its way.
        while ways.len() < said.len()
            && let Ok(packet) = timeout(LAST, self.speaker.hear_packet()).await
        {
            ways.extend(way(&said, &packet));
        }
        Heard { said: said.len(), ways }
    }
}

fn payload(number: u32) -> Vec<u8> {
    let mut payload = number.to_be_bytes().to_vec();
    payload.resize(160, 0x55);
    payload
}

fn way(said: &[Instant], packet: &[u8]) -> Option<Duration> {
    let number = u32::from_be_bytes(packet[12..16].try_into().unwrap());
    said.get(number as usize).map(Instant::elapsed)
}

fn offer(speaker: &speaker::Phone) -> String {
    let LegSpec::WebRtc(leg) = speaker.leg() else { panic!("a browser's leg") };
    let remote = leg.remote.unwrap();
    let (ufrag, password, fingerprint) = (&remote.ufrag, &remote.password, &remote.fingerprints[0]);
    format!(
        "v=0\r\no=- 46117317 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\n\
         a=fingerprint:{} {}\r\na=setup:active\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:0 PCMU/8000\r\n",
        fingerprint.algorithm, fingerprint.value
    )
}

/// What the answer says of the relay.
fn description(call: &Dialled) -> SessionDescription {
    let value = |prefix: &str| {
        let line = call.answer.lines().find_map(|line| line.strip_prefix(prefix));
        line.unwrap_or_else(|| panic!("no {prefix} in {}", call.answer)).trim().to_owned()
    };
    let candidate = value("a=candidate:");
    let parts: Vec<&str> = candidate.split(' ').collect();
    let fingerprint = value("a=fingerprint:");
    let (algorithm, digest) = fingerprint.split_once(' ').unwrap();
    let leg = LegDescription::WebRtc {
        ufrag: value("a=ice-ufrag:"),
        password: value("a=ice-pwd:"),
        candidates: vec![format!("{}:{}", parts[4], parts[5]).parse().unwrap()],
        fingerprint: Fingerprint { algorithm: algorithm.to_owned(), value: digest.to_owned() },
    };
    let id = SessionId("sound".to_owned());
    SessionDescription { id, revision: 1, a: leg, b: LegDescription::Service, relay: None }
}

const PACKET: Duration = Duration::from_millis(20);
const LAST: Duration = Duration::from_secs(1);
