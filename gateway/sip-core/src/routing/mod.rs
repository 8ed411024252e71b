//! Where messages go and how an in-dialog message finds its call: destinations, flows, sealed tokens.

mod destination;
mod flow;
mod leg;
pub mod locate;
pub mod token;

pub use destination::{Destination, Network, Transport, TrunkAddress};
pub use flow::FlowId;
pub use leg::LegId;
pub use token::{CallId, Named, Purpose, Sealer};
