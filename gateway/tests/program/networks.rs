//! Trunks in several networks and of both families: each is told the addresses that are for it, with sound.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use sip_core::message::{Limits, Message, Method, Name, Status};
use tokio::net::UdpSocket;
use tokio::time::interval;

use crate::phone::Phone;
use crate::program::Gateway;

/// A second interface for 127.0.0.2; everybody else is told 127.0.0.1 or ::1. One pair of ports for each.
fn sections(first_port: u16, six: SocketAddr) -> String {
    let last_port = first_port + 1;
    format!(
        r#"
        [relay]
        browser_port = 0
        browser_address = ["::1", "127.0.0.1"]
        rtp_address = ["127.0.0.1", "::1"]
        rtp_ports = [{first_port}, {last_port}]
        workers = 1
        [[relay.interface]]
        name = "second"
        address = "127.0.0.2"
        networks = ["127.0.0.2/32"]
        [[trunk]]
        name = "second"
        address = "127.0.0.2:9"
        cidrs = ["127.0.0.2/32"]
        advertised = ["127.0.0.2"]
        [[trunk]]
        name = "six"
        address = "{six}"
        cidrs = ["::1/128"]
        "#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_trunk_is_told_the_address_of_its_network_and_hears_itself_there() {
    let gateway = Gateway::of_both_families("sipp", &sections(32_660, "[::1]:9".parse().unwrap()));
    for ip in ["127.0.0.1", "127.0.0.2", "::1"] {
        let trunk = Trunk::at(ip).await;
        let at = SocketAddr::new(ip.parse().unwrap(), gateway.sip.port());
        let relay = trunk.calls_echo(at).await;
        assert_eq!(relay, SocketAddr::new(at.ip(), 32_660));
        // The pair is free again once the call is gone.
        while UdpSocket::bind(relay).await.is_err() {
            tokio::task::yield_now().await;
        }
    }
    while gateway.metric("gateway_store_values{kind=\"call\"}") > 0.0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(gateway.metric("gateway_calls_ended_total{cause=\"hung_up\"}"), 3.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_calls_a_trunk_over_ipv6() {
    let trunk = Trunk::at("::1").await;
    let gateway = Gateway::of_both_families("six", &sections(32_670, trunk.sip.local_addr().unwrap()));
    let mut phone = Phone::register(gateway.ws, "alice").await;
    let answering = tokio::spawn(async move { trunk.answers().await });
    phone.call("+4930123456").await;
    let invite = answering.await.unwrap();
    let here = format!("[::1]:{}", gateway.sip.port());
    assert!(invite.header(Name::Via).unwrap().starts_with(&format!("SIP/2.0/UDP {here};")));
    assert!(invite.header(Name::Contact).unwrap().contains(&format!("@{here}>")));
    assert_eq!(media_address(&invite), "[::1]:32670".parse().unwrap());
    let candidates = |ip: &str| {
        phone.heard.lines().any(|line| line.contains(&format!(" {ip} ")) && line.contains("typ host"))
    };
    assert!(candidates("::1") && candidates("127.0.0.1"), "{}", phone.heard);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // RFC 6157 §3, RFC 3261 §20.43
async fn a_trunk_whose_family_the_relay_has_not_is_told_why() {
    let relay = "[relay]\nbrowser_port = 0\nrtp_ports = [32680, 32681]\nworkers = 1\n";
    let gateway = Gateway::of_both_families("sipp", relay);
    let trunk = Trunk::at("127.0.0.1").await;
    let at = SocketAddr::new("127.0.0.1".parse().unwrap(), gateway.sip.port());
    let sdp = trunk.sdp().replace("IN IP4 127.0.0.1", "IN IP6 ::1");
    let refusal = trunk.invites(at, &sdp).await;
    assert_eq!(refusal.status(), Some(Status::NOT_ACCEPTABLE_HERE));
    let warning = refusal.header(Name::Warning).unwrap();
    assert!(warning.starts_with("301 127.0.0.1:"), "{warning}");
}

/// A SIP peer with sound, on one socket each.
struct Trunk {
    sip: UdpSocket,
    rtp: UdpSocket,
}

impl Trunk {
    async fn at(ip: &str) -> Self {
        let ip: IpAddr = ip.parse().unwrap();
        let bind = async || UdpSocket::bind((ip, 0)).await.unwrap();
        Self { sip: bind().await, rtp: bind().await }
    }

    /// Calls the echo, says something until it comes back, and hangs up. Where the relay listened.
    async fn calls_echo(&self, gateway: SocketAddr) -> SocketAddr {
        let answer = self.invites(gateway, &self.sdp()).await;
        assert_eq!(answer.status(), Some(Status::OK));
        let contact = answer.contacts().unwrap().first().unwrap().uri.to_string();
        assert!(contact.ends_with(&format!("@{gateway}")), "{contact}");
        let to = answer.header(Name::To).unwrap();
        self.asks(gateway, &Method::Ack, &contact, to, 1, None).await;
        let relay = media_address(&answer);
        self.hears_itself(relay).await;
        self.asks(gateway, &Method::Bye, &contact, to, 2, None).await;
        assert_eq!(self.response().await.status(), Some(Status::OK));
        relay
    }

    /// The final response.
    async fn invites(&self, gateway: SocketAddr, sdp: &str) -> Message {
        self.asks(gateway, &Method::Invite, "sip:echo@localhost", "<sip:echo@localhost>", 1, Some(sdp)).await;
        self.response().await
    }

    /// Answers a call, and its end; the INVITE.
    async fn answers(&self) -> Message {
        let (invite, from) = self.receive().await;
        let contact = format!("<sip:trunk@{}>", self.sip.local_addr().unwrap());
        let answer = invite.response(Status::OK).to_tag("t").header(Name::Contact, contact);
        let answer = answer.body("application/sdp", self.sdp()).build().unwrap();
        self.sip.send_to(answer.bytes(), from).await.unwrap();
        loop {
            let (request, from) = self.receive().await;
            if *request.method() == Method::Bye {
                let agreed = request.response(Status::OK).build().unwrap();
                self.sip.send_to(agreed.bytes(), from).await.unwrap();
                return invite;
            }
        }
    }

    async fn hears_itself(&self, relay: SocketAddr) {
        let mut pace = interval(Duration::from_millis(5));
        let (mut said, mut heard, mut buffer) = (0_u16, 0, [0; 2_048]);
        while heard < 10 {
            tokio::select! {
                _ = pace.tick() => {
                    said += 1;
                    let mut packet = vec![0x80, 0];
                    packet.extend(said.to_be_bytes());
                    packet.extend((u32::from(said) * 160).to_be_bytes());
                    packet.extend([0, 0, 0, 7]);
                    packet.extend([0x2A; 160]);
                    self.rtp.send_to(&packet, relay).await.unwrap();
                }
                received = self.rtp.recv_from(&mut buffer) => {
                    let (length, from) = received.unwrap();
                    assert_eq!(from, relay);
                    heard += usize::from(buffer[..length].ends_with(&[0x2A; 160]));
                }
            }
        }
    }

    async fn asks(
        &self,
        gateway: SocketAddr,
        method: &Method,
        uri: &str,
        to: &str,
        cseq: u32,
        sdp: Option<&str>,
    ) {
        let own = self.sip.local_addr().unwrap();
        let request = sip_core::message::Builder::request(method, uri)
            .header(Name::Via, format!("SIP/2.0/UDP {own};branch=z9hG4bK{method}{cseq};rport"))
            .header(Name::MaxForwards, 70)
            .header(Name::From, format!("<sip:trunk@{own}>;tag=f"))
            .header(Name::To, to)
            .header(Name::CallId, format!("call-of-{own}"))
            .header(Name::CSeq, format!("{cseq} {method}"))
            .header(Name::Contact, format!("<sip:trunk@{own}>"));
        let request = sdp.map_or(request.clone(), |sdp| request.body("application/sdp", sdp));
        self.sip.send_to(request.build().unwrap().bytes(), gateway).await.unwrap();
    }

    async fn response(&self) -> Message {
        loop {
            let (message, _) = self.receive().await;
            if message.status().is_some_and(Status::is_final) {
                return message;
            }
        }
    }

    async fn receive(&self) -> (Message, SocketAddr) {
        let mut buffer = vec![0; 65_535];
        let (length, from) = self.sip.recv_from(&mut buffer).await.unwrap();
        let message = Message::parse(Bytes::copy_from_slice(&buffer[..length]), &Limits::default());
        (message.unwrap(), from)
    }

    fn sdp(&self) -> String {
        let at = self.rtp.local_addr().unwrap();
        let (ip, port) = (at.ip(), at.port());
        let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
        format!(
            "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
        )
    }
}

/// Where a message's SDP wants RTP; its family is named as RFC 8866 §5.7 says.
fn media_address(message: &Message) -> SocketAddr {
    let sdp = String::from_utf8_lossy(message.body());
    let line = |start: &str| sdp.lines().find_map(|line| line.strip_prefix(start)).unwrap().to_owned();
    let (connection, media) = (line("c=IN IP"), line("m=audio "));
    let (family, ip) = connection.split_once(' ').unwrap();
    let ip: IpAddr = ip.parse().unwrap();
    assert_eq!(family, if ip.is_ipv4() { "4" } else { "6" });
    SocketAddr::new(ip, media.split(' ').next().unwrap().parse().unwrap())
}
