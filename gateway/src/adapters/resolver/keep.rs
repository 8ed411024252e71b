//! Looking a name up again and again.

use std::sync::Arc;
use std::time::Duration;

use sip_core::routing::locate::{Servers, Target};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::ports::resolver::{Resolution, Resolver, Standing};

/// Resolves a target now, whenever the answer runs out and whenever `again` changes, and reports each list that differs from
/// the one before. What was found last stays in use while the name servers are away, and against an answer that stands
/// worse until that has been given several times. Runs until it is dropped.
pub async fn keep_resolved(
    resolver: Arc<dyn Resolver>,
    target: Target,
    mut again: watch::Receiver<()>,
    mut found: impl FnMut(&Servers),
) {
    let mut kept = Kept { known: None, doubts: 0 };
    let mut pause = RETRY_FIRST;
    loop {
        let result = resolver.resolve(&target).await;
        let wait = match result {
            Ok(Resolution { servers, standing, valid_for }) if kept.believes(standing) => {
                if kept.known.as_ref().is_none_or(|(known, _)| *known != servers) {
                    found(&servers);
                }
                kept = Kept { known: Some((servers, standing)), doubts: 0 };
                pause = RETRY_FIRST;
                valid_for
            }
            Ok(Resolution { servers, .. }) => {
                let addresses = servers.by_weight();
                tracing::warn!(
                    host = target.name(),
                    ?addresses,
                    "another answer than before is not believed yet"
                );
                kept.doubts += 1;
                backed_off(&mut pause)
            }
            Err(error) => {
                tracing::warn!(host = target.name(), %error, "trunk's name not resolved");
                backed_off(&mut pause)
            }
        };
        tokio::select! {
            () = sleep(wait) => {}
            () = changed(&mut again) => pause = RETRY_FIRST,
        }
    }
}

/// What is in use, and how often it was called in question in a row.
struct Kept {
    known: Option<(Servers, Standing)>,
    doubts: u32,
}

impl Kept {
    fn believes(&self, standing: Standing) -> bool {
        self.known.as_ref().is_none_or(|(_, known)| standing <= *known) || self.doubts + 1 >= CONFIRMATIONS
    }
}

async fn changed(again: &mut watch::Receiver<()>) {
    if again.changed().await.is_err() {
        // Nobody will ask for it any more.
        std::future::pending().await
    }
}

fn backed_off(pause: &mut Duration) -> Duration {
    let now = *pause;
    *pause = (now * 2).min(RETRY_LAST);
    now
}

const RETRY_FIRST: Duration = Duration::from_secs(2);
const RETRY_LAST: Duration = Duration::from_secs(60);

/// Within about a minute.
const CONFIRMATIONS: u32 = 6;
