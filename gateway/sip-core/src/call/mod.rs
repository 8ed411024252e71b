//! The two-leg call: a back-to-back user agent as one value.
//!
//! Leg A called us, leg B we called. A [`Call`] is the whole truth about both dialogs, their offer/answer and the
//! media between them; it is loaded, given one [`Event`], stored, and only then its [`Effect`]s are carried out.
//! Nothing of one leg's messages gets into the other's but what [`Policy::crossing_headers`] names.

mod admission;
mod effect;
mod event;
mod policy;
mod summary;
mod timer;

pub use admission::{Admission, Callee, Identity, Link, Target};
pub use effect::Effect;
pub use event::{Event, Failure};
pub use policy::Policy;
pub use summary::{Cause, Summary};
pub use timer::CallTimer;

pub use crate::routing::CallId;

use serde::{Deserialize, Serialize};

use crate::message::Message;
use crate::routing::{FlowId, Sealer};
use crate::time::UnixMillis;

/// One call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    id: CallId,
}

impl Call {
    /// Takes an initial INVITE that [`screen`] let pass and the application admitted.
    ///
    /// # Errors
    /// The ready response when its offer can't be used (400, 488) or it asks for what a call can't give (422).
    pub fn invite(
        _request: &Message,
        _admission: Admission,
        _sealer: &Sealer,
        _policy: &Policy,
        _now: UnixMillis,
    ) -> Result<(Self, Vec<Effect>), Message> {
        todo!()
    }

    /// Decides what follows from an event. Events that no longer matter give no effects.
    pub fn handle(&mut self, _event: Event, _sealer: &Sealer, _policy: &Policy, _now: UnixMillis) -> Vec<Effect> {
        todo!()
    }

    /// The call's name.
    pub fn id(&self) -> CallId {
        self.id
    }

    /// Did both legs end? [`Effect::Ended`] was given then.
    pub fn is_ended(&self) -> bool {
        todo!()
    }

    /// The browsers' connections which this call needs: leg A's, leg B's.
    pub fn flows(&self) -> [Option<FlowId>; 2] {
        todo!()
    }
}

/// Looks at a request outside any dialog, before anybody asks who sent it: hops (483), loops (482), methods (405, 501),
/// extensions (420), URI schemes (416), bodies (415).
///
/// # Errors
/// The ready response. An ACK is never answered: drop it.
pub fn screen(_request: &Message, _sealer: &Sealer) -> Result<(), Message> {
    todo!()
}

/// Gets rid of a 2xx to an INVITE whose call is no longer known: ACK, then BYE.
pub fn orphan(_response: &Message, _sealer: &Sealer) -> Vec<Effect> {
    todo!()
}
