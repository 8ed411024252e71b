//! Calls through a server: set up, carried, torn down.

use super::browser::{Browser, Identity, Remote};
use super::control::{BrowserSide, Control};
use super::link::Link;
use super::ng::Ng;
use super::servers::Running;
use super::traffic::Endpoint;
use super::turn::Client;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

/// A way to make calls between browsers and trunks.
pub trait Bridge {
    /// Makes this many calls; the peers of each, browser first.
    ///
    /// # Errors
    /// When a call cannot be made.
    fn connect(&mut self, calls: usize, identity: &Identity) -> io::Result<Vec<Endpoint>>;

    /// Ends the calls of the last [`Bridge::connect`].
    ///
    /// # Errors
    /// When the server refuses.
    fn end(&mut self) -> io::Result<()>;

    /// What the calls are protected with.
    fn profile(&self) -> &'static str;
}

/// Our relay, by its control API.
pub struct Relay {
    control: Control,
    /// The TURN server and the address of the relay that its clients are to reach, if they are not to reach it directly.
    through: Option<(SocketAddr, &'static str)>,
    made: usize,
    profile: &'static str,
}

/// rtpengine, by its ng protocol.
pub struct Rtpengine {
    ng: Ng,
    made: usize,
    profile: &'static str,
}

/// The bare forwarder: packets in the clear on both sides.
pub struct Forwarder {
    control: BufReader<TcpStream>,
}

impl Relay {
    /// Browsers reach it directly.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn new(running: &Running) -> io::Result<Self> {
        let control = Control::new(running.control)?;
        Ok(Self { control, through: None, made: 0, profile: "none" })
    }

    /// Browsers reach it through its own TURN server.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn through_turn(running: &Running, secret: &'static str) -> io::Result<Self> {
        Ok(Self { through: Some((running.turn, secret)), ..Self::new(running)? })
    }

    /// How many sessions it has.
    ///
    /// # Errors
    /// When the relay does not answer.
    pub fn sessions(&mut self) -> io::Result<u64> {
        self.control.sessions()
    }

    fn link(&self, number: usize, remote: &Remote) -> io::Result<Link> {
        let Some((server, secret)) = self.through else {
            let link = Link::new()?;
            link.connect(remote.socket())?;
            return Ok(link);
        };
        let mut client = Client::new(server, secret, number)?;
        client.allocate()?;
        client.bind_channel(remote.address)?;
        client.into_link()
    }
}

impl Bridge for Relay {
    /// The trunk's address is told last, so that no silence is sent to it while the others are being set up.
    fn connect(&mut self, calls: usize, identity: &Identity) -> io::Result<Vec<Endpoint>> {
        let mut waiting = Waiting::default();
        let (mut sides, mut trunks) = (Vec::new(), Vec::new());
        for number in 0..calls {
            let mut browser = identity.browser(Link::new()?, number);
            let side = BrowserSide {
                ufrag: browser.ufrag.clone(),
                password: browser.password.clone(),
                fingerprint: identity.fingerprint(),
            };
            let (remote, rtp) = self.control.put(&name(number), 1, &side, None)?;
            browser.link = self.link(number, &remote)?;
            browser.accept(remote);
            let trunk = Link::new()?;
            trunk.connect(rtp)?;
            sides.push(side);
            trunks.push(trunk);
            waiting.add(browser)?;
        }
        let browsers = waiting.all()?;
        for (number, (side, trunk)) in sides.iter().zip(&trunks).enumerate() {
            self.control.put(&name(number), 2, side, Some(trunk.local()?))?;
        }
        self.made = calls;
        self.profile = browsers.first().map_or("none", Browser::profile);
        Ok(endpoints(browsers, trunks))
    }

    fn end(&mut self) -> io::Result<()> {
        (0..std::mem::take(&mut self.made)).try_for_each(|number| self.control.delete(&name(number)))
    }

    fn profile(&self) -> &'static str {
        self.profile
    }
}

impl Rtpengine {
    /// A client of it.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn new(running: &Running) -> io::Result<Self> {
        Ok(Self { ng: Ng::new(running.control)?, made: 0, profile: "none" })
    }
}

impl Bridge for Rtpengine {
    fn connect(&mut self, calls: usize, identity: &Identity) -> io::Result<Vec<Endpoint>> {
        let mut waiting = Waiting::default();
        let mut trunks = Vec::new();
        for number in 0..calls {
            let mut browser = identity.browser(Link::new()?, number);
            let trunk = Link::new()?;
            let rtp = self.ng.offer(&name(number), &offer(&browser, &identity.fingerprint())?)?;
            trunk.connect(rtp)?;
            let remote = self.ng.answer(&name(number), &answer(trunk.local()?))?;
            browser.link.connect(remote.socket())?;
            browser.accept(remote);
            trunks.push(trunk);
            waiting.add(browser)?;
        }
        let browsers = waiting.all()?;
        self.made = calls;
        self.profile = browsers.first().map_or("none", Browser::profile);
        Ok(endpoints(browsers, trunks))
    }

    fn end(&mut self) -> io::Result<()> {
        (0..std::mem::take(&mut self.made)).try_for_each(|number| self.ng.delete(&name(number)))
    }

    fn profile(&self) -> &'static str {
        self.profile
    }
}

