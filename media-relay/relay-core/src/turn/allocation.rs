//! What a client holds: RFC 8656 §3.2, its permissions (§9) and channels (§12).

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::bucket::Bucket;
use super::credentials::{self, Owner};
use super::peers::Route;
use super::{Client, RelayedPort};

pub(super) struct Allocation {
    pub(super) client: Client,
    pub(super) owner: Owner,
    pub(super) port: RelayedPort,
    /// As the client and its peers see it.
    pub(super) relayed: SocketAddr,
    pub(super) expires: Instant,
    pub(super) granted: Granted,
    /// The driver has a socket for the port.
    pub(super) is_open: bool,
    pub(super) from_client: Bucket,
    pub(super) to_client: Bucket,
    permissions: Vec<Permission>,
    channels: Vec<Channel>,
    /// By which of its addresses the client speaks to a browser-facing socket of ours.
    local: Vec<(u8, SocketAddr)>,
}

/// What the Allocate was answered, to be repeated when it is (RFC 8656 §7.2).
#[derive(Clone, Copy)]
pub(super) struct Granted {
    pub(super) transaction: [u8; 12],
    pub(super) lifetime: Duration,
    pub(super) token: Option<[u8; 8]>,
}

struct Permission {
    ip: IpAddr,
    expires: Instant,
}

#[derive(Clone, Copy)]
pub(super) struct Channel {
    pub(super) number: u16,
    pub(super) peer: SocketAddr,
    pub(super) route: Route,
    expires: Instant,
}

/// A table of the allocation is full.
pub(super) struct Full;

impl Allocation {
    pub(super) fn new(
        client: Client,
        owner: Owner,
        (port, relayed): (RelayedPort, SocketAddr),
        granted: Granted,
        rate: u32,
        now: Instant,
    ) -> Self {
        Self {
            client,
            owner,
            port,
            relayed,
            expires: now + granted.lifetime,
            granted,
            is_open: false,
            from_client: Bucket::full(rate, now),
            to_client: Bucket::full(rate, now),
            permissions: Vec::new(),
            channels: Vec::new(),
            local: Vec::new(),
        }
    }

    /// Who the quota counts it for.
    pub(super) fn user(&self) -> &[u8] {
        credentials::user(&self.owner.username)
    }

    pub(super) fn permits(&self, ip: IpAddr, now: Instant) -> bool {
        self.permissions.iter().any(|permission| permission.ip == ip && permission.expires > now)
    }

    /// Grants or refreshes permissions: all or none.
    pub(super) fn permit(
        &mut self,
        ips: impl Iterator<Item = IpAddr> + Clone,
        now: Instant,
    ) -> Result<(), Full> {
        self.permissions.retain(|permission| permission.expires > now);
        let is_new = |ip: &IpAddr| self.permissions.iter().all(|permission| permission.ip != *ip);
        if self.permissions.len() + ips.clone().filter(is_new).count() > MOST_PERMISSIONS {
            return Err(Full);
        }
        let expires = now + PERMISSION_LIFE;
        for ip in ips {
            match self.permissions.iter_mut().find(|permission| permission.ip == ip) {
                Some(permission) => permission.expires = expires,
                None => self.permissions.push(Permission { ip, expires }),
            }
        }
        Ok(())
    }

    /// Whether the number and the peer belong to each other or to nobody (RFC 8656 §12.2).
    pub(super) fn may_bind(&mut self, number: u16, peer: SocketAddr, now: Instant) -> bool {
        self.channels.retain(|channel| channel.expires > now);
        self.channels.iter().all(|channel| (channel.number == number) == (channel.peer == peer))
    }

    /// Binds or refreshes a channel that [`Self::may_bind`], with its permission.
    pub(super) fn bind(
        &mut self,
        number: u16,
        peer: SocketAddr,
        route: Route,
        now: Instant,
    ) -> Result<(), Full> {
        let known = self.channels.iter().position(|channel| channel.number == number);
        if known.is_none() && self.channels.len() >= MOST_CHANNELS {
            return Err(Full);
        }
        self.permit(std::iter::once(peer.ip()), now)?;
        let channel = Channel { number, peer, route, expires: now + CHANNEL_LIFE };
        match known {
            Some(at) => self.channels[at] = channel,
            None => self.channels.push(channel),
        }
        Ok(())
    }

    pub(super) fn channel(&self, number: u16, now: Instant) -> Option<Channel> {
        self.channels.iter().find(|channel| channel.number == number && channel.expires > now).copied()
    }

    pub(super) fn channel_to(&self, peer: SocketAddr, now: Instant) -> Option<u16> {
        let bound = self.channels.iter().find(|channel| channel.peer == peer && channel.expires > now);
        bound.map(|channel| channel.number)
    }

    /// Remembers by which address a browser-facing socket was spoken to: it answers from that one.
    pub(super) fn spoke_to(&mut self, mux: u8, address: SocketAddr) {
        match self.local.iter_mut().find(|(known, _)| *known == mux) {
            Some((_, last)) => *last = address,
            None => self.local.push((mux, address)),
        }
    }

    pub(super) fn address_of(&self, mux: u8) -> Option<SocketAddr> {
        self.local.iter().find(|(known, _)| *known == mux).map(|(_, address)| *address)
    }
}

/// RFC 8656 §9.
const PERMISSION_LIFE: Duration = Duration::from_secs(300);
/// RFC 8656 §12.
const CHANNEL_LIFE: Duration = Duration::from_secs(600);
/// More are refused with 508; a browser needs one for each address of our relays.
const MOST_PERMISSIONS: usize = 32;
/// As above.
const MOST_CHANNELS: usize = 32;
