//! RTP injection and RTP bleed: 80 packets on each leg, 20 in each of four positions.

use std::net::SocketAddr;

use super::lab::{Lab, STRANGER, Stranger, lost};
use crate::peer::Peer;
use crate::rtp_leg;
use crate::sound::Tone;

#[tokio::test(flavor = "multi_thread")]
async fn of_80_strange_packets_on_each_leg_none_is_heard_and_nothing_leaks() {
    let mut lab = Lab::start(24_600..=24_609).await;
    let mut flood = Flood::new(&lab).await;

    flood.attacks(&lab).await; // before media
    lab.phone.check().await;
    lab.phone.shake_hands().await;
    flood.attacks(&lab).await; // while the caller is silent
    lab.sound_crosses().await;
    flood.attacks(&lab).await; // mid-call
    lab.sound_crosses().await;
    let Peer { rtp, rtcp, .. } = Peer::new().await;
    (lab.peer.rtp, lab.peer.rtcp) = (rtp, rtcp);
    let moved = lab.peer.remote();
    lab.change(|spec| spec.b = rtp_leg(Some(moved))).await;
    flood.attacks(&lab).await; // after a re-INVITE
    lab.sound_crosses().await;

    assert_eq!((flood.sent, flood.received()), (80, 0));
    let [browser, trunk] = lab.statistics().await;
    assert_eq!((trunk.wrong_source, trunk.received.packets, lost(trunk)), (80, 60, Some(0)));
    assert_eq!((browser.received.packets, lost(browser), browser.unauthentic), (60, Some(0), 0));
}

/// Two strangers: one at the trunk's address with another port, one at another address with the trunk's port.
struct Flood {
    strangers: [Stranger; 2],
    stream: Peer,
    tone: Tone,
    sent: u64,
}

impl Flood {
    async fn new(lab: &Lab) -> Self {
        let same_port = SocketAddr::from(([127, 0, 0, 66], lab.peer.remote().rtp.port()));
        let strangers = [Stranger::new(), Stranger::at(same_port)];
        Self { strangers, stream: Peer::new().await, tone: Tone::new(STRANGER), sent: 0 }
    }

    /// Twenty packets to each leg; done when the relay has read them.
    async fn attacks(&mut self, lab: &Lab) {
        let before = lab.relay.totals().received;
        for stranger in self.strangers.iter().cycle().take(20) {
            let packet = self.stream.packet(0, &self.tone.frame());
            stranger.sends(&packet, lab.trunk());
            stranger.sends(&packet, lab.mux());
            self.sent += 1;
        }
        lab.until_read(before + 40).await;
    }

    fn received(&self) -> usize {
        self.strangers.iter().map(Stranger::received).sum()
    }
}
