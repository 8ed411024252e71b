//! A relay that only keeps books: nothing may be left, revisions rise, nothing comes after the end.

use std::collections::HashMap;
use std::sync::Mutex;

use gateway::ports::BoxFuture;
use gateway::ports::media::MediaRelay;
use relay_api::{
    Fingerprint, LegDescription, LegName, LegSpec, Place, RelayError, RelayName, SessionDescription,
    SessionId, SessionSpec, SessionStatistics,
};

#[derive(Default)]
pub struct Books(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    open: HashMap<SessionId, u64>,
    ended: Vec<SessionId>,
    wrong: Vec<String>,
}

impl Books {
    pub fn open(&self) -> usize {
        self.0.lock().unwrap().open.len()
    }

    pub fn wrong(&self) -> Vec<String> {
        self.0.lock().unwrap().wrong.clone()
    }
}

impl MediaRelay for Books {
    fn put(
        &self,
        spec: SessionSpec,
        _: Option<RelayName>,
    ) -> BoxFuture<'_, Result<SessionDescription, RelayError>> {
        let mut books = self.0.lock().unwrap();
        if books.ended.contains(&spec.id) {
            books.wrong.push(format!("{:?} was specified after its end", spec.id));
        }
        if let Some(revision) = books.open.insert(spec.id.clone(), spec.revision)
            && revision >= spec.revision
        {
            books
                .wrong
                .push(format!("{:?} went back from revision {revision} to {}", spec.id, spec.revision));
        }
        let (a, b) = (describe(&spec.a), describe(&spec.b));
        Box::pin(
            async move { Ok(SessionDescription { id: spec.id, revision: spec.revision, a, b, relay: None }) },
        )
    }

    fn delete<'a>(
        &'a self,
        session: &'a Place,
    ) -> BoxFuture<'a, Result<Option<SessionStatistics>, RelayError>> {
        let mut books = self.0.lock().unwrap();
        books.open.remove(&session.id);
        books.ended.push(session.id.clone());
        Box::pin(async { Ok(None) })
    }

    fn dtmf<'a>(
        &'a self,
        _: &'a Place,
        _: LegName,
        _: char,
        _: u32,
    ) -> BoxFuture<'a, Result<(), RelayError>> {
        Box::pin(async { Ok(()) })
    }

    fn statistics<'a>(&'a self, _: &'a Place) -> BoxFuture<'a, Result<SessionStatistics, RelayError>> {
        Box::pin(async { Err(RelayError::Unknown) })
    }
}

fn describe(leg: &LegSpec) -> LegDescription {
    match leg {
        LegSpec::WebRtc(_) => LegDescription::WebRtc {
            ufrag: "relayufrag".into(),
            password: "relaypasswordrelaypassword".into(),
            candidates: vec!["192.0.2.1:3478".parse().unwrap()],
            fingerprint: Fingerprint { algorithm: "sha-256".into(), value: ["AB"; 32].join(":") },
        },
        LegSpec::Rtp(_) => LegDescription::Rtp {
            rtp: "192.0.2.1:40000".parse().unwrap(),
            rtcp: "192.0.2.1:40001".parse().unwrap(),
        },
        LegSpec::Service(_) => LegDescription::Service,
    }
}
