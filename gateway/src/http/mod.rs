//! HTTP: the operators' listener and the softphone page.

pub mod admin;
pub mod page;
