//! A browser's phone without a browser: SIP over WebSocket, SDP as Chromium writes it, no media.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use sip_core::auth::Secret;
use sip_core::auth::client::{self, Credentials};
use sip_core::message::{Builder, Limits, Message, Method, Name, Status};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

static PHONES: AtomicU32 = AtomicU32::new(0);

pub struct Phone {
    socket: WebSocketStream<TcpStream>,
    user: &'static str,
    /// Of its browser's pages, if it tells them apart.
    page: Option<&'static str>,
    count: u32,
    /// Everything that came, and that was sent.
    pub heard: String,
    pub said: String,
    acknowledged: watch::Sender<usize>,
}

impl Phone {
    /// Connects and registers.
    pub async fn register(gateway: SocketAddr, user: &'static str) -> Self {
        let mut phone = Self::connect(gateway, user).await;
        assert_eq!(phone.log_in("secret").await, Status::OK);
        phone
    }

    pub async fn connect(gateway: SocketAddr, user: &'static str) -> Self {
        Self::connect_from(Ipv4Addr::LOCALHOST.into(), gateway, user).await
    }

    /// From an address of this machine.
    pub async fn connect_from(source: IpAddr, gateway: SocketAddr, user: &'static str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((source, 0).into()).unwrap();
        let mut request = format!("ws://{gateway}/ws").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "sip".parse().unwrap());
        let stream = socket.connect(gateway).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
        let (heard, said) = (String::new(), String::new());
        // A user's later phone goes on counting, so that his registrar sees one client.
        let count = PHONES.fetch_add(1, Relaxed) * 100_000;
        Self { socket, user, page: None, count, heard, said, acknowledged: watch::Sender::new(0) }
    }

    /// One page of a user's browser; all of them have the same instance, as a duplicated tab has.
    pub async fn register_page(gateway: SocketAddr, user: &'static str, page: &'static str) -> Self {
        let mut phone = Self { page: Some(page), ..Self::connect(gateway, user).await };
        assert_eq!(phone.log_in("secret").await, Status::OK);
        phone
    }

    /// The same page over a connection of its own.
    pub async fn register_again(&self, gateway: SocketAddr) -> Self {
        let (page, count) = (self.page, self.count);
        let mut phone = Self { page, count, ..Self::connect(gateway, self.user).await };
        assert_eq!(phone.log_in("secret").await, Status::OK);
        phone
    }

    /// Registers, with the one challenge that this takes.
    pub async fn log_in(&mut self, password: &str) -> Status {
        self.count += 2;
        self.send(&self.register_request(self.count - 1, None)).await;
        let challenge = self.final_response_to(&Method::Register).await;
        assert_eq!(challenge.status(), Some(Status::UNAUTHORIZED));
        let answer = proof(&challenge, self.user, password);
        self.send(&self.register_request(self.count, Some(&answer))).await;
        self.final_response_to(&Method::Register).await.status().unwrap()
    }

    /// Calls a number, and hangs up as soon as it is answered.
    pub async fn call(&mut self, number: &str) {
        let call = self.dial(number).await;
        self.hang_up(&call).await;
    }

    /// Calls a number until it is answered.
    pub async fn dial(&mut self, number: &str) -> Dialled {
        self.dial_with(number, sdp("actpass")).await
    }

    /// The same with another offer.
    pub async fn dial_with(&mut self, number: &str, offer: String) -> Dialled {
        self.count += 1;
        let (user, count) = (self.user, self.count);
        let uri = format!("sip:{number}@localhost");
        let from = format!("<sip:{user}@localhost>;tag=t{count}");
        let call_id = format!("{user}-{count}");
        let invite = self
            .request(&Method::Invite, &uri, (&from, &format!("<{uri}>")), &call_id, 1)
            .body("application/sdp", offer)
            .build()
            .unwrap();
        self.send(&invite).await;
        let answer = self.final_response_to(&Method::Invite).await;
        assert_eq!(answer.status(), Some(Status::OK), "{}", String::from_utf8_lossy(answer.bytes()));
        let target = answer.contacts().unwrap().first().unwrap().uri.to_string();
        let to = answer.header(Name::To).unwrap().to_owned();
        self.send(&self.request(&Method::Ack, &target, (&from, &to), &call_id, 1).build().unwrap()).await;
        let answer =
            String::from_utf8(answer.body_part("application", "sdp").unwrap().unwrap().to_vec()).unwrap();
        Dialled { target, from, to, call_id, answer }
    }

    pub async fn hang_up(&mut self, call: &Dialled) {
        let Dialled { target, from, to, call_id, .. } = call;
        self.send(&self.request(&Method::Bye, target, (from, to), call_id, 2).build().unwrap()).await;
        assert_eq!(self.final_response_to(&Method::Bye).await.status(), Some(Status::OK));
    }

    /// Calls a number; the final response, which is not acknowledged.
    pub async fn asks_for(&mut self, number: &str) -> Message {
        self.invite(&format!("sip:{number}@localhost")).await
    }

    /// The same of any URI.
    pub async fn invite(&mut self, uri: &str) -> Message {
        self.count += 1;
        let (user, count) = (self.user, self.count);
        let from = format!("<sip:{user}@localhost>;tag=t{count}");
        let invite = self
            .request(&Method::Invite, uri, (&from, &format!("<{uri}>")), &format!("{user}-{count}"), 1)
            .body("application/sdp", sdp("actpass"))
            .build()
            .unwrap();
        self.send(&invite).await;
        self.final_response_to(&Method::Invite).await
    }

    /// Is called; the INVITE.
    pub async fn rings(&mut self) -> Message {
        let request = self.receive().await;
        assert_eq!(*request.method(), Method::Invite);
        request
    }

    /// Takes the call, and waits for the ACK.
    pub async fn takes(&mut self, invite: &Message) {
        self.accept(invite).await;
        assert_eq!(*self.receive().await.method(), Method::Ack);
    }

    /// Hangs up a call that it took.
    pub async fn hangs_up(&mut self, invite: &Message) {
        let from = format!("{};tag=phone", invite.header(Name::To).unwrap());
        let to = invite.header(Name::From).unwrap();
        let target = invite.contacts().unwrap().first().unwrap().uri.to_string();
        let bye = self.request(&Method::Bye, &target, (&from, to), invite.call_id(), 1);
        self.send(&bye.build().unwrap()).await;
        assert_eq!(self.final_response_to(&Method::Bye).await.status(), Some(Status::OK));
    }

    /// Answers one call, and waits for the ACK.
    pub async fn take_call(&mut self) {
        loop {
            let request = self.receive().await;
            match request.method() {
                Method::Invite => self.accept(&request).await,
                Method::Ack => return,
                method => panic!("unexpected {method}"),
            }
        }
    }

    /// Waits for a BYE, and agrees.
    pub async fn hung_up(&mut self) {
        let request = self.receive().await;
        assert_eq!(*request.method(), Method::Bye);
        self.send(&request.response(Status::OK).build().unwrap()).await;
    }

    /// Answers with 200.
    pub async fn accept(&mut self, invite: &Message) {
        let answer = invite
            .response(Status::OK)
            .to_tag("phone")
            .header(Name::Contact, self.contact())
            .body("application/sdp", sdp("active"));
        self.send(&answer.build().unwrap()).await;
    }

    /// Answers calls until this many were hung up by the other side; of how many the media were lost.
    pub async fn answer(&mut self, calls: usize) -> usize {
        let (mut ended, mut lost) = (0, 0);
        while ended < calls {
            let request = self.receive().await;
            match request.method() {
                Method::Invite => self.accept(&request).await,
                Method::Ack => self.acknowledged.send_modify(|calls| *calls += 1),
                Method::Bye => {
                    ended += 1;
                    let reason = request.header(Name::Reason).unwrap_or_default();
                    lost += usize::from(reason.contains("Media lost"));
                    self.send(&request.response(Status::OK).build().unwrap()).await;
                }
                method => panic!("unexpected {method}"),
            }
        }
        lost
    }

    /// How many of the calls that it answered were acknowledged so far.
    pub fn acknowledged(&self) -> watch::Receiver<usize> {
        self.acknowledged.subscribe()
    }

    /// Waits until everything that was sent so far has been worked on.
    pub async fn is_served(&mut self) {
        let from = format!("<sip:{}@localhost>;tag=o", self.user);
        let options =
            self.request(&Method::Options, "sip:localhost", (&from, "<sip:localhost>"), "served", 1);
        self.send(&options.build().unwrap()).await;
        while self.receive().await.call_id() != "served" {}
    }

    /// The final response to the last request of this method: a 2xx to an INVITE may have been repeated before its ACK came.
    async fn final_response_to(&mut self, method: &Method) -> Message {
        loop {
            let response = self.response().await;
            if response.method() == method && response.status().unwrap().is_final() {
                return response;
            }
        }
    }

    async fn response(&mut self) -> Message {
        let message = self.receive().await;
        assert!(!message.is_request(), "unexpected {}", message.method());
        message
    }

    async fn receive(&mut self) -> Message {
        loop {
            match self.socket.next().await.expect("the gateway keeps the connection").unwrap() {
                Frame::Text(text) => {
                    self.heard.push_str(&text);
                    return Message::parse(Bytes::copy_from_slice(text.as_bytes()), &Limits::default())
                        .unwrap();
                }
                Frame::Ping(_) | Frame::Pong(_) => {}
                frame => panic!("unexpected {frame:?}"),
            }
        }
    }

    async fn send(&mut self, message: &Message) {
        let text = String::from_utf8(message.bytes().to_vec()).unwrap();
        self.said.push_str(&text);
        self.send_text(text).await;
    }

    /// Sends anything.
    pub async fn send_text(&mut self, text: impl Into<String>) {
        self.socket.send(Frame::text(text.into())).await.unwrap();
    }

    fn register_request(&self, cseq: u32, authorization: Option<&str>) -> Message {
        let aor = format!("<sip:{}@localhost>", self.user);
        let from = format!("{aor};tag=r");
        let builder = self
            .request(&Method::Register, "sip:localhost", (&from, &aor), &self.registration(), cseq)
            .header(Name::Expires, 600);
        match authorization {
            Some(value) => builder.header(Name::Authorization, value).build().unwrap(),
            None => builder.build().unwrap(),
        }
    }

    fn request(
        &self,
        method: &Method,
        uri: &str,
        (from, to): (&str, &str),
        call_id: &str,
        cseq: u32,
    ) -> Builder {
        Builder::request(method, uri)
            .header(Name::Via, format!("SIP/2.0/WS phone.invalid;branch=z9hG4bK{call_id}{cseq}{method}"))
            .header(Name::MaxForwards, 70)
            .header(Name::From, from)
            .header(Name::To, to)
            .header(Name::CallId, call_id)
            .header(Name::CSeq, format!("{cseq} {method}"))
            .header(Name::Contact, self.contact())
    }

    fn contact(&self) -> String {
        match self.page {
            Some(page) => {
                format!("<sip:{page}@phone.invalid;transport=ws>;+sip.instance=\"<urn:uuid:1>\";reg-id=1")
            }
            None => format!("<sip:{}@phone.invalid;transport=ws>", self.user),
        }
    }

    /// Call-ID of its REGISTERs.
    fn registration(&self) -> String {
        format!("register{}", self.page.unwrap_or_default())
    }
}

