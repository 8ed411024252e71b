//! RTCP of a leg: it ends here, so that each peer gets figures of its own path.

use std::time::{Duration, Instant};

use relay_api::QualityReport;

use super::{Leg, Transport};
use crate::engine::Io;
use crate::random::Random;
use crate::rtcp::{self, Item, SenderInfo};

impl Leg {
    /// An RTCP compound from the peer.
    pub(crate) fn report_arrived(&mut self, compound: &[u8], now: Instant) {
        let (ours, numbering) = (self.stream.ssrc(), self.stream.numbering());
        let ntp_middle = self.quality.reception.ntp_middle(now);
        rtcp::read(compound, |item| match item {
            Item::Sender { ssrc, ntp_middle } => {
                self.quality.reception.sender_report(ssrc, ntp_middle, now);
            }
            Item::Block(block) => {
                // Of another's stream, or of one that never was, a peer may say what it likes.
                if let Some(numbering) = numbering.filter(|_| block.ssrc == ours) {
                    self.quality.audience.report_block(&block, numbering, ntp_middle);
                }
            }
        });
    }

    /// Sends our report when it is due, and judges what happened since the last one; what of it is news.
    pub(crate) fn report(
        &mut self,
        now: Instant,
        random: &mut Random,
        io: &mut dyn Io,
    ) -> [Option<QualityReport>; 2] {
        if self.report_due().is_none_or(|due| due > now) {
            return [None, None];
        }
        self.report_at = now + report_interval(random);
        let ntp = self.quality.reception.ntp(now);
        let sender = self.stream.sender_state(now).map(|(timestamp, packets, octets)| SenderInfo {
            ntp,
            timestamp,
            packets,
            octets,
        });
        let block = self.quality.reception.report(now);
        let mut buffer = [0; 160];
        let length =
            rtcp::write(&mut buffer, self.stream.ssrc(), sender.as_ref(), block.as_ref(), &self.cname);
        match &mut self.transport {
            Transport::Web(web) => web.send_rtcp(&mut buffer, length, io),
            Transport::Plain(plain) => {
                if let Some((socket, to)) = plain.rtcp() {
                    io.transmit(socket, to, &buffer[..length]);
                }
            }
            Transport::Service(..) => {}
        }
        self.quality.judge()
    }

    pub(crate) fn report_due(&self) -> Option<Instant> {
        self.is_ready().then_some(self.report_at)
    }
}

/// RFC 3550 §6.2 and §6.3.1: 5 s, made uneven so that reports of many sessions do not meet.
pub(super) fn report_interval(random: &mut Random) -> Duration {
    Duration::from_secs(5).mul_f64(0.5 + random.fraction())
}
