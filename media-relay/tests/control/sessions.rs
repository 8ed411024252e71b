//! Sessions as a gateway declares them.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use relay_api::control::{Confirmed, MAX_BODY, MAX_IDS, Session, SessionList, Statistics, Status};
use relay_api::{LegDescription, LegKind, RelayError, SessionDescription, SessionId, SessionStatistics};
use serde_json::json;

use crate::client::{exchange, request};
use crate::lab::{Lab, ORPHANED_AFTER, echo, sound};

fn read<T: serde::de::DeserializeOwned>(answer: &crate::client::Answer) -> T {
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}

#[tokio::test]
async fn a_repeated_put_changes_nothing_and_a_stale_one_is_refused() {
    let lab = Lab::start(25_000..=25_019, 10).await;
    let first: SessionDescription = read(&lab.put(&echo("call", 1, None)).await);
    assert_eq!(read::<SessionDescription>(&lab.put(&echo("call", 1, None)).await), first);
    let remote = "127.0.0.1:25019".parse().ok();
    let second: SessionDescription = read(&lab.put(&echo("call", 2, remote)).await);
    assert_eq!((second.revision, &second.a), (2, &first.a), "the port stays");
    let stale = lab.put(&echo("call", 1, None)).await;
    assert_eq!(stale.status, 409);
    assert_eq!(
        serde_json::from_value::<RelayError>(stale.json()).unwrap(),
        RelayError::Stale { revision: 2 }
    );
    assert_eq!(read::<Status>(&lab.ask("GET", "/v1/status", "").await).sessions, 1);
    for status in [200, 204, 204] {
        assert_eq!(lab.ask("DELETE", "/v1/sessions/call", "").await.status, status);
    }
    assert_eq!(lab.ask("GET", "/v1/sessions/call", "").await.status, 404);
    let status: Status = read(&lab.ask("GET", "/v1/status", "").await);
    assert_eq!((status.sessions, status.rtp_sockets), (0, 0));
}

#[tokio::test]
async fn a_session_goes_on_at_another_relay_where_it_is_declared_again() {
    let (old, new) = (Lab::start(25_500..=25_509, 10).await, Lab::start(25_510..=25_519, 10).await);
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let remote = peer.local_addr().ok();
    let hears_itself_at = |description: &SessionDescription, sequence| {
        let LegDescription::Rtp { rtp, .. } = description.a else { panic!("a plain leg") };
        peer.send_to(&sound(sequence), rtp).unwrap();
        // Silence comes too, until the first sound is there.
        let mut packet = [0; 1_500];
        while peer.recv_from(&mut packet).unwrap() != (172, rtp) || packet[12..172] != [0x55; 160] {}
    };
    let first: SessionDescription = read(&old.put(&echo("call", 7, remote)).await);
    hears_itself_at(&first, 1);
    let second: SessionDescription = read(&new.put(&echo("call", 8, remote)).await);
    assert_ne!(first.a, second.a);
    hears_itself_at(&second, 2);
    assert_eq!(old.ask("DELETE", "/v1/sessions/call", "").await.status, 200);
    assert_eq!((old.control.status().sessions, new.control.status().sessions), (0, 1));
}

#[tokio::test]
async fn the_example_of_the_documentation_makes_a_session() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/control-api.md");
    let text = std::fs::read_to_string(file).unwrap();
    let (_, rest) = text.split_once("-d '").unwrap();
    let (body, _) = rest.split_once('\'').unwrap();
    let lab = Lab::start(25_520..=25_529, 10).await;
    assert_eq!(lab.ask("PUT", "/v1/sessions/call-1", body).await.status, 200);
}

#[tokio::test]
async fn a_full_relay_says_when_to_come_again() {
    let lab = Lab::start(25_020..=25_039, 1).await;
    assert_eq!(lab.put(&echo("one", 1, None)).await.status, 200);
    let full = lab.put(&echo("two", 1, None)).await;
    assert_eq!((full.status, full.error().as_str()), (503, "full"));
    assert!(full.head.contains("retry-after: 5"));
    assert_eq!(lab.put(&echo("one", 1, None)).await.status, 200, "the one that is there stays");
}