impl Forwarder {
    /// A client of it.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn new(running: &Running) -> io::Result<Self> {
        Ok(Self { control: BufReader::new(TcpStream::connect(running.control)?) })
    }
}

impl Bridge for Forwarder {
    fn connect(&mut self, calls: usize, _: &Identity) -> io::Result<Vec<Endpoint>> {
        let mut made = Vec::new();
        for _ in 0..calls {
            let (browser, trunk) = (Link::new()?, Link::new()?);
            writeln!(self.control.get_mut(), "{} {}", browser.local()?, trunk.local()?)?;
            let mut ports = String::new();
            self.control.read_line(&mut ports)?;
            let mut ports = ports.split_whitespace().flat_map(str::parse::<u16>);
            for link in [&browser, &trunk] {
                let port =
                    ports.next().ok_or_else(|| io::Error::other("the forwarder has no sockets left"))?;
                link.connect((Ipv4Addr::LOCALHOST, port).into())?;
            }
            made.extend([Endpoint::plain(browser).timed(), Endpoint::plain(trunk)]);
        }
        Ok(made)
    }

    /// Its pairs last as long as it does.
    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn profile(&self) -> &'static str {
        "none"
    }
}

/// Browsers between their description and their keys.
#[derive(Default)]
struct Waiting {
    browsers: Vec<Browser>,
}

impl Waiting {
    /// Takes another one; waits while too many are under way.
    fn add(&mut self, browser: Browser) -> io::Result<()> {
        self.browsers.push(browser);
        self.until(AT_A_TIME)
    }

    /// Waits for all of them.
    fn all(mut self) -> io::Result<Vec<Browser>> {
        self.until(0)?;
        Ok(self.browsers)
    }

    fn until(&mut self, left: usize) -> io::Result<()> {
        let deadline = Instant::now() + HANDSHAKE;
        loop {
            let now = Instant::now();
            let mut open = 0;
            for browser in self.browsers.iter_mut().filter(|browser| !browser.is_connected()) {
                browser.drive(now);
                open += usize::from(!browser.is_connected());
            }
            if open <= left {
                return Ok(());
            }
            if now > deadline {
                return Err(io::Error::other(format!("{open} browsers get no answer to ICE or DTLS")));
            }
            std::thread::sleep(BETWEEN_LOOKS);
        }
    }
}

fn endpoints(browsers: Vec<Browser>, trunks: Vec<Link>) -> Vec<Endpoint> {
    let pairs = browsers.into_iter().zip(trunks);
    pairs.flat_map(|(browser, trunk)| [Endpoint::browser(browser), Endpoint::plain(trunk)]).collect()
}

fn name(number: usize) -> String {
    format!("load-{number}")
}

fn offer(browser: &Browser, fingerprint: &str) -> io::Result<String> {
    let address = browser.link.local()?;
    let (ip, port) = (address.ip(), address.port());
    let lines = [
        "v=0".to_owned(),
        format!("o=- 1 1 IN IP4 {ip}"),
        "s=-".to_owned(),
        "t=0 0".to_owned(),
        format!("m=audio {port} UDP/TLS/RTP/SAVPF 0"),
        format!("c=IN IP4 {ip}"),
        "a=rtpmap:0 PCMU/8000".to_owned(),
        format!("a=ice-ufrag:{}", browser.ufrag),
        format!("a=ice-pwd:{}", browser.password),
        format!("a=fingerprint:sha-256 {fingerprint}"),
        "a=setup:active".to_owned(),
        "a=rtcp-mux".to_owned(),
        "a=sendrecv".to_owned(),
        format!("a=candidate:1 1 udp 2130706431 {ip} {port} typ host"),
        "a=end-of-candidates".to_owned(),
    ];
    Ok(lines.join("\r\n") + "\r\n")
}

fn answer(trunk: SocketAddr) -> String {
    let (ip, port) = (trunk.ip(), trunk.port());
    format!(
        "v=0\r\no=- 2 2 IN IP4 {ip}\r\ns=-\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\nc=IN IP4 {ip}\r\n\
         a=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n"
    )
}

/// Clients with a channel each to one peer that sends everything back.
///
/// # Errors
/// When the TURN server refuses.
pub fn echo(clients: Vec<Client>, peer: Link) -> io::Result<Vec<Endpoint>> {
    let SocketAddr::V4(address) = peer.local()? else { return Err(io::ErrorKind::Unsupported.into()) };
    let mut endpoints = vec![Endpoint::echo(peer)];
    for mut client in clients {
        client.bind_channel(address)?;
        endpoints.push(Endpoint::plain(client.into_link()?).timed());
    }
    Ok(endpoints)
}

/// Clients that speak in pairs, each to the other's relayed address.
///
/// # Errors
/// When the TURN server refuses.
pub fn hairpin(clients: Vec<Client>, relayed: &[SocketAddrV4]) -> io::Result<Vec<Endpoint>> {
    let clients = clients.into_iter().enumerate();
    clients
        .map(|(index, mut client)| {
            client.bind_channel(relayed[index ^ 1])?;
            Ok(Endpoint::plain(client.into_link()?).timed())
        })
        .collect()
}

/// Handshakes under way at a time.
const AT_A_TIME: usize = 20;
const HANDSHAKE: Duration = Duration::from_secs(20);
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);
