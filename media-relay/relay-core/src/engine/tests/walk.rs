//! A random walk: sessions come, change and go while garbage, mutants and real packets arrive. Nothing panics, and
//! nothing is left.

use super::*;

struct Dice(Random);

impl Dice {
    fn below(&mut self, limit: u32) -> u32 {
        self.0.u32() % limit
    }

    fn garbage(&mut self) -> Vec<u8> {
        let length = self.below(200) as usize;
        let mut bytes: Vec<u8> = (0..length).map(|_| self.0.u32() as u8).collect();
        // Often something that looks right at its beginning.
        let heads: [&[u8]; 6] = [
            &[],
            &[0x80, 0],
            &[0x80, 200, 0, 6],
            &[22, 0xFE, 0xFD, 0, 0],
            &[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42],
            &[0x90, 101, 0, 1],
        ];
        let head = heads[self.below(6) as usize];
        for (place, byte) in bytes.iter_mut().zip(head) {
            *place = *byte;
        }
        bytes
    }
}

#[test]
fn whatever_arrives_nothing_panics_and_nothing_is_left() {
    for seed in 0..40_u8 {
        walk(seed);
    }
}

fn walk(seed: u8) {
    let mut dice = Dice(Random::new([seed; 32]));
    let mut rig = Rig::with(6, 40_000..=40_007);
    let mut browsers: Vec<Browser> =
        (0..2).map(|at| Browser::new(&format!("198.51.100.{at}:50000"), DtlsRole::Passive)).collect();
    let mut revision = 0;
    for _ in 0..600 {
        match dice.below(12) {
            0 | 1 => {
                revision += 1;
                let at = dice.below(2) as usize;
                let leg = |dice: &mut Dice, browsers: &[Browser]| match dice.below(5) {
                    0 => LegSpec::Service(relay_api::Service::Echo),
                    1 => LegSpec::Service(relay_api::Service::Tone),
                    2 => browsers[at].leg(),
                    3 => rtp_leg(None),
                    _ => rtp_leg(Some(remote())),
                };
                let (a, b) = (leg(&mut dice, &browsers), leg(&mut dice, &browsers));
                let wanted = spec(&format!("s{}", dice.below(8)), revision, a, b);
                if let Ok(description) = rig.put(&wanted)
                    && let LegDescription::WebRtc { .. } = description.a
                {
                    browsers[at].learn(&description.a);
                }
            }
            2 => rig.delete(&format!("s{}", dice.below(8))),
            3 => {
                let id = SessionId(format!("s{}", dice.below(8)));
                _ = rig.engine.dtmf(&id, LegName::B, '4', Duration::from_millis(50), rig.now);
            }
            4 | 5 => {
                let at = dice.below(2) as usize;
                let check = browsers[at].check(dice.below(2) == 0);
                for sent in rig.receives(MUX, browsers[at].address, &check) {
                    let replies = if demux::kind(&sent.datagram) == Kind::Dtls {
                        // A browser that was given another session's records throws them away.
                        let browser = &mut browsers[at];
                        if browser.dtls.handle_input(&sent.datagram, rig.now).is_err() {
                            browser.dtls = browser.identity.start(browser.role, rig.now);
                        }
                        browser.pump(rig.now)
                    } else {
                        Vec::new()
                    };
                    for reply in replies {
                        rig.receives(MUX, browsers[at].address, &reply);
                    }
                }
            }
            6 => {
                let time = Duration::from_millis(u64::from(dice.below(3_000)));
                rig.after(time);
            }
            7 => {
                let at = dice.below(2) as usize;
                let mut check = browsers[at].check(true);
                let place = dice.below(check.len() as u32) as usize;
                check[place] ^= 1 << dice.below(8);
                rig.receives(MUX, browsers[at].address, &check);
            }
            _ => {
                let pair = PortPair { range: 0, rtp: 40_000 + 2 * dice.below(5) as u16 };
                let socket = [MUX, SocketId::Rtp(pair), SocketId::Rtcp(pair), SocketId::Mux(9)]
                    [dice.below(4) as usize];
                let sources = [remote().rtp, remote().rtcp, stranger(), browsers[0].address];
                let garbage = dice.garbage();
                rig.receives(socket, sources[dice.below(4) as usize], &garbage);
            }
        }
    }
    for number in 0..8 {
        rig.delete(&format!("s{number}"));
    }
    let totals = rig.engine.totals();
    assert_eq!((totals.sessions, totals.port_pairs, totals.paths), (0, 0, 0), "seed {seed}");
    assert!(rig.io.open.is_empty() && rig.engine.by_ufrag.is_empty() && rig.engine.by_id.is_empty());
    assert_eq!(rig.engine.poll_timeout(), None, "seed {seed}");
}
