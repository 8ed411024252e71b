//! What a program of ours needs around its work: its configuration, its command line, its log, the operators' listener,
//! certificates, files of its own, signals. The gateway and the media relay share it, so that an operator learns one set
//! of manners.

pub mod admin;
pub mod certificate;
pub mod cli;
pub mod clock;
pub mod config;
pub mod descriptors;
pub mod handshake;
pub mod http;
pub mod logging;
pub mod network;
pub mod output;
pub mod pem;
pub mod reload;
pub mod seldom;
pub mod signals;
pub mod state_folder;
pub mod text;
pub mod tls;
mod told;

pub use told::told;