/// An answered call.
pub struct Dialled {
    target: String,
    from: String,
    to: String,
    call_id: String,
    /// What the other side answered.
    pub answer: String,
}

/// The header line with which a user whose password is `secret` answers a challenge to REGISTER.
pub fn authorized(challenge: &Message, user: &str) -> String {
    authorized_by(challenge, user, "secret")
}

/// The same with another password.
pub fn authorized_by(challenge: &Message, user: &str, password: &str) -> String {
    format!("Authorization: {}\r\n", proof(challenge, user, password))
}

fn proof(challenge: &Message, user: &str, password: &str) -> String {
    let secret = Secret::password(password);
    let credentials = Credentials { username: user, realm: "localhost", secret: &secret };
    let challenges = challenge.headers(Name::WwwAuthenticate);
    client::answer(challenges, &credentials, ("REGISTER", "sip:localhost"), 1, "c0ffee").unwrap()
}

/// What Chromium would offer or answer.
pub fn sdp(setup: &str) -> String {
    let fingerprint = ["CD"; 32].join(":");
    format!(
        "v=0\r\no=- 46117317 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 0 8 101\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
         a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=fingerprint:sha-256 {fingerprint}\r\n\
         a=setup:{setup}\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:0 PCMU/8000\r\n\
         a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    )
}
