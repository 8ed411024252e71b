//! Making and releasing legs, with what they hold of the engine: ufrags, paths, ports.

use std::time::Instant;

use relay_api::{LegName, LegSpec, RelayError};

use super::{Engine, Interface, Io, PortPair, interface};
use crate::leg::Leg;
use crate::leg::plain::Plain;
use crate::leg::web::Web;

impl Engine {
    /// A new leg with all that it needs.
    pub(super) fn leg(
        &mut self,
        spec: &LegSpec,
        slot: usize,
        name: LegName,
        now: Instant,
        io: &mut dyn Io,
    ) -> Result<Leg, RelayError> {
        let mut leg = match spec {
            LegSpec::WebRtc(_) => {
                let web = Web::new(&mut self.random, now);
                self.by_ufrag.insert(web.agent.local().ufrag.clone(), (slot, name));
                Leg::web(web, self.epoch, now, &mut self.random)
            }
            LegSpec::Rtp(rtp) => {
                let at = interface::of_leg(&self.config.interfaces, rtp)?;
                let Interface { range, advertised, .. } = self.config.interfaces[at];
                let pair = self.pair(range, slot, now, io)?;
                Leg::plain(Plain::new(at, pair, advertised), self.epoch, now, &mut self.random)
            }
            LegSpec::Service(service) => Leg::service(*service, self.epoch, now, &mut self.random),
        };
        // A leg that was just made has no remote half yet, so that nothing is restarted.
        leg.adapt(spec, now, &mut self.random);
        Ok(leg)
    }

    /// Finds a port pair that can be bound.
    fn pair(
        &mut self,
        range: u8,
        slot: usize,
        now: Instant,
        io: &mut dyn Io,
    ) -> Result<PortPair, RelayError> {
        let ports = &mut self.ports[usize::from(range)];
        for _ in 0..MAX_BIND_TRIES {
            let Some(rtp) = ports.take(slot, now) else { break };
            let pair = PortPair { range, rtp };
            if io.open(pair) {
                return Ok(pair);
            }
            // Somebody else's: it rests like one of ours.
            ports.put_back(rtp, now);
        }
        Err(RelayError::Full { what: "ports".to_owned() })
    }

    pub(super) fn release(&mut self, leg: Leg, now: Instant, io: &mut dyn Io) {
        if let Some(web) = leg.as_web() {
            for ufrag in web.agent.ufrags() {
                self.by_ufrag.remove(ufrag);
            }
            for path in web.agent.paths() {
                self.by_path.remove(&path);
            }
        }
        if let Some(plain) = leg.as_plain() {
            io.close(plain.pair);
            self.ports[usize::from(plain.pair.range)].put_back(plain.pair.rtp, now);
        }
    }
}

/// Ports tried before the range is called full.
const MAX_BIND_TRIES: usize = 16;
