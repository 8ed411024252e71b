//! A browser that moves: RFC 8445 §9 (restart), and another path of the same generation.

use tokio::net::UdpSocket;

use super::lab::{Lab, Stranger, lost};

#[tokio::test(flavor = "multi_thread")]
async fn sound_follows_a_nominated_path_without_a_gap() {
    let mut lab = Lab::call(24_660..=24_669).await;
    lab.sound_crosses().await;
    for _ in 0..3 {
        lab.phone.socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        lab.phone.check().await;
        lab.sound_crosses().await;
    }
    let [browser, _] = lab.statistics().await;
    assert_eq!((lost(browser), browser.unauthentic), (Some(0), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_was_overheard_leads_the_sound_to_nobody_else() {
    let mut lab = Lab::call(24_680..=24_689).await;
    let stranger = Stranger::new();
    for _ in 0..20 {
        let check = lab.phone.written_check();
        let before = lab.relay.totals().received;
        lab.phone.send(&check).await;
        lab.until_read(before + 1).await;
        stranger.sends(&check, lab.mux());
        lab.until_read(before + 2).await;
        lab.sound_crosses().await;
    }
    assert_eq!(stranger.received(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ice_restart_keeps_sound_and_retires_the_old_credentials() {
    let mut lab = Lab::call(24_670..=24_679).await;
    lab.sound_crosses().await;
    let old = lab.phone.written_check();
    for ufrag in ["new1", "new2"] {
        lab.phone.ufrag = ufrag.to_owned();
        let leg = lab.phone.leg();
        lab.change(|spec| spec.a = leg).await;
        lab.sound_crosses().await; // the old path carries it
        lab.phone.socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        lab.phone.check().await;
        lab.sound_crosses().await;
    }
    let stranger = Stranger::new();
    stranger.sends(&old, lab.mux());
    lab.sound_crosses().await;
    assert_eq!(stranger.received(), 0);
    let [browser, trunk] = lab.statistics().await;
    assert_eq!((lost(browser), lost(trunk)), (Some(0), Some(0)));
}
