//! What every store does, whatever it is made of.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gateway::ports::store::{Sizes, StateStore, StoreError};
use relay_api::Service;
use sip_core::call::{Admission, Call, CallTimer, LegId, Link, Parties, Policy, Target};
use sip_core::message::{Limits, Message};
use sip_core::registrar::{Aor, Bindings};
use sip_core::routing::{Destination, FlowId, Sealer, Transport};
use sip_core::sdp::{CodecName, Profile};
use sip_core::time::UnixMillis;

/// Puts a new store through everything.
pub async fn passes<S: StateStore>(new: impl Fn() -> S) {
    a_write_names_the_version_it_was_decided_on(&new()).await;
    of_many_writers_one_wins(Arc::new(new())).await;
    a_removed_call_takes_its_timers_along(&new()).await;
    registrations_are_kept_until_they_expire(&new()).await;
    each_timer_is_handed_out_once_earliest_first(&new()).await;
}

async fn a_write_names_the_version_it_was_decided_on(store: &impl StateStore) {
    let call = call("one");
    assert_eq!(store.call(&call.id()).await, Ok(None));
    let first = store.put_call(call.clone(), None).await.unwrap();
    assert_eq!(store.put_call(call.clone(), None).await, Err(StoreError::Conflict), "it exists already");
    let second = store.put_call(call.clone(), Some(first)).await.unwrap();
    assert!(second > first);
    assert_eq!(store.put_call(call.clone(), Some(first)).await, Err(StoreError::Conflict), "an old version");
    let found = store.call(&call.id()).await.unwrap().unwrap();
    assert_eq!((found.version, found.value), (second, call.clone()));
    assert_eq!(store.calls(10).await.unwrap(), [call.id()]);
    assert_eq!(store.calls(0).await.unwrap(), []);
    assert_eq!(store.remove_call(&call.id(), first).await, Err(StoreError::Conflict));
    store.remove_call(&call.id(), second).await.unwrap();
    assert_eq!(store.call(&call.id()).await, Ok(None));
    assert_eq!(store.put_call(call, Some(second)).await, Err(StoreError::Conflict), "it is gone");
    assert_eq!(store.sizes().await.unwrap(), Sizes::default());
}

async fn of_many_writers_one_wins<S: StateStore>(store: Arc<S>) {
    let call = call("contended");
    let version = store.put_call(call.clone(), None).await.unwrap();
    let writers = (0..16).map(|_| {
        let (store, call) = (Arc::clone(&store), call.clone());
        tokio::spawn(async move { store.put_call(call, Some(version)).await.is_ok() })
    });
    let mut winners = 0;
    for writer in writers.collect::<Vec<_>>() {
        winners += u32::from(writer.await.unwrap());
    }
    assert_eq!(winners, 1);
}

async fn a_removed_call_takes_its_timers_along(store: &impl StateStore) {
    let call = call("timed");
    let version = store.put_call(call.clone(), None).await.unwrap();
    store.set_timer(&call.id(), CallTimer::NoAnswer, UnixMillis(10)).await.unwrap();
    store.set_timer(&call.id(), CallTimer::Grace(LegId::A), UnixMillis(20)).await.unwrap();
    store.remove_call(&call.id(), version).await.unwrap();
    assert_eq!(store.claim_timers(UnixMillis(100), 10).await.unwrap(), []);
    assert_eq!(store.sizes().await.unwrap(), Sizes::default());
}

async fn registrations_are_kept_until_they_expire(store: &impl StateStore) {
    let aor = Aor::new("alice", "example.com");
    assert_eq!(store.bindings(&aor).await, Ok(None));
    let first = store.put_bindings(&aor, Bindings::default(), None, UnixMillis(1_000)).await.unwrap();
    assert_eq!(
        store.put_bindings(&aor, Bindings::default(), None, UnixMillis(1_000)).await,
        Err(StoreError::Conflict)
    );
    let second = store.put_bindings(&aor, Bindings::default(), Some(first), UnixMillis(2_000)).await.unwrap();
    assert_eq!(store.bindings(&aor).await.unwrap().unwrap().version, second);
    store.sweep(UnixMillis(1_999)).await;
    assert!(store.bindings(&aor).await.unwrap().is_some());
    store.sweep(UnixMillis(2_000)).await;
    assert_eq!(store.bindings(&aor).await, Ok(None));
}

async fn each_timer_is_handed_out_once_earliest_first(store: &impl StateStore) {
    let id = call("timers").id();
    store.set_timer(&id, CallTimer::NoAnswer, UnixMillis(30)).await.unwrap();
    store.set_timer(&id, CallTimer::CancelWait(LegId::B), UnixMillis(10)).await.unwrap();
    store.set_timer(&id, CallTimer::Resend2xx(LegId::A), UnixMillis(20)).await.unwrap();
    store.set_timer(&id, CallTimer::Resend2xx(LegId::A), UnixMillis(40)).await.unwrap();
    store.set_timer(&id, CallTimer::Grace(LegId::B), UnixMillis(5)).await.unwrap();
    store.clear_timer(&id, CallTimer::Grace(LegId::B)).await.unwrap();
    store.clear_timer(&id, CallTimer::Retry(LegId::A)).await.unwrap();
    assert_eq!(store.claim_timers(UnixMillis(9), 10).await.unwrap(), []);
    let due = store.claim_timers(UnixMillis(30), 10).await.unwrap();
    assert_eq!(due, [(id, CallTimer::CancelWait(LegId::B)), (id, CallTimer::NoAnswer)]);
    assert_eq!(store.claim_timers(UnixMillis(30), 10).await.unwrap(), [], "each once");
    assert_eq!(store.claim_timers(UnixMillis(100), 0).await.unwrap(), []);
    assert_eq!(
        store.claim_timers(UnixMillis(100), 10).await.unwrap(),
        [(id, CallTimer::Resend2xx(LegId::A))]
    );
    assert_eq!(store.sizes().await.unwrap().timers, 0);
}

/// A call to a service, told apart by its Call-ID.
pub fn call(name: &str) -> Arc<Call> {
    let sdp =
        "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n";
    let text = format!(
        "INVITE sip:echo@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK{name}\r\n\
         From: <sip:1@example.com>;tag=a\r\nTo: <sip:echo@example.com>\r\nCall-ID: {name}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:1@192.0.2.9>\r\nMax-Forwards: 70\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    );
    let invite = Message::parse(Bytes::from(text), &Limits::default()).unwrap();
    let caller = Link {
        profile: Profile::PlainRtp,
        codecs: vec![CodecName::Pcmu],
        transport: Transport::Udp,
        local: "192.0.2.1:5060".into(),
        contact_user: None,
        destination: Destination::Flow(FlowId { node: 1, connection: 1 }),
        ways: Vec::new(),
        networks: Vec::new(),
        interface: None,
        first_reply: Duration::from_secs(1),
        learn: relay_api::Learn::Never,
    };
    let target = Target::Service(Service::Echo);
    let admission = Admission { caller, target, parties: Parties::default() };
    let sealer = Sealer::new(1, &[7; 32]);
    let (call, _) = Call::invite(&invite, admission, &sealer, &Policy::default(), UnixMillis(0)).unwrap();
    Arc::new(call)
}
