//! 10,000 forged and replayed packets under the browser's own address.

use relay_api::EventKind;

use super::lab::{Lab, lost};

#[tokio::test(flavor = "multi_thread")]
async fn forged_and_replayed_packets_are_counted_and_the_call_stays() {
    let mut lab = Lab::call(24_650..=24_659).await;
    lab.sound_crosses().await;
    let (sound, report) = (lab.phone.sealed(&[1; 160]), lab.phone.sealed_report());
    lab.phone.send(&sound).await;
    lab.phone.send(&report).await;
    for round in 0..ROUNDS {
        for number in 0..EACH {
            let at = 12 + usize::from(number) % (sound.len() - 12);
            lab.phone.send(&changed(&sound, at)).await;
            lab.phone.send(&changed(&report, 8 + usize::from(number) % (report.len() - 8))).await;
            lab.phone.send(&sound).await;
            lab.phone.send(&report).await;
        }
        lab.browser_is_refused(u64::from(round + 1) * 4 * u64::from(EACH)).await;
    }
    lab.peer_catches_up().await;
    lab.sound_crosses().await;
    let [browser, trunk] = lab.statistics().await;
    assert_eq!((browser.unauthentic, browser.received.packets, lost(browser)), (10_000, 41, Some(0)));
    assert_eq!((trunk.received.packets, lost(trunk)), (40, Some(0)));
    lab.relay.stop().await;
    while let Some(event) = lab.events.next().await {
        assert_eq!(event.kind, EventKind::MediaStarted);
    }
}

impl Lab {
    /// Waits until so many packets were counted as not authentic.
    async fn browser_is_refused(&self, packets: u64) {
        while self.statistics().await[0].unauthentic < packets {
            tokio::task::yield_now().await;
        }
    }

    /// Takes what the trunk has heard so far.
    async fn peer_catches_up(&self) {
        let mut buffer = [0; 2_048];
        while self.peer.rtp.try_recv_from(&mut buffer).is_ok() {}
    }
}

fn changed(packet: &[u8], at: usize) -> Vec<u8> {
    let mut packet = packet.to_vec();
    packet[at] ^= 0x41;
    packet
}

/// As many as a socket's buffer surely holds are sent between two looks at the counter.
const EACH: u16 = 25;
const ROUNDS: u16 = 100;
