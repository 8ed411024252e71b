//! A plain RTP peer.

use std::net::{IpAddr, SocketAddr};

use relay_api::RtpRemote;
use tokio::net::UdpSocket;

/// One RTP and one RTCP socket on loopback.
pub struct Peer {
    pub rtp: UdpSocket,
    pub rtcp: UdpSocket,
    sequence: u16,
    timestamp: u32,
}

/// A packet as it was received.
#[derive(Debug)]
pub struct Packet {
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    pub payload: Vec<u8>,
}

impl Peer {
    pub async fn new() -> Self {
        Self::at("127.0.0.1").await
    }

    /// At another address of this machine.
    pub async fn at(ip: &str) -> Self {
        let ip: IpAddr = ip.parse().unwrap();
        let bind = async || UdpSocket::bind((ip, 0)).await.unwrap();
        Self { rtp: bind().await, rtcp: bind().await, sequence: 65_530, timestamp: 7 }
    }

    pub fn remote(&self) -> RtpRemote {
        RtpRemote { rtp: self.rtp.local_addr().unwrap(), rtcp: self.rtcp.local_addr().unwrap() }
    }

    pub async fn send(&mut self, to: SocketAddr, payload_type: u8, payload: &[u8]) {
        let packet = self.packet(payload_type, payload);
        self.rtp.send_to(&packet, to).await.unwrap();
    }

    /// The next packet of this peer's stream.
    pub fn packet(&mut self, payload_type: u8, payload: &[u8]) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(160);
        let mut packet = vec![0x80, payload_type];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&self.timestamp.to_be_bytes());
        packet.extend_from_slice(&0x0BAD_CAFE_u32.to_be_bytes());
        packet.extend_from_slice(payload);
        packet
    }

    pub async fn receive(&self) -> Packet {
        let mut buffer = [0; 2_048];
        let (length, _) = self.rtp.recv_from(&mut buffer).await.unwrap();
        Packet::parse(&buffer[..length])
    }
}

impl Packet {
    fn parse(packet: &[u8]) -> Self {
        // Nothing of the browser's header extensions may reach a plain peer.
        assert_eq!(packet[0], 0x80, "no extension, CSRC or padding");
        let word = |at: usize| u32::from_be_bytes(packet[at..at + 4].try_into().unwrap());
        Self {
            payload_type: packet[1] & 0x7F,
            sequence: u16::from_be_bytes([packet[2], packet[3]]),
            timestamp: word(4),
            ssrc: word(8),
            payload: packet[12..].to_vec(),
        }
    }
}
