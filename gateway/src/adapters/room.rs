//! Bytes that peers make us hold together, of which one address gets a share: half messages of strangers and answers that they do
//! not read, datagrams that wait.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use daemon::network::network_of;

/// Bytes for all. One address or IPv6 /64 gets a share.
#[derive(Debug)]
pub(crate) struct Room {
    most: usize,
    of_address: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// What one connection or datagram holds; nothing once it is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    room: Arc<Room>,
    address: IpAddr,
    bytes: usize,
}

/// There is no more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

impl Room {
    /// Of so many bytes; `of_address` is what one address may hold.
    pub(crate) fn new(most: usize, of_address: usize) -> Arc<Self> {
        Arc::new(Self { most, of_address, held: Mutex::default() })
    }

    /// For what comes from this address.
    pub(crate) fn hold(self: &Arc<Self>, address: IpAddr) -> Hold {
        Hold { room: Arc::clone(self), address: network_of(address), bytes: 0 }
    }
}

impl Hold {
    /// Holds so much from now on, or what it held before.
    pub(crate) fn resize(&mut self, bytes: usize) -> Result<(), NoRoom> {
        if bytes == self.bytes {
            return Ok(());
        }
        let mut held = self.room.held.lock().unwrap_or_else(PoisonError::into_inner);
        let here = held.by_address.get(&self.address).copied().unwrap_or_default();
        let (total, here) = (held.total - self.bytes + bytes, here - self.bytes + bytes);
        if bytes > self.bytes && (total > self.room.most || here > self.room.of_address) {
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn one_address_gets_its_share_and_all_together_no_more_than_there_is() {
        let room = Room::new(80, 10);
        let address = |n: u8| IpAddr::from([192, 0, 2, n]);
        let mut one = room.hold(address(1));
        let mut twin = room.hold(address(1));
        one.resize(6).unwrap();
        twin.resize(4).unwrap();
        assert_eq!(twin.resize(5), Err(NoRoom));
        one.resize(5).unwrap();
        twin.resize(5).unwrap();
        let mut others: Vec<Hold> = (2..=8).map(|n| room.hold(address(n))).collect();
        for other in &mut others {
            other.resize(10).unwrap();
        }
        let mut last = room.hold(address(9));
        assert_eq!(last.resize(1), Err(NoRoom));
        drop(twin);
        last.resize(5).unwrap();
        drop((one, others, last));
        let held = room.held.lock().unwrap();
        assert_eq!((held.total, held.by_address.len()), (0, 0));
    }
}
