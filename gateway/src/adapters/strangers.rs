//! What peers that have not shown who they are may hold together: half messages of theirs, answers that they do not read.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use daemon::network::network_of;

/// Bytes for all strangers of the process. One address or IPv6 /64 gets an eighth.
#[derive(Debug)]
pub(crate) struct Strangers {
    most: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// What one connection holds; nothing once it is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    strangers: Arc<Strangers>,
    address: IpAddr,
    bytes: usize,
}

/// There is no more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

impl Strangers {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, held: Mutex::default() })
    }

    /// For a connection from this address.
    pub(crate) fn hold(self: &Arc<Self>, address: IpAddr) -> Hold {
        Hold { strangers: Arc::clone(self), address: network_of(address), bytes: 0 }
    }
}

impl Hold {
    /// Holds so much from now on, or what it held before.
    pub(crate) fn resize(&mut self, bytes: usize) -> Result<(), NoRoom> {
        if bytes == self.bytes {
            return Ok(());
        }
        let mut held = self.strangers.held.lock().unwrap_or_else(PoisonError::into_inner);
        let here = held.by_address.get(&self.address).copied().unwrap_or_default();
        let (total, here) = (held.total - self.bytes + bytes, here - self.bytes + bytes);
        if bytes > self.bytes
            && (total > self.strangers.most || here > self.strangers.most / SHARE_OF_ADDRESS)
        {
            return Err(NoRoom);
        }
        held.total = total;
        match here {
            0 => held.by_address.remove(&self.address),
            here => held.by_address.insert(self.address, here),
        };
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // To hold less always fits.
        let _ = self.resize(0);
    }
}

const SHARE_OF_ADDRESS: usize = 8;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn one_address_gets_an_eighth_and_all_together_no_more_than_there_is() {
        let strangers = Strangers::new(80);
        let address = |n: u8| IpAddr::from([192, 0, 2, n]);
        let mut one = strangers.hold(address(1));
        let mut twin = strangers.hold(address(1));
        one.resize(6).unwrap();
        twin.resize(4).unwrap();
        assert_eq!(twin.resize(5), Err(NoRoom));
        one.resize(5).unwrap();
        twin.resize(5).unwrap();
        let mut others: Vec<Hold> = (2..=8).map(|n| strangers.hold(address(n))).collect();
        for other in &mut others {
            other.resize(10).unwrap();
        }
        let mut last = strangers.hold(address(9));
        assert_eq!(last.resize(1), Err(NoRoom));
        drop(twin);
        last.resize(5).unwrap();
        drop((one, others, last));
        let held = strangers.held.lock().unwrap();
        assert_eq!((held.total, held.by_address.len()), (0, 0));
    }
}
