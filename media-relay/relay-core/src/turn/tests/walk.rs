//! A random walk: clients come, ask and vanish while garbage and mutants arrive. Nothing panics, and nothing is left.

use super::*;

#[test]
fn whatever_clients_do_nothing_is_left() {
    for seed in 0..30 {
        walk(seed);
    }
}

fn walk(seed: u8) {
    let mut dice = Random::new([seed; 32]);
    let mut below = move |limit: u32| dice.u32() % limit;
    let mut rig = Rig::with(|config| config.relayed[0].ports = 50_000..=50_006);
    let mut phones: Vec<Phone> =
        (0..6).map(|at| Phone::new(at, ["alice", "bob"][usize::from(at % 2)])).collect();
    phones[5].client = stream(1);
    for _ in 0..400 {
        let at = below(6) as usize;
        let phone = &mut phones[at];
        phone.transaction %= 200;
        let peers = [local(), listed(), address("8.8.8.8:53"), address("[2001:db8::1]:4000")];
        let peer = peers[below(4) as usize];
        match below(10) {
            0 | 1 => {
                let even = [EVEN, EVEN_AND_NEXT, NO_LIFETIME][below(3) as usize];
                rig.ask(phone, ALLOCATE, &[TRANSPORT_UDP, even]);
            }
            2 => _ = rig.ask(phone, REFRESH, if below(2) == 0 { &[NO_LIFETIME] } else { &[] }),
            3 => _ = rig.permit(phone, peer),
            4 => _ = rig.bind(phone, 0x4000 + below(3) as u16, peer),
            5 => {
                let indication = phone.indication(peer, &[0; 100]);
                _ = rig.receives(phone.client, &indication);
            }
            6 => _ = rig.receives(phone.client, &channel_data(0x4000 + below(3) as u16, &[0; 30])),
            7 => {
                let mut mutant = phone.request(ALLOCATE, &[TRANSPORT_UDP, EVEN_AND_NEXT]);
                let place = below(mutant.len() as u32) as usize;
                mutant[place] ^= 1 << below(8);
                _ = rig.receives(phone.client, &mutant);
            }
            8 => rig.after(Duration::from_secs(u64::from(below(200)))),
            _ => rig.server.close(&phone.client, rig.now, &mut rig.io),
        }
        let port = RelayedPort { relayed: 0, port: 50_000 + below(8) as u16 };
        rig.server.from_peer(port, listed(), b"in", rig.now, &mut rig.io);
        rig.server.from_engine(
            0,
            SocketAddr::new(ip("198.51.100.1"), port.port),
            b"in",
            rig.now,
            &mut rig.io,
        );
        rig.io.to_clients.clear();
        let totals = rig.server.totals();
        assert_eq!(rig.quotas.0.lock().unwrap().held() as usize, totals.allocations, "seed {seed}");
        assert!(totals.ports == totals.allocations + rig.server.reservations.len(), "seed {seed}");
        assert!(rig.io.open.len() <= totals.allocations, "seed {seed}");
        assert!(rig.io.to_peers.iter().all(|(_, peer, _)| *peer == listed()), "seed {seed}");
    }
    rig.after(Duration::from_secs(3_601));
    assert!(rig.is_empty(), "seed {seed}");
}
