//! Forged checks of 16 kinds, from a stranger and under the browser's own address.

use rtc_stun::fingerprint::fingerprint_value;

use super::lab::{Lab, Stranger};
use super::phone::Phone;

#[tokio::test(flavor = "multi_thread")] // RFC 8445 §7.3, RFC 8489 §9.1.3, §14.7
async fn forged_checks_draw_no_answer_and_make_no_path() {
    let mut lab = Lab::start(24_640..=24_649).await;
    let stranger = Stranger::new();
    let forged = forgeries(&mut lab.phone);
    let before = lab.relay.totals().received;
    for datagram in &forged {
        stranger.sends(datagram, lab.mux());
        lab.phone.send(datagram).await;
    }
    lab.until_read(before + 2 * forged.len() as u64).await;
    assert_eq!((forged.len(), stranger.received()), (16, 0));
    let mut buffer = [0; 2_048];
    assert!(lab.phone.socket.try_recv_from(&mut buffer).is_err(), "an answer to a forgery");

    lab.phone.check().await;
    lab.phone.shake_hands().await;
    lab.sound_crosses().await;
    for datagram in &forged {
        stranger.sends(datagram, lab.mux());
    }
    lab.sound_crosses().await;
    assert_eq!(stranger.received(), 0);
}

fn forgeries(phone: &mut Phone) -> Vec<Vec<u8>> {
    let (ours, theirs) = (phone.relay_ufrag.clone(), phone.ufrag.clone());
    let password = "not the password of this session";
    let check = phone.written_check();
    let right = &check[..check.len() - FINGERPRINT];
    let integrity = right.len() - INTEGRITY;
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut message = right.to_vec();
        change(&mut message);
        fingerprinted(message)
    };
    vec![
        phone.check_as(&format!("{ours}:{theirs}"), password),
        phone.check_as(&format!("nobody:{theirs}"), password),
        phone.check_as(&format!("{theirs}:{ours}"), password),
        phone.check_as(&ours, password),
        phone.check_as("", password),
        with(&|message| message.truncate(integrity)),
        with(&|message| message[integrity + 4..].fill(0)),
        with(&|message| message[integrity + 10] ^= 1),
        with(&|message| {
            message.truncate(integrity + 4 + 12);
            message[integrity + 3] = 12;
        }),
        with(&|message| message[integrity - 1] ^= 1), // what stands before the integrity
        with(&|message| message[1] = 0x03),           // Allocate
        with(&|message| message[1] = 0x11),           // an indication
        with(&|message| message[..2].copy_from_slice(&[1, 1])),
        with(&|message| message[4] = 0), // no magic cookie
        framed(right.to_vec(), 0),       // no FINGERPRINT
        [right, &[0x80, 0x28, 0, 4, 1, 2, 3, 4]].concat(),
    ]
}

/// Sets the length, with this much still to come.
fn framed(mut message: Vec<u8>, more: usize) -> Vec<u8> {
    let length = (message.len() - 20 + more) as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
    message
}

fn fingerprinted(message: Vec<u8>) -> Vec<u8> {
    let mut message = framed(message, FINGERPRINT);
    let value = fingerprint_value(&message);
    message.extend([0x80, 0x28, 0, 4]);
    message.extend(value.to_be_bytes());
    message
}

/// Octets of the attribute.
const FINGERPRINT: usize = 8;
const INTEGRITY: usize = 24;
