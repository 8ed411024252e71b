//! Connections with trunks that break, stay silent or can't be made; and trunks that mix UDP and TCP.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use sip_core::message::framing::{Frame, Stream as Framing};
use sip_core::message::{Limits, Message, Method, Name, Status};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

use super::phone::Phone;
use super::program::{Gateway, free_port};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // RFC 3261 §17.1.4, RFC 3263 §4.3
async fn a_trunk_that_dies_after_the_invite_is_left_for_the_next_one_at_once() {
    let backup = free_port();
    let lines = format!("backup_addresses = [\"{backup}\"]\nfirst_reply = \"60s\"");
    let gateway = Gateway::start_with("tcp", 31_100..=31_119, &lines, "filter = \"info\"");
    let dying = TcpListener::bind(gateway.trunk).await.unwrap();
    let next = TcpListener::bind(backup).await.unwrap();
    let mut phone = Phone::register(gateway.ws, "alice").await;
    let trunk = async {
        let mut first = Line::accepted(&dying).await;
        first.hears(&Method::Invite).await;
        first.resets();
        let mut second = Line::accepted(&next).await;
        let invite = second.hears(&Method::Invite).await;
        second.refuses(&invite).await;
    };
    let (answer, ()) = soon(async { tokio::join!(phone.asks_for("+4930123456"), trunk) }).await;
    assert_eq!(answer.status(), Some(Status::BUSY_HERE));
    let log = gateway.log();
    assert!(log.contains("connection ended") && log.contains("why=\"peer\""), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // RFC 3261 §18.4
async fn a_udp_trunk_that_nobody_listens_at_is_left_for_the_next_one_at_once() {
    let good = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let lines = format!("backup_addresses = [\"{}\"]\nfirst_reply = \"60s\"", good.local_addr().unwrap());
    let gateway = Gateway::start_with("udp", 31_120..=31_139, &lines, "filter = \"warn\"");
    let mut phone = Phone::register(gateway.ws, "alice").await;
    let trunk = async {
        let invite = hears_by_udp(&good, &Method::Invite).await;
        let busy = invite.response(Status::BUSY_HERE).to_tag("t").build().unwrap();
        good.send_to(busy.bytes(), gateway.sip).await.unwrap();
    };
    let (answer, ()) = soon(async { tokio::join!(phone.asks_for("+4930123456"), trunk) }).await;
    assert_eq!(answer.status(), Some(Status::BUSY_HERE));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_after_one_that_got_no_response_takes_another_connection() {
    let lines = "first_reply = \"300ms\"";
    let gateway = Gateway::start_with("tcp", 31_140..=31_159, lines, "filter = \"warn\"");
    let pbx = TcpListener::bind(gateway.trunk).await.unwrap();
    let mut phone = Phone::register(gateway.ws, "alice").await;
    let answer = soon(phone.asks_for("+4930123456")).await;
    assert_eq!(answer.status(), Some(Status::SERVICE_UNAVAILABLE));
    // As if a firewall had forgotten it: neither closed nor heard.
    let _silent = Line::accepted(&pbx).await;
    let trunk = async {
        let mut fresh = Line::accepted(&pbx).await;
        let invite = fresh.hears(&Method::Invite).await;
        fresh.refuses(&invite).await;
    };
    let (answer, ()) = soon(async { tokio::join!(phone.asks_for("+4930123456"), trunk) }).await;
    assert_eq!(answer.status(), Some(Status::BUSY_HERE));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // RFC 3261 §18.1.1, RFC 3263 §4.1
async fn a_udp_trunk_that_calls_by_tcp_gets_its_bye_by_udp() {
    let gateway = Gateway::start("udp", 31_160..=31_179);
    let sip = UdpSocket::bind(gateway.trunk).await.unwrap();
    let mut phone = Phone::register(gateway.ws, "alice").await;
    let mut line = Line::dialled(gateway.sip).await;
    let contact = format!("sip:pbx@{}", gateway.trunk);
    let invite = line.is_connected(&mut phone, &contact).await;
    soon(phone.hangs_up(&invite)).await;
    let bye = soon(hears_by_udp(&sip, &Method::Bye)).await;
    assert_eq!(bye.uri(), Some(contact.as_str()));
    assert!(bye.header(Name::Via).unwrap().starts_with(&format!("SIP/2.0/UDP {};", gateway.sip)));
    let agreed = bye.response(Status::OK).build().unwrap();
    sip.send_to(agreed.bytes(), gateway.sip).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // RFC 3263 §4.1
async fn a_udp_trunk_with_a_contact_of_tcp_gets_its_bye_by_tcp() {
    let gateway = Gateway::start("udp", 31_180..=31_199);
    let pbx = TcpListener::bind(gateway.trunk).await.unwrap();
    let mut phone = Phone::register(gateway.ws, "alice").await;
    let mut line = Line::dialled(gateway.sip).await;
    let contact = format!("sip:pbx@{};transport=tcp", gateway.trunk);
    let invite = line.is_connected(&mut phone, &contact).await;
    soon(phone.hangs_up(&invite)).await;
    let mut other = Line::accepted(&pbx).await;
    let bye = other.hears(&Method::Bye).await;
    assert!(bye.header(Name::Via).unwrap().starts_with(&format!("SIP/2.0/TCP {};", gateway.sip)));
    other.agrees(&bye).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // RFC 3261 §18.1.1, RFC 5923
async fn a_bye_for_a_contact_that_takes_nobody_goes_over_the_connection_of_the_dialog() {
    let gateway = Gateway::start("tcp", 31_200..=31_219);
    let mut phone = Phone::register(gateway.ws, "alice").await;
    let mut line = Line::dialled(gateway.sip).await;
    let contact = format!("sip:pbx@{};transport=tcp", free_port());
    let invite = line.is_connected(&mut phone, &contact).await;
    soon(phone.hangs_up(&invite)).await;
    let bye = line.hears(&Method::Bye).await;
    assert_eq!(bye.uri(), Some(contact.as_str()));
    line.agrees(&bye).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bye_that_cannot_be_delivered_is_logged_and_arrives_once_the_trunk_is_back() {
    let gateway = Gateway::start("tcp", 31_220..=31_239);
    let mut phone = Phone::register(gateway.ws, "alice").await;
    let mut line = Line::dialled(gateway.sip).await;
    let invite = line.is_connected(&mut phone, &format!("sip:pbx@{};transport=tcp", gateway.trunk)).await;
    drop(line);
    soon(phone.hangs_up(&invite)).await;
    while !gateway.log().contains("BYE was not delivered") {
        tokio::task::yield_now().await;
    }
    let back = TcpListener::bind(gateway.trunk).await.unwrap();
    let mut line = Line::accepted(&back).await;
    let bye = line.hears(&Method::Bye).await;
    line.agrees(&bye).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // RFC 3261 §18.2.2
async fn a_200_whose_connection_is_closed_goes_to_where_the_via_says() {
    let gateway = Gateway::start("tcp", 31_240..=31_259);
    let pbx = TcpListener::bind(gateway.trunk).await.unwrap();
    let mut phone = Phone::register(gateway.ws, "alice").await;
    let mut line = Line::dialled(gateway.sip).await;
    line.via = gateway.trunk;
    line.invites(&format!("sip:pbx@{};transport=tcp", gateway.trunk)).await;
    let invite = soon(phone.rings()).await;
    line.resets();
    phone.accept(&invite).await;
    let mut other = Line::accepted(&pbx).await;
    assert_eq!(other.response().await.status(), Some(Status::OK));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // RFC 3261 §19.1.6, RFC 3966
async fn a_tel_uri_is_a_number_of_the_trunk_s() {
    let gateway = Gateway::start("tcp", 31_260..=31_279);
    let pbx = TcpListener::bind(gateway.trunk).await.unwrap();
    let mut phone = Phone::register(gateway.ws, "alice").await;
    let trunk = async {
        let mut line = Line::accepted(&pbx).await;
        let invite = line.hears(&Method::Invite).await;
        line.refuses(&invite).await;
        invite
    };
    let (answer, invite) = soon(async { tokio::join!(phone.invite("tel:+49-30-123;ext=5"), trunk) }).await;
    assert_eq!(answer.status(), Some(Status::BUSY_HERE));
    let written = format!("sip:+49-30-123;ext=5@{};user=phone", gateway.trunk.ip());
    assert_eq!(invite.uri().unwrap().replace(&format!(":{}", gateway.trunk.port()), ""), written);
    let to = invite.header(Name::To).unwrap();
    assert!(to.contains("+49-30-123;ext=5@") && to.contains(";user=phone>"), "{to}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // RFC 3261 §19.1.6, RFC 3966
async fn a_trunk_calls_a_user_by_tel_and_is_called_by_its_number() {
    let gateway = Gateway::start_with("tcp", 31_280..=31_299, "", "filter = \"info\"");
    std::fs::write(gateway.folder().join("users"), "+4930123:secret\n").unwrap();
    gateway.signal("-HUP");
    while !gateway.log().contains("read again") {
        tokio::task::yield_now().await;
    }
    let mut phone = Phone::register(gateway.ws, "+4930123").await;
    let mut line = Line::dialled(gateway.sip).await;
    let (uri, contact) = ("tel:+49-30.123", format!("sip:pbx@{};transport=tcp", line.via));
    let invite = line.request(&Method::Invite, uri, &format!("<{uri}>"), &contact, SDP);
    let text = String::from_utf8(invite.bytes().to_vec()).unwrap();
    let text = text.replace("<sip:pbx@127.0.0.1>;tag=f", "<tel:+49-89-1;ext=5>;tag=f");
    assert!(text.contains("From: <tel:"), "{text}");
    line.stream.write_all(text.as_bytes()).await.unwrap();
    let invite = soon(phone.rings()).await;
    assert_eq!(invite.from().uri, "sip:+49-89-1@localhost");
    let answering = async {
        phone.accept(&invite).await;
    };
    let ((), answer) = soon(async {
        tokio::join!(answering, async {
            loop {
                let response = line.response().await;
                if response.status().is_some_and(Status::is_final) {
                    break response;
                }
            }
        })
    })
    .await;
    assert_eq!(answer.status(), Some(Status::OK));
    assert!(
        answer.header(Name::From).unwrap().starts_with("<tel:+49-89-1;ext=5>"),
        "its own From comes back"
    );
    assert!(answer.header(Name::To).unwrap().starts_with("<tel:+49-30.123>"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // RFC 3261 §18.2.2
async fn who_is_no_trunk_leads_us_nowhere_by_his_via() {
    let gateway = Gateway::start("tcp", 31_300..=31_319);
    let victim = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let via = victim.local_addr().unwrap();
    let invite = |to: &str| {
        format!(
            "INVITE sip:alice@localhost SIP/2.0\r\nVia: SIP/2.0/TCP {via};branch=z9hG4bKs\r\nMax-Forwards: 70\r\n\
             From: <sip:s@{via}>;tag=s\r\nTo: <sip:alice@localhost>\r\nCall-ID: s-{to}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:s@{via};transport=tcp>\r\nContent-Length: 0\r\n\r\n"
        )
    };
    // At the trunks' listener, and at the browsers'; both are gone before they are answered.
    let stranger = tokio::net::TcpSocket::new_v4().unwrap();
    stranger.bind("127.0.0.9:0".parse().unwrap()).unwrap();
    let mut stranger = stranger.connect(gateway.sip).await.unwrap();
    _ = stranger.write_all(invite("tcp").as_bytes()).await;
    drop(stranger);
    let mut guest = Phone::connect(gateway.ws, "alice").await;
    guest.send_text(invite("ws")).await;
    drop(guest);
    // Whoever comes later is served: by then both were dealt with.
    let mut phone = Phone::register(gateway.ws, "alice").await;
    let mut line = Line::dialled(gateway.sip).await;
    line.via = gateway.trunk;
    line.invites(&format!("sip:pbx@{};transport=tcp", gateway.trunk)).await;
    let pbx = TcpListener::bind(gateway.trunk).await.unwrap();
    let rung = soon(phone.rings()).await;
    line.resets();
    phone.accept(&rung).await;
    let mut other = Line::accepted(&pbx).await;
    assert_eq!(other.response().await.status(), Some(Status::OK), "a trunk's is");
    let victim = victim.into_std().unwrap();
    let nobody = victim.accept().map(|(_, from)| from).unwrap_err();
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
}

/// One connection with the gateway, the trunk's end.
struct Line {
    stream: TcpStream,
    framing: Framing,
    /// What its Via says.
    via: SocketAddr,
}

impl Line {
    fn new(stream: TcpStream) -> Self {
        let via = stream.local_addr().unwrap();
        Self { stream, framing: Framing::new(Limits::default()), via }
    }

    async fn accepted(listener: &TcpListener) -> Self {
        Self::new(soon(listener.accept()).await.unwrap().0)
    }

    async fn dialled(gateway: SocketAddr) -> Self {
        Self::new(TcpStream::connect(gateway).await.unwrap())
    }

    /// Calls the phone, which takes the call; the INVITE there.
    async fn is_connected(&mut self, phone: &mut Phone, contact: &str) -> Message {
        self.invites(contact).await;
        let invite = soon(phone.rings()).await;
        let calling = async {
            let answer = loop {
                let response = self.response().await;
                if response.status().is_some_and(Status::is_final) {
                    break response;
                }
            };
            assert_eq!(answer.status(), Some(Status::OK));
            let target = answer.contacts().unwrap().first().unwrap().uri.to_string();
            let to = answer.header(Name::To).unwrap();
            self.says(&self.request(&Method::Ack, &target, to, contact, "")).await;
        };
        soon(async { tokio::join!(phone.takes(&invite), calling) }).await;
        invite
    }

    async fn invites(&mut self, contact: &str) {
        let to = "<sip:alice@localhost>";
        let invite = self.request(&Method::Invite, "sip:alice@localhost", to, contact, SDP);
        self.says(&invite).await;
    }

    fn request(&self, method: &Method, uri: &str, to: &str, contact: &str, sdp: &str) -> Message {
        let builder = sip_core::message::Builder::request(method, uri)
            .header(Name::Via, format!("SIP/2.0/TCP {};branch=z9hG4bK{method}", self.via))
            .header(Name::MaxForwards, 70)
            .header(Name::From, "<sip:pbx@127.0.0.1>;tag=f")
            .header(Name::To, to)
            .header(Name::CallId, format!("call-of-{}", self.stream.local_addr().unwrap()))
            .header(Name::CSeq, format!("1 {method}"))
            .header(Name::Contact, format!("<{contact}>"));
        match sdp {
            "" => builder.build().unwrap(),
            sdp => builder.body("application/sdp", sdp).build().unwrap(),
        }
    }

    async fn says(&mut self, message: &Message) {
        self.stream.write_all(message.bytes()).await.unwrap();
    }

    async fn refuses(&mut self, invite: &Message) {
        self.says(&invite.response(Status::BUSY_HERE).to_tag("t").build().unwrap()).await;
    }

    async fn agrees(&mut self, bye: &Message) {
        self.says(&bye.response(Status::OK).build().unwrap()).await;
    }

    async fn hears(&mut self, method: &Method) -> Message {
        let message = soon(self.receive()).await;
        assert!(message.is_request() && message.method() == method, "{message:?}");
        message
    }

    /// The next response beyond 100.
    async fn response(&mut self) -> Message {
        loop {
            let message = soon(self.receive()).await;
            assert!(!message.is_request(), "{message:?}");
            if message.status() != Some(Status::TRYING) {
                return message;
            }
        }
    }

    async fn receive(&mut self) -> Message {
        let mut buffer = [0; 4_096];
        loop {
            match self.framing.next() {
                Some(Ok(Frame::Message(raw))) => return Message::parse(raw, &Limits::default()).unwrap(),
                Some(other) => panic!("{other:?}"),
                None => {}
            }
            let length = self.stream.read(&mut buffer).await.unwrap();
            assert!(length > 0, "the gateway keeps the connection");
            self.framing.feed(&buffer[..length]);
        }
    }

    fn resets(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                   m=audio 30000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";

/// The next such request; repetitions of others are passed by.
async fn hears_by_udp(socket: &UdpSocket, method: &Method) -> Message {
    let mut buffer = [0; 4_096];
    loop {
        let length = socket.recv(&mut buffer).await.unwrap();
        let message = Message::parse(Bytes::copy_from_slice(&buffer[..length]), &Limits::default()).unwrap();
        if message.is_request() && message.method() == method {
            return message;
        }
    }
}

/// Less than what waits for a timer of the gateway.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(40), what).await.expect("what has to happen happens")
}
