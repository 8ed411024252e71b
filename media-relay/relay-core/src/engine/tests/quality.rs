//! How the streams sound: both legs, both directions, and what is told of it.

use relay_api::QualityClass::{self, Fair, Good, Poor};
use relay_api::StreamDirection::{self, Received, Sent};

use super::*;

/// A call whose two sides speak all the time over a network that loses packets of the trunk's leg.
struct Talk {
    rig: Rig,
    browser: Browser,
    spec: SessionSpec,
    pair: PortPair,
    sequence: u16,
    /// What the trunk says in its reports.
    heard: Block,
}

impl Talk {
    fn new() -> Self {
        let mut rig = Rig::new();
        let (browser, spec, pair) = rig.call(DtlsRole::Passive);
        Self { rig, browser, spec, pair, sequence: 0, heard: Block::default() }
    }

    /// So many packets of a hundred are lost on the way from the trunk, and to it.
    fn goes_on(&mut self, seconds: u32, lost_from: u32, lost_to: u32) {
        for _ in 0..seconds * 50 {
            self.sequence += 1;
            let place = u32::from(self.sequence) * 37 % 100;
            if place >= lost_from {
                self.trunk_speaks();
            }
            let sealed = self.browser.seal(&rtp(self.sequence, 0x11));
            let mut sent = self.rig.receives(MUX, self.browser.address, &sealed);
            sent.extend(self.rig.after(Duration::from_millis(20)));
            for sent in sent {
                self.trunk_hears(&sent, place < lost_to);
            }
            if self.sequence.is_multiple_of(250) {
                let check = self.browser.check(true);
                self.rig.receives(MUX, self.browser.address, &check);
            }
        }
    }

    fn trunk_speaks(&mut self) {
        self.rig.receives(SocketId::Rtp(self.pair), remote().rtp, &rtp(self.sequence, 0x22));
    }

    fn trunk_hears(&mut self, sent: &super::Sent, is_lost: bool) {
        match sent.socket {
            SocketId::Mux(_) => {}
            SocketId::Rtp(_) => {
                let header = crate::rtp::Header::parse(&sent.datagram).unwrap();
                let step = header.sequence.wrapping_sub(self.heard.highest_sequence as u16);
                self.heard.highest_sequence += u32::from(step);
                self.heard.lost += i32::from(is_lost);
            }
            SocketId::Rtcp(pair) => {
                let answer = answered(&sent.datagram, self.heard);
                self.rig.receives(SocketId::Rtcp(pair), remote().rtcp, &answer);
            }
        }
    }

    /// What was told since the last call.
    fn told(&mut self) -> Vec<(LegName, StreamDirection, QualityClass)> {
        let events = self.rig.events().into_iter();
        events
            .filter_map(|(leg, kind)| match kind {
                EventKind::Quality(report) => Some((leg, report.direction, report.class)),
                _ => None,
            })
            .collect()
    }
}

#[test]
fn each_direction_is_told_of_when_it_becomes_worse_and_when_it_recovers() {
    let mut talk = Talk::new();
    talk.goes_on(20, 0, 0);
    assert_eq!(talk.told(), [], "a good call makes no noise");

    talk.goes_on(20, 20, 0);
    let told = talk.told();
    assert_eq!(told.last(), Some(&(LegName::B, Received, Poor)));
    // One interval may lie astride.
    assert!(told.len() <= 2 && told.iter().all(|(leg, from, _)| (*leg, *from) == (LegName::B, Received)));

    talk.goes_on(20, 0, 0);
    assert_eq!(talk.told().last(), Some(&(LegName::B, Received, Good)));

    talk.goes_on(20, 0, 8);
    assert_eq!(talk.told(), [(LegName::B, Sent, Fair)]);

    let SessionStatistics { a, b, .. } = talk.rig.statistics("call");
    let (received, sent) = (b.received.quality.unwrap(), b.sent.quality.unwrap());
    assert_eq!((received.lost_packets, received.worst), (200, Poor));
    assert!((received.loss_percent - 5.0).abs() < 0.1, "200 of 4,000: {received:?}");
    assert!((3.8..4.0).contains(&received.mos), "{received:?}");
    assert!((60..=80).contains(&sent.lost_packets) && sent.worst == Fair, "{sent:?}");
    assert!(b.round_trip_ms.is_some());
    let browser = a.received.quality.unwrap();
    assert!(browser.lost_packets == 0 && browser.worst == Good && browser.mos > 4.3, "{browser:?}");
    assert_eq!((a.sent.quality, a.round_trip_ms), (None, None), "the browser never reported");
}

