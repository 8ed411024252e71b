//! The legs of a call. Each of the states a leg passes through owns what it has there, and nothing else:
//!
//! - [`Called`]: the peer's INVITE waits for our final response;
//! - [`Calling`]: our INVITE goes out and waits for one;
//! - [`Confirmed`]: the dialog that a 2xx made;
//! - [`Parting`]: we leave it, until nothing is owed any more.

mod called;
mod calling;
mod confirmed;
mod line;
mod parting;
mod successes;

pub(super) use called::{Called, CallerAsks};
pub(super) use calling::{Calling, Heard};
pub(super) use confirmed::{Asks, Confirmed, Outcome, Taken, TakesDigits, TimerSays};
pub(super) use line::{BranchPart, Comes, HOPS, Line, Serves, Wants, with_reason};
pub(super) use parting::Parting;
pub(super) use successes::{Forks, MAX_FORKS, Successes};
