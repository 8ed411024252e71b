#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Instant;

use axum::http::StatusCode;
use axum::{Json, Router};
use prometheus::Opts;
use relay_api::control::{Epoch, EventLine, Status};
use relay_api::{EventKind, LegDescription, LegSpec, Service};
use serde::Serialize;
use tokio::net::TcpListener;

use super::*;

/// A relay that has room, and one answer to whatever it is asked.
async fn relay(name: &str, sessions: u64, status: StatusCode, answer: &impl Serialize) -> Member {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let answer = serde_json::to_value(answer).unwrap();
    let router = Router::new().fallback(async move || (status, Json(answer)));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let client = Client::new(Endpoint { url, tls: None, token_file: None }).unwrap();
    let member = Member::new(RelayName(name.into()), client);
    let (epoch, version) = (Epoch(name.into()), "1".into());
    let status = Status { epoch, version, draining: false, sessions, max_sessions: 10, rtp_sockets: 0 };
    member.set_heard(true);
    member.answered(status, Instant::now());
    member
}

fn pool(members: Vec<Member>) -> Arc<Pool> {
    Arc::new(Pool {
        members,
        sessions: Mutex::default(),
        events: mpsc::channel(1).0,
        chance: Box::new(|| 0),
        ready: IntGaugeVec::new(Opts::new("ready", "ready"), &["relay"]).unwrap(),
        found: watch::channel(true).0,
    })
}

#[tokio::test]
async fn a_relay_without_the_interface_is_passed_over_for_the_next_one() {
    let (id, echo) = (SessionId("call".into()), LegSpec::Service(Service::Echo));
    let spec = SessionSpec { id: id.clone(), revision: 1, a: echo.clone(), b: echo };
    let (a, b) = (LegDescription::Service, LegDescription::Service);
    let made = SessionDescription { id, revision: 1, a, b, relay: None };
    let lacking = RelayError::NoInterface { reason: "no RTP interface is named \"inside\"".into() };

    let without = relay("without", 0, StatusCode::UNPROCESSABLE_ENTITY, &lacking).await;
    let with = relay("with", 5, StatusCode::OK, &made).await;
    let description = pool(vec![without, with]).put_new(&spec).await.unwrap();
    assert_eq!(description.relay, Some(RelayName("with".into())));

    let without = relay("without", 0, StatusCode::UNPROCESSABLE_ENTITY, &lacking).await;
    assert_eq!(pool(vec![without]).put_new(&spec).await, Err(lacking));
}

#[test] // docs/control-api.md: what is added to v1 can be passed over by who does not know it
fn what_a_relay_of_a_later_version_tells_is_passed_over() {
    let line = |text| serde_json::from_str::<EventLine>(text).unwrap();
    let event = line(
        r#"{"line":"event","sequence":7,"event":{"id":"c","leg":"b","kind":{"event":"later","of":{"x":1}}}}"#,
    );
    let EventLine::Event { sequence: 7, event } = event else { panic!("{event:?}") };
    assert_eq!(event.kind, EventKind::Unknown);
    assert_eq!(line(r#"{"line":"later","sequence":8}"#), EventLine::Unknown);
}

#[test]
fn an_event_of_sound_from_elsewhere_is_read_as_it_was_written() {
    let (from, expected) = ("192.0.2.9:6002".parse().unwrap(), "[2001:db8::9]:4000".parse().unwrap());
    let kind = EventKind::WrongSource { from, expected };
    let text = serde_json::to_string(&kind).unwrap();
    assert_eq!(text, r#"{"event":"wrong_source","from":"192.0.2.9:6002","expected":"[2001:db8::9]:4000"}"#);
    assert_eq!(serde_json::from_str::<EventKind>(&text).unwrap(), kind);
}
