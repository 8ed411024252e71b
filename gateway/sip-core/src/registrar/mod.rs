//! The registrar: which contacts an address-of-record has, RFC 3261 §10.3 and RFC 5626 §6.
//!
//! [`register()`] turns one authenticated REGISTER into new [`Bindings`], a value for the store to compare and swap. A
//! browser is reached by the flow its registration came over; the host in its Contact is only ever given back to it.

mod aor;
mod binding;
mod register;

pub use aor::Aor;
pub use binding::{Binding, Bindings};
pub use register::{Policy, RegisterError, Registered, register};
