//! Load and side-by-side measurements of the gateway.
fn main() {}
