//! The stream of events.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::Stream;
use crate::lab::{Lab, ORPHANED_AFTER, echo, sound};

/// Makes an event: a session that is given up.
async fn lose(lab: &Lab, id: &str) {
    assert_eq!(lab.put(&echo(id, 1, None)).await.status, 200);
    lab.control.collect(Instant::now() + ORPHANED_AFTER).await;
}

#[tokio::test]
async fn a_stream_tells_what_happens_from_now_on() {
    let lab = Lab::start(25_200..=25_209, 10).await;
    lose(&lab, "before").await;
    let mut stream = Stream::open(lab.at, "").await;
    assert_eq!(stream.line().await, Some(json!({ "line": "started", "epoch": "first", "next": 2 })));
    lose(&lab, "now").await;
    let line = stream.line().await.unwrap();
    assert_eq!((&line["line"], &line["sequence"]), (&json!("event"), &json!(2)));
    assert_eq!(line["event"]["id"], "now");
    assert_eq!(line["event"]["kind"]["event"], "session_lost");
}

#[tokio::test]
async fn a_stream_is_taken_up_where_it_broke() {
    let lab = Lab::start(25_210..=25_219, 10).await;
    let mut stream = Stream::open(lab.at, "").await;
    stream.line().await;
    lose(&lab, "one").await;
    let seen = stream.line().await.unwrap()["sequence"].as_u64().unwrap();
    drop(stream);
    lose(&lab, "two").await;
    lose(&lab, "three").await;
    let mut stream = Stream::open(lab.at, &format!("?after={seen}&epoch=first")).await;
    stream.line().await;
    assert_eq!(stream.line().await.unwrap()["event"]["id"], "two");
    assert_eq!(stream.line().await.unwrap()["event"]["id"], "three");
}

#[tokio::test]
async fn numbers_of_another_run_mean_nothing() {
    let lab = Lab::start(25_220..=25_229, 10).await;
    lose(&lab, "one").await;
    let mut stream = Stream::open(lab.at, "?after=1&epoch=zeroth").await;
    assert_eq!(stream.line().await.unwrap()["epoch"], "first");
    assert_eq!(stream.line().await.unwrap()["event"]["id"], "one");
}

#[tokio::test]
async fn streams_end_when_the_relay_stops() {
    let lab = Lab::start(25_230..=25_239, 10).await;
    let mut stream = Stream::open(lab.at, "").await;
    stream.line().await;
    lab.control.advance(media_relay::control::Stage::Stopped);
    assert_eq!(stream.line().await, None);
}

#[tokio::test]
async fn a_stream_of_sound_that_becomes_poor_is_told() {
    let peer = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let lab = Lab::start(25_540..=25_549, 10).await;
    let mut stream = Stream::open(lab.at, "").await;
    stream.line().await;
    let put = lab.put(&echo("call", 1, peer.local_addr().ok())).await;
    let rtp: std::net::SocketAddr = put.json()["a"]["rtp"].as_str().unwrap().parse().unwrap();
    // Every other packet is lost.
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    let mut sequence = 0;
    let event = loop {
        tokio::select! {
            line = stream.line() => {
                let event = &line.unwrap()["event"];
                if event["kind"]["event"] == "quality" {
                    break event.clone();
                }
            }
            _ = pace.tick() => {
                sequence += 2;
                peer.send_to(&sound(sequence), rtp).await.unwrap();
            }
        }
    };
    assert_eq!((&event["id"], &event["leg"]), (&json!("call"), &json!("a")));
    let quality = &event["kind"];
    assert_eq!((&quality["direction"], &quality["class"]), (&json!("received"), &json!("poor")));
    assert!(quality["mos"].as_f64().unwrap() < 3.1 && quality["loss_percent"].as_f64().unwrap() > 30.0);
    assert!(quality["jitter_ms"].is_number() && quality["round_trip_ms"].is_null());
}

#[tokio::test]
async fn there_is_a_bound_on_streams() {
    let lab = Lab::start(25_240..=25_249, 10).await;
    let mut streams = Vec::new();
    for _ in 0..64 {
        let mut stream = Stream::open(lab.at, "").await;
        stream.line().await;
        streams.push(stream);
    }
    let refused = lab.ask("GET", "/v1/events", "").await;
    assert_eq!((refused.status, refused.error().as_str()), (503, "busy"));
    assert_eq!(lab.ask("GET", "/v1/status", "").await.status, 200);
}
