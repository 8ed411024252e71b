//! HTTP: the softphone page.

pub mod page;
