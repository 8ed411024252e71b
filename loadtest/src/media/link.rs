//! A peer's socket: plain, or with a TURN server in between.

use crate::sys;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

/// A non-blocking UDP socket; with a channel, datagrams go through a TURN server as ChannelData (RFC 8656 §12.4).
pub struct Link {
    socket: UdpSocket,
    channel: Option<u16>,
}

impl Link {
    /// A socket of its own on loopback.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn new() -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        sys::stamp_arrivals(&socket)?;
        // Much arrives between two looks.
        _ = socket2::SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER);
        Ok(Self { socket, channel: None })
    }

    /// From now on the only peer.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn connect(&self, to: SocketAddr) -> io::Result<()> {
        self.socket.connect(to)
    }

    /// From now on all goes through this channel.
    pub fn through(&mut self, channel: u16) {
        self.channel = Some(channel);
    }

    /// Its address.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn local(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The socket itself, to wait for or to answer strangers from.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Sends to the peer. What the system refuses is lost, as datagrams are.
    pub fn send(&self, datagram: &[u8]) {
        let Some(channel) = self.channel else {
            _ = self.socket.send(datagram);
            return;
        };
        let mut framed = [0; LARGEST + 4];
        let length = datagram.len().min(LARGEST);
        framed[..2].copy_from_slice(&channel.to_be_bytes());
        framed[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        framed[4..4 + length].copy_from_slice(&datagram[..length]);
        _ = self.socket.send(&framed[..4 + length]);
    }

    /// Reads one datagram; the kernel's time of its arrival since 1970 comes with it.
    pub fn receive<'a>(&self, buffer: &'a mut [u8]) -> Option<(&'a mut [u8], Duration)> {
        let (length, arrived) = sys::receive(&self.socket, buffer)?;
        let datagram = &mut buffer[..length];
        match self.channel {
            None => Some((datagram, arrived)),
            Some(channel) => {
                let framed = datagram.len() >= 4 && datagram[..2] == channel.to_be_bytes();
                Some((if framed { &mut datagram[4..] } else { datagram }, arrived))
            }
        }
    }
}

/// No datagram of ours is larger.
pub const LARGEST: usize = 2_048;
const RECEIVE_BUFFER: usize = 256 << 10;
