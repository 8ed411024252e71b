//! The WebRTC/SIP signalling gateway: browser softphones on one side, SIP trunks on the other.
//!
//! Floors, from the ground up; a floor uses itself and those below it (`tests/floors.rs` checks):
//!
//! | floor | modules | what is there |
//! |---|---|---|
//! | 0 | `sip-core` | the pure core: messages, transactions, the call machine |
//! | 1 | [`ports`] | traits and plain types towards everything outside |
//! | 2 | [`app`] | use cases: register, invite, in-dialog requests, options |
//! | 3 | [`adapters`], [`runtime`], [`http`] | sockets, stores, relay; tokio and the simulator |
//! | 4 | [`config`], [`wiring`], `main.rs` | the configuration; where it is chosen what stands behind each port |

pub mod adapters;
pub mod app;
pub mod config;
pub mod http;
pub mod ports;
pub mod runtime;
pub mod wiring;
