//! The ClientHello race, and alerts that anybody can write.

use super::lab::{Lab, Stranger};

#[tokio::test(flavor = "multi_thread")] // position 1: before ICE, 2: between ICE and DTLS, 3: after the first hello
async fn strange_hellos_win_no_race_and_get_no_octet() {
    let mut lab = Lab::start(24_610..=24_619).await;
    let stranger = Stranger::new();
    let attack = async |lab: &Lab| {
        let before = lab.relay.totals().received;
        for _ in 0..20 {
            stranger.sends(&null_cipher_hello(), lab.mux());
        }
        lab.until_read(before + 20).await;
    };
    attack(&lab).await;
    lab.phone.check().await;
    attack(&lab).await;
    lab.phone.speak_dtls().await;
    attack(&lab).await;
    lab.phone.shake_hands().await;
    lab.sound_crosses().await;
    assert_eq!(stranger.received(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn hellos_under_the_browsers_own_address_do_not_stop_its_handshake() {
    for position in 1..=3 {
        let mut lab = Lab::start(24_620..=24_629).await;
        let attack = async |lab: &Lab| {
            for _ in 0..20 {
                lab.phone.send(&null_cipher_hello()).await;
            }
        };
        if position == 1 {
            attack(&lab).await;
        }
        lab.phone.check().await;
        if position == 2 {
            attack(&lab).await;
        }
        lab.phone.speak_dtls().await;
        if position == 3 {
            attack(&lab).await;
        }
        lab.phone.shake_hands().await;
        lab.sound_crosses().await;
    }
}

#[tokio::test(flavor = "multi_thread")] // RFC 5246 §7.2: in the clear anybody can write them
async fn fatal_alerts_in_the_clear_end_nothing() {
    let mut lab = Lab::start(24_630..=24_639).await;
    let stranger = Stranger::new();
    let attack = async |lab: &Lab| {
        for (level, description) in [(2, 40), (2, 80), (1, 0)] {
            let alert = [21, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, level, description];
            lab.phone.send(&alert).await;
            stranger.sends(&alert, lab.mux());
            // Said to be of epoch 1, but under no key.
            let mut sealed = [[21, 0xFE, 0xFD, 0, 1, 0, 0, 0, 0, 0, 9, 0, 26].as_slice(), &[7; 26]].concat();
            lab.phone.send(&sealed).await;
            sealed[10] = 1;
            lab.phone.send(&sealed).await;
        }
    };
    attack(&lab).await;
    lab.phone.check().await;
    attack(&lab).await;
    lab.phone.speak_dtls().await;
    attack(&lab).await;
    lab.phone.shake_hands().await;
    attack(&lab).await;
    lab.sound_crosses().await;
    attack(&lab).await;
    lab.sound_crosses().await;
    assert_eq!(stranger.received(), 0);
}

/// A whole, well-formed hello that offers TLS_NULL_WITH_NULL_NULL alone.
fn null_cipher_hello() -> Vec<u8> {
    let mut hello =
        vec![22, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 54, 1, 0, 0, 42, 0, 0, 0, 0, 0, 0, 0, 0, 42];
    hello.extend([0xFE, 0xFD]);
    hello.extend([7; 32]);
    hello.extend([0, 0, 0, 2, 0, 0, 1, 0]);
    hello
}
