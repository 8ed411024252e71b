//! A relay's sockets between the moment when they are bound and the one when somebody reads them.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use crate::config::BrowserListener;
use crate::sockets;
use crate::turn::{Bound as TurnAddresses, Listeners};

/// Bound for good: what browsers and TURN clients reach. Dropped, they are free again.
#[derive(Debug, Default)]
pub struct BoundSockets {
    /// Of each worker, in the order of the listeners.
    pub(crate) browser: Vec<Vec<UdpSocket>>,
    /// Of each worker; without a listener where there is no TURN.
    pub(crate) turn: Vec<Listeners>,
}

/// A socket that can't be had.
#[derive(Debug)]
pub struct Refused {
    /// What it was for.
    pub listener: ListenerKind,
    /// Where.
    pub address: SocketAddr,
    /// Why not.
    pub error: io::Error,
}

/// Whom a socket serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerKind {
    /// Browsers' media.
    Browser,
    /// TURN clients over UDP.
    TurnUdp,
    /// TURN clients over TCP.
    TurnTcp,
    /// TURN clients over TLS.
    TurnTls,
}

impl BoundSockets {
    /// Binds what a relay of so many workers is started with, for all of them before any of them reads, so that a client's
    /// packets find the same worker always. Each socket that can't be had is told.
    pub fn bind(
        browser: &[BrowserListener],
        turn: &TurnAddresses,
        workers: usize,
        mut refused: impl FnMut(Refused),
    ) -> Self {
        let browser = (0..workers).map(|number| browser_sockets(browser, number, &mut refused)).collect();
        Self { browser, turn: Listeners::bind_all(turn, workers, &mut refused) }
    }
}

/// One worker's socket of each listener.
fn browser_sockets(
    listeners: &[BrowserListener],
    number: usize,
    refused: &mut impl FnMut(Refused),
) -> Vec<UdpSocket> {
    let bind = |listener: &BrowserListener| {
        let mut address = listener.bind;
        if address.port() != 0 {
            address.set_port(address.port().saturating_add(number as u16));
        }
        let tell = |error| refused(Refused { listener: ListenerKind::Browser, address, error });
        sockets::bind_mux(address).map_err(tell).ok()
    };
    listeners.iter().filter_map(bind).collect()
}
