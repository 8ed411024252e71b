//! IPv4 and IPv6: a listener on `::` serves both, and whoever comes by IPv4 is told as such.

use std::net::SocketAddr;

use bytes::Bytes;
use gateway::adapters::{Kind, Limits};
use gateway::ports::transport::{Destination, Edge, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::recorder::{Lab, soon};
use crate::tcp::options;

const EVERYWHERE: &str = "[::]:0";
const HOSTS: [&str; 2] = ["127.0.0.1", "::1"];

fn at(host: &str, port: u16) -> SocketAddr {
    SocketAddr::new(host.parse().unwrap(), port)
}

#[tokio::test]
async fn udp_serves_both_families_on_one_listener() {
    let mut lab = Lab::new();
    let port = lab.listen_at(EVERYWHERE.parse().unwrap(), Edge::Trunk, Kind::Udp, Limits::trunk()).port();
    for host in HOSTS {
        let trunk = UdpSocket::bind(at(host, 0)).await.unwrap();
        trunk.send_to(b"OPTIONS", at(host, port)).await.unwrap();
        let (source, _) = lab.message().await;
        assert_eq!(source.remote, trunk.local_addr().unwrap());
        source.reply.send(Bytes::from_static(b"by reply")).unwrap();
        let to = Destination::Udp { listener: "lab".into(), remote: source.remote };
        lab.transports.send(&to, Bytes::from_static(b"by destination")).unwrap();
        for expected in ["by reply", "by destination"] {
            let mut buffer = [0; 64];
            let (length, from) = soon(trunk.recv_from(&mut buffer)).await.unwrap();
            assert_eq!((&buffer[..length], from), (expected.as_bytes(), at(host, port)));
        }
    }
}

#[tokio::test]
async fn tcp_serves_both_families_on_one_listener() {
    let mut lab = Lab::new();
    let port = lab.listen_at(EVERYWHERE.parse().unwrap(), Edge::Trunk, Kind::Tcp, Limits::trunk()).port();
    for host in HOSTS {
        let mut trunk = TcpStream::connect(at(host, port)).await.unwrap();
        let opened = lab.opened().await;
        assert_eq!((opened.remote, opened.local), (trunk.local_addr().unwrap(), at(host, port)));
        trunk.write_all(options(host).as_bytes()).await.unwrap();
        lab.message().await.0.reply.send("SIP/2.0 200 OK\r\n\r\n".into()).unwrap();
        let mut answer = [0; 18];
        soon(trunk.read_exact(&mut answer)).await.unwrap();
        drop(trunk);
        lab.closed().await;
    }
}

#[tokio::test]
async fn a_listener_on_one_address_of_ipv6_leaves_ipv4_alone() {
    let lab = Lab::new();
    let bound = lab.listen_at("[::1]:0".parse().unwrap(), Edge::Trunk, Kind::Tcp, Limits::trunk());
    assert_eq!(bound.ip().to_string(), "::1");
    assert!(TcpStream::connect(at("127.0.0.1", bound.port())).await.is_err());
}
