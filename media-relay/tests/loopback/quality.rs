//! A browser whose packets are lost: what the relay says of its sound, and what the browser says of ours.

use relay_api::{EventKind, LegName, QualityClass, StreamDirection};

use crate::browser::Browser;
use crate::calls::{connect, pace, rtp_address};
use crate::peer::Peer;
use crate::{relay, rtp_leg};

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_loses_packets_is_told_of_and_its_score_falls() {
    let (relay, mut events) = relay(24_150..=24_159);
    let (mut browser, mut peer) = (Browser::new().await, Peer::new().await);
    let description = connect(&relay, &mut browser, "lossy", rtp_leg(Some(peer.remote()))).await;
    let (trunk, frame) = (rtp_address(&description), [0x55; 160]);
    let mut pace = pace();
    let told = loop {
        tokio::select! {
            _ = pace.tick() => {
                browser.says_in_vain();
                browser.say(&frame).await;
                peer.send(trunk, 0, &frame).await;
            }
            event = events.next() => {
                let event = event.unwrap();
                if let EventKind::Quality(report) = event.kind {
                    break (event.leg, report);
                }
            }
        }
    };
    let (leg, report) = told;
    assert_eq!(
        (leg, report.direction, report.class),
        (LegName::A, StreamDirection::Received, QualityClass::Poor)
    );
    // The browser's own reports come with time, as the trunk's would.
    let statistics = loop {
        let statistics = relay.statistics(&description.id).await.unwrap();
        if statistics.a.sent.quality.is_some() {
            break statistics;
        }
        pace.tick().await;
        peer.send(trunk, 0, &frame).await;
    };
    let [lossy, clean] = [statistics.a.received, statistics.b.received].map(|stream| stream.quality.unwrap());
    assert!(lossy.mos < 3.1 && lossy.loss_percent > 30.0 && clean.mos > lossy.mos + 1.0, "{statistics:?}");
    assert_eq!((lossy.worst, clean.lost_packets), (QualityClass::Poor, 0));
    let heard = statistics.a.sent.quality.unwrap();
    assert!((1.0..=4.5).contains(&heard.mos) && heard.loss_percent < 10.0, "{statistics:?}");
}
