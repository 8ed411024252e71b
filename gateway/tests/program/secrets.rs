//! Whatever the log's level and form: nobody can log in, listen in or write lines by means of it.

use sip_core::message::Status;

use super::phone::Phone;
use super::program::{Gateway, free_port};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_as_text_keeps_secrets() {
    keeps_secrets("filter = \"trace\"", 32_300).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_as_json_keeps_secrets() {
    let log = keeps_secrets("filter = \"trace\"\njson = true", 32_400).await;
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(line["level"].is_string());
    }
}

async fn keeps_secrets(log: &str, first_port: u16) -> String {
    let turn = free_port();
    let relay = format!(
        "[relay]\nbrowser_port = 0\nrtp_ports = [{first_port}, {}]\n\
         [turn]\ntcp = [\"{turn}\"]\nurls = [\"turn:{turn}?transport=tcp\"]\nrelayed_ports = [{}, {}]\n",
        first_port + 99,
        first_port - 200,
        first_port - 101,
    );
    let mut gateway = Gateway::with_relay_and_log("udp", &relay, log);
    let mut guest = Phone::connect(gateway.ws, "alice").await;
    assert_eq!(guest.log_in("wrong-passphrase").await, Status::UNAUTHORIZED);
    let mut known = Phone::register(gateway.ws, "bob").await;
    for phone in [&mut guest, &mut known] {
        for text in BAD {
            phone.send_text(text).await;
        }
        phone.is_served().await;
    }
    let mut phone = Phone::register(gateway.ws, "alice").await;
    phone.call("echo").await;
    assert!(phone.heard.contains("\"credential\":\""), "TURN is told");
    gateway.terminate();
    assert_eq!(gateway.ended().code(), Some(0));

    let log = gateway.log();
    assert!(log.contains("ready") && log.contains("login refused"), "it was written at all: {log}");
    let secrets: Vec<String> = [&guest, &known, &phone]
        .iter()
        .flat_map(|phone| [&phone.said, &phone.heard])
        .flat_map(|text| secrets_in(text))
        .collect();
    assert!(secrets.len() > 20, "{secrets:?}");
    for secret in secrets.iter().map(String::as_str).chain(KNOWN) {
        assert!(!log.contains(secret), "{secret:?} is in the log: {:#?}", around(&log, secret));
    }
    let injected = log.lines().find(|line| line.starts_with("INJECTED"));
    assert_eq!(injected, None, "a message wrote a line of its own");
    let control = log.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(control, None, "a message wrote to the terminal");
    log
}

/// What must not be known of what went over the wire: proofs, nonces, keys of the media, passwords of TURN.
fn secrets_in(said: &str) -> Vec<String> {
    let mut secrets = Vec::new();
    for line in said.lines() {
        for start in ["Authorization: ", "a=ice-pwd:", "a=fingerprint:", "a=crypto:"] {
            secrets.extend(line.strip_prefix(start).map(str::to_owned));
        }
        for parameter in ["nonce=\"", "response=\"", "\"credential\":\""] {
            let value = line.split(parameter).nth(1).and_then(|rest| rest.split('"').next());
            secrets.extend(value.filter(|value| value.len() > 8).map(str::to_owned));
        }
    }
    secrets
}

fn around<'a>(log: &'a str, secret: &str) -> Vec<&'a str> {
    log.lines().filter(|line| line.contains(secret)).take(3).collect()
}

const KNOWN: [&str; 5] = [
    "wrong-passphrase",
    "secret",
    "PRIVATE KEY",
    "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
    "Digest username",
];

/// No message, or one that is refused: with escape sequences and line ends wherever they may stand.
const BAD: [&str; 5] = [
    "\u{1b}[31mNO SIP\u{1b}[0m\r\nINJECTED line\r\n\r\n",
    "INVITE sip:\u{1b}[2J@localhost SIP/2.0\r\nVia: SIP/2.0/WS \u{1b}x;branch=z9hG4bKe\r\nINJECTED\r\n\r\n",
    "OPTIONS sip:a@localhost SIP/2.0\r\nVia: SIP/2.0/WS phone.invalid;branch=z9hG4bKesc1\r\nMax-Forwards: 70\r\n\
     From: \"\u{1b}]0;title\u{7}\" <sip:%0D%0AINJECTED@localhost>;tag=1\r\nTo: <sip:a@localhost>\r\n\
     Call-ID: \u{1b}[1m\r\nCSeq: 1 OPTIONS\r\nContent-Length: 99999\r\n\r\n",
    "REGISTER sip:localhost SIP/2.0\r\nVia: SIP/2.0/WS phone.invalid;branch=z9hG4bKesc2\r\nMax-Forwards: 70\r\n\
     From: <sip:al%0AINJECTED@localhost>;tag=1\r\nTo: <sip:al%0AINJECTED@localhost>\r\nCall-ID: e2\r\n\
     CSeq: 1 REGISTER\r\nAuthorization: Digest username=\"al\\\u{1b}[3\nINJECTED\", realm=\"localhost\", \
     nonce=\"0\", uri=\"sip:localhost\", response=\"0\"\r\nContent-Length: 0\r\n\r\n",
    "INVITE sip:echo@localhost SIP/2.0\r\nVia: SIP/2.0/WS phone.invalid;branch=z9hG4bKesc3\r\nMax-Forwards: 70\r\n\
     From: <sip:alice@localhost>;tag=1\r\nTo: <sip:echo@localhost>\r\nCall-ID: e3\r\nCSeq: 1 INVITE\r\n\
     Contact: <sip:alice@phone.invalid;transport=ws>\r\nContent-Type: application/sdp\r\n\r\n\
     v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=\u{1b}[5m\r\nt=0 0\r\nm=audio 9 RTP/SAVP 0\r\nc=IN IP4 127.0.0.1\r\n\
     a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n",
];
