//! What runs the driver: tokio in production, a seeded simulator in tests.

pub mod sim;
pub mod tokio;