#[tokio::test]
async fn what_cannot_be_carried_out_is_422_and_what_cannot_be_read_is_400() {
    let lab = Lab::start(25_040..=25_049, 10).await;
    let mut spec = serde_json::to_value(echo("call", 1, None)).unwrap();
    spec["a"]["interface"] = json!("moon");
    let answer = lab.ask("PUT", "/v1/sessions/call", &spec.to_string()).await;
    assert_eq!((answer.status, answer.error().as_str()), (422, "no_interface"));
    let other = serde_json::to_string(&echo("other", 1, None)).unwrap();
    let answer = lab.ask("PUT", "/v1/sessions/call", &other).await;
    assert_eq!((answer.status, answer.error().as_str()), (422, "invalid"), "path and body differ");
    let answer = lab.ask("PUT", "/v1/sessions/call", r#"{"id": "call", "revision": "one"}"#).await;
    assert_eq!((answer.status, answer.error().as_str()), (400, "malformed"));
    assert!(answer.json()["reason"].as_str().unwrap().contains("line 1 column"), "{answer:?}");
    let many = json!({ "ids": vec!["x"; MAX_IDS + 1] }).to_string();
    assert_eq!(lab.ask("POST", "/v1/sessions/query", &many).await.status, 400);
    assert_eq!(lab.ask("GET", "/v1/sessions?limit=many", "").await.status, 400);
    assert_eq!(lab.ask("GET", "/v2/sessions", "").await.error(), "no_such_resource");
    assert_eq!(lab.ask("PATCH", "/v1/sessions/call", "").await.error(), "wrong_method");
    assert_eq!(lab.control.status().sessions, 0);
}

#[tokio::test]
async fn a_body_too_large_is_refused_by_its_length_or_while_it_comes() {
    let lab = Lab::start(25_050..=25_059, 10).await;
    let announced = format!(
        "PUT /v1/sessions/call HTTP/1.1\r\nHost: relay\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        MAX_BODY + 1
    );
    assert_eq!(exchange(lab.at, &announced).await.error(), "too_large");
    let chunk = format!("8000\r\n{}\r\n", " ".repeat(0x8000)).repeat(3);
    let chunked = format!(
        "PUT /v1/sessions/call HTTP/1.1\r\nHost: relay\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n"
    );
    assert_eq!(exchange(lab.at, &chunked).await.status, 413);
}

#[tokio::test]
async fn many_are_asked_about_at_once_and_listed_in_pages() {
    let lab = Lab::start(25_060..=25_099, 10).await;
    for id in ["a", "b", "c"] {
        assert_eq!(lab.put(&echo(id, 1, None)).await.status, 200);
    }
    let ids = json!({ "ids": ["b", "ghost", "c"] }).to_string();
    let statistics: Statistics = read(&lab.ask("POST", "/v1/sessions/query", &ids).await);
    let names: Vec<&str> = statistics.sessions.iter().map(|session| session.id.0.as_str()).collect();
    assert_eq!((names, statistics.unknown), (vec!["b", "c"], vec![SessionId("ghost".into())]));
    let confirmed: Confirmed = read(&lab.ask("POST", "/v1/sessions/confirm", &ids).await);
    assert_eq!(confirmed.unknown, [SessionId("ghost".into())]);
    let page: SessionList = read(&lab.ask("GET", "/v1/sessions?limit=2", "").await);
    assert_eq!((page.ids.len(), page.next), (2, Some(SessionId("b".into()))));
    let page: SessionList = read(&lab.ask("GET", "/v1/sessions?limit=2&after=b", "").await);
    assert_eq!((page.ids, page.next), (vec![SessionId("c".into())], None));
}

#[tokio::test]
async fn a_session_carries_sound_and_digits() {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let lab = Lab::start(25_100..=25_119, 10).await;
    let description: SessionDescription = read(&lab.put(&echo("call", 1, peer.local_addr().ok())).await);
    let relay_api::LegDescription::Rtp { rtp, .. } = description.a else { panic!("a plain leg") };
    peer.send_to(&sound(1), rtp).unwrap();
    let mut buffer = [0; 2_048];
    peer.recv_from(&mut buffer).unwrap();
    let session: Session = read(&lab.ask("GET", "/v1/sessions/call", "").await);
    assert_eq!((session.description, session.statistics.a.received.packets), (description, 1));
    let digit = r#"{"leg": "a", "digit": "5", "duration_ms": 100}"#;
    assert_eq!(lab.ask("POST", "/v1/sessions/call/dtmf", digit).await.status, 204);
    while buffer[1] & 0x7F != 101 {
        peer.recv_from(&mut buffer).unwrap();
    }
    assert_eq!(buffer[12], 5, "RFC 4733 §2.3.1: the event is the digit");
    assert_eq!(lab.ask("POST", "/v1/sessions/ghost/dtmf", digit).await.status, 404);
}

#[tokio::test]
async fn the_answer_to_a_delete_is_how_the_session_was() {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let lab = Lab::start(25_530..=25_539, 10).await;
    let description: SessionDescription = read(&lab.put(&echo("call", 1, peer.local_addr().ok())).await);
    let relay_api::LegDescription::Rtp { rtp, .. } = description.a else { panic!("a plain leg") };
    for sequence in [1, 2, 4] {
        peer.send_to(&sound(sequence), rtp).unwrap();
        peer.recv_from(&mut [0; 2_048]).unwrap();
    }
    let last: SessionStatistics = read(&lab.ask("DELETE", "/v1/sessions/call", "").await);
    let quality = last.a.received.quality.unwrap();
    assert_eq!((last.a.kind, last.b.kind), (LegKind::Rtp, LegKind::Service));
    assert_eq!((last.a.received.packets, quality.lost_packets, quality.loss_percent), (3, 1, 25.0));
    assert!(quality.mos < 4.0, "{quality:?}");
    assert_eq!(last.a.sent.quality, None, "nobody reported");
    assert_eq!(lab.ask("DELETE", "/v1/sessions/call", "").await.status, 204);
}

#[tokio::test]
async fn a_session_that_nobody_wants_is_given_up_and_one_with_sound_is_not() {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let lab = Lab::start(25_120..=25_139, 10).await;
    let heard: SessionDescription = read(&lab.put(&echo("heard", 1, peer.local_addr().ok())).await);
    lab.put(&echo("orphan", 1, None)).await;
    let relay_api::LegDescription::Rtp { rtp, .. } = heard.a else { panic!("a plain leg") };
    peer.send_to(&sound(1), rtp).unwrap();
    peer.recv_from(&mut [0; 2_048]).unwrap();
    lab.control.collect(Instant::now() + ORPHANED_AFTER / 2).await;
    assert_eq!(lab.control.status().sessions, 2);
    let later = Instant::now() + ORPHANED_AFTER;
    lab.control.collect(later).await;
    let left: SessionList = read(&lab.ask("GET", "/v1/sessions", "").await);
    assert_eq!(left.ids, [SessionId("heard".into())]);
    lab.control.collect(later + ORPHANED_AFTER).await;
    let status = lab.control.status();
    assert_eq!((status.sessions, status.rtp_sockets, lab.control.collected()), (0, 0, 2));
}

#[tokio::test]
async fn a_draining_relay_keeps_its_sessions_and_takes_no_new_ones() {
    let lab = Lab::start(25_140..=25_159, 10).await;
    lab.put(&echo("old", 1, None)).await;
    let status = lab.ask("POST", "/v1/drain", "").await;
    assert_eq!((status.status, &status.json()["draining"]), (202, &json!(true)));
    let refused = lab.put(&echo("new", 1, None)).await;
    assert_eq!((refused.status, &refused.json()["what"]), (503, &json!("draining")));
    assert_eq!(lab.put(&echo("old", 2, None)).await.status, 200);
    lab.ask("DELETE", "/v1/sessions/old", "").await;
    lab.control.empty().await;
}

#[tokio::test]
async fn a_client_that_hangs_up_leaves_no_session_that_nobody_knows_of() {
    use tokio::io::AsyncWriteExt;
    let lab = Lab::start(25_160..=25_199, 20).await;
    for number in 0..10 {
        let spec = echo(&format!("call-{number}"), 1, None);
        let body = serde_json::to_string(&spec).unwrap();
        let text = request("PUT", &format!("/v1/sessions/{}", spec.id.0), "", &body);
        let mut stream = tokio::net::TcpStream::connect(lab.at).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        drop(stream);
    }
    // Whatever arrived is known, so that it can be collected: the relay and the list agree.
    lab.control.collect(Instant::now() + ORPHANED_AFTER * 2).await;
    while lab.control.totals().sessions != lab.control.status().sessions {
        tokio::task::yield_now().await;
    }
}
