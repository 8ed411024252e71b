//! UDP: one datagram is one message.

use bytes::Bytes;
use gateway::adapters::{Kind, Limits};
use gateway::ports::transport::{Destination, Edge, Protocol, SendError, Transport};
use tokio::net::UdpSocket;

use crate::recorder::{Lab, soon};

async fn read(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = [0; 2048];
    let length = soon(socket.recv(&mut buffer)).await.unwrap();
    buffer[..length].to_vec()
}

#[tokio::test] // RFC 3261 §18.1.2, RFC 3581: the answer comes from the port that was asked.
async fn an_answer_leaves_from_the_listener_s_own_port() {
    let mut lab = Lab::new();
    let at = lab.listen(Edge::Trunk, Kind::Udp, Limits::trunk());
    let trunk = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    trunk.connect(at).await.unwrap();
    trunk.send(b"OPTIONS").await.unwrap();
    let (source, raw) = lab.message().await;
    assert_eq!((source.protocol, source.local, source.connection), (Protocol::Udp, at, None));
    assert_eq!((source.remote, raw.as_ref()), (trunk.local_addr().unwrap(), &b"OPTIONS"[..]));
    source.reply.send(Bytes::from_static(b"by reply")).unwrap();
    assert_eq!(read(&trunk).await, b"by reply");
    lab.transports.send(&source.destination(), Bytes::from_static(b"by destination")).unwrap();
    assert_eq!(read(&trunk).await, b"by destination");
}

#[tokio::test]
async fn keep_alives_are_dropped() {
    let mut lab = Lab::new();
    let at = lab.listen(Edge::Trunk, Kind::Udp, Limits::trunk());
    let trunk = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for datagram in [&b""[..], b"\r\n\r\n", b"\0\0\0\0", b"OPTIONS"] {
        trunk.send_to(datagram, at).await.unwrap();
    }
    assert_eq!(lab.message().await.1, "OPTIONS");
}

#[tokio::test]
async fn datagrams_beyond_what_is_worked_on_are_dropped_and_counted() {
    let mut lab = Lab::new();
    let at =
        lab.listen(Edge::Trunk, Kind::Udp, Limits { datagram_bytes_per_address: ONE, ..Limits::trunk() });
    let trunk = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    trunk.send_to(b"wait", at).await.unwrap();
    assert_eq!(lab.message().await.1, "wait");
    trunk.send_to(b"dropped", at).await.unwrap();
    soon(async {
        while lab.transports.statistics().datagrams_dropped == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    lab.permit();
    // The place is free a moment after the work has ended.
    let repeat = async {
        loop {
            trunk.send_to(b"next", at).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = repeat => {}
        (_, raw) = lab.message() => assert_eq!(raw, "next"),
    }
}

#[tokio::test]
async fn datagrams_of_one_address_take_nobody_elses_room() {
    let mut lab = Lab::new();
    let limits = Limits { datagram_bytes: 2 * ONE, datagram_bytes_per_address: ONE, ..Limits::trunk() };
    let at = lab.listen(Edge::Trunk, Kind::Udp, limits);
    let flooder = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let twin = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let other = UdpSocket::bind("127.0.0.2:0").await.unwrap();
    let third = UdpSocket::bind("127.0.0.3:0").await.unwrap();
    let are_dropped = async |lab: &Lab, many| {
        soon(async {
            while lab.transports.statistics().datagrams_dropped < many {
                tokio::task::yield_now().await;
            }
        })
        .await;
    };
    flooder.send_to(b"wait", at).await.unwrap();
    assert_eq!(lab.message().await.1, "wait");
    twin.send_to(b"one too many", at).await.unwrap();
    are_dropped(&lab, 1).await;
    other.send_to(b"wait for another", at).await.unwrap();
    assert_eq!(lab.message().await.1, "wait for another");
    third.send_to(b"beyond all", at).await.unwrap();
    are_dropped(&lab, 2).await;
}

#[tokio::test]
async fn what_cannot_be_sent_is_told_at_once() {
    let lab = Lab::new();
    let remote = lab.listen(Edge::Trunk, Kind::Udp, Limits::trunk());
    let to = Destination::Udp { listener: "lab".into(), remote };
    assert_eq!(lab.transports.send(&to, vec![b'x'; 70_000].into()), Err(SendError::Unsuitable));
    let nowhere = Destination::Udp { listener: "another".into(), remote };
    assert_eq!(lab.transports.send(&nowhere, Bytes::from_static(b"x")), Err(SendError::Gone));
}

#[tokio::test] // RFC 3261 §18.4
async fn a_port_that_takes_no_datagrams_is_told_and_disturbs_nobody_else() {
    for (here, there) in [("127.0.0.1:0", "127.0.0.1:0"), ("[::]:0", "127.0.0.1:0"), ("[::]:0", "[::1]:0")] {
        let mut lab = Lab::new();
        lab.listen_at(here.parse().unwrap(), Edge::Trunk, Kind::Udp, Limits::trunk());
        let (dead, alive) = (UdpSocket::bind(there).await.unwrap(), UdpSocket::bind(there).await.unwrap());
        let to = |socket: &UdpSocket| Destination::Udp {
            listener: "lab".into(),
            remote: socket.local_addr().unwrap(),
        };
        let (nowhere, somewhere) = (to(&dead), to(&alive));
        drop(dead);
        for _ in 0..20 {
            lab.transports.send(&nowhere, Bytes::from_static(b"INVITE")).unwrap();
            lab.transports.send(&somewhere, Bytes::from_static(b"OPTIONS")).unwrap();
            assert_eq!(lab.unreachable().await, (nowhere.clone(), SendError::Unreachable), "{here} {there}");
            assert_eq!(read(&alive).await, b"OPTIONS");
        }
    }
}

/// Room for one datagram with its work, and not for two.
const ONE: usize = 6_000;