#[test]
fn what_was_dropped_on_hold_is_no_loss() {
    let mut talk = Talk::new();
    talk.goes_on(5, 0, 0);
    let hold = |talk: &mut Talk, direction| {
        talk.spec.revision += 1;
        if let LegSpec::Rtp(leg) = &mut talk.spec.b {
            leg.direction = direction;
        }
        talk.rig.put(&talk.spec).unwrap();
    };
    hold(&mut talk, Direction::SendOnly);
    talk.goes_on(10, 0, 0);
    hold(&mut talk, Direction::SendRecv);
    talk.goes_on(10, 0, 0);
    assert_eq!(talk.told(), []);
    assert_eq!(lost(talk.rig.statistics("call").b), Some(0));
}

#[test] // RFC 3389: comfort noise has numbers of the same stream
fn comfort_noise_that_nobody_negotiated_is_no_loss() {
    let mut rig = Rig::new();
    let (_, _, pair) = rig.call(DtlsRole::Passive);
    let mut say = |packet: Vec<u8>| rig.receives(SocketId::Rtp(pair), remote().rtp, &packet);
    for sequence in (0..200).filter(|sequence| sequence % 20 != 7) {
        let is_noise = sequence % 20 >= 10;
        say(if is_noise { rtp_of(13, sequence, &[0x40]) } else { rtp(sequence, 0x22) });
    }
    // Of another source it counts for nothing.
    let mut foreign = rtp_of(13, 30_000, &[0x40]);
    foreign[8..12].copy_from_slice(&7_u32.to_be_bytes());
    say(foreign);
    let leg = rig.statistics("call").b;
    assert_eq!((leg.received.packets, leg.unknown_payload_type), (90, 101));
    assert_eq!(lost(leg), Some(10));
}

#[test]
fn reports_about_a_stream_that_is_not_ours_count_for_nothing() {
    let mut talk = Talk::new();
    for ssrc in [0, 0x1234, u32::MAX] {
        let block = Block { ssrc, lost: 0x7F_FFFF, jitter: u32::MAX, ..Block::default() };
        let mut report = [0; 128];
        let length = rtcp::write(&mut report, 0x1234, None, Some(&block), b"a-plain-peers-id");
        talk.rig.receives(SocketId::Rtcp(talk.pair), remote().rtcp, &report[..length]);
    }
    assert_eq!(talk.rig.statistics("call").b.sent.quality, None);
}

#[test]
fn a_liar_gets_a_bad_mark_and_nothing_else() {
    let mut talk = Talk::new();
    talk.heard = Block { lost: 0x7F_FFFF, jitter: u32::MAX, fraction_lost: 255, ..talk.heard };
    talk.goes_on(20, 0, 0);
    assert_eq!(talk.told(), [(LegName::B, Sent, Poor)]);
    let sent = talk.rig.statistics("call").b.sent.quality.unwrap();
    assert!((1.0..=4.5).contains(&sent.mos) && (0.0..=100.0).contains(&sent.loss_percent), "{sent:?}");
}

#[test]
fn the_last_word_about_a_session_is_how_it_was() {
    let mut talk = Talk::new();
    talk.goes_on(2, 10, 0);
    let before = talk.rig.statistics("call");
    let last = talk.rig.engine.delete(&talk.spec.id, talk.rig.now, &mut talk.rig.io);
    assert_eq!(last, Some(before));
    assert_eq!(talk.rig.engine.delete(&talk.spec.id, talk.rig.now, &mut talk.rig.io), None);
}
