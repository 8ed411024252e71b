//! rtpengine's ng protocol: bencoded dictionaries over UDP.

use super::browser::Remote;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Duration;

/// A client of one rtpengine.
pub struct Ng {
    socket: UdpSocket,
    cookie: u64,
}

impl Ng {
    /// For the rtpengine that listens there.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn new(at: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(at)?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self { socket, cookie: 0 })
    }

    /// A browser offers: what the trunk is told.
    ///
    /// # Errors
    /// When rtpengine refuses or does not answer.
    pub fn offer(&mut self, call: &str, sdp: &str) -> io::Result<SocketAddr> {
        let answer = self.ask(&[
            ("ICE", "remove"),
            ("call-id", call),
            ("command", "offer"),
            ("from-tag", "a"),
            ("sdp", sdp),
            ("transport-protocol", "RTP/AVP"),
        ])?;
        Ok(media_address(&answer)?.into())
    }

    /// The trunk answers: what the browser is told.
    ///
    /// # Errors
    /// When rtpengine refuses or does not answer.
    pub fn answer(&mut self, call: &str, sdp: &str) -> io::Result<Remote> {
        let answer = self.ask(&[
            ("ICE", "force"),
            ("call-id", call),
            ("command", "answer"),
            ("from-tag", "a"),
            ("sdp", sdp),
            ("to-tag", "b"),
            ("transport-protocol", "UDP/TLS/RTP/SAVPF"),
        ])?;
        Ok(Remote {
            address: media_address(&answer)?,
            ufrag: attribute(&answer, "ice-ufrag")?,
            password: attribute(&answer, "ice-pwd")?,
        })
    }

    /// The call is over.
    ///
    /// # Errors
    /// When rtpengine refuses or does not answer.
    pub fn delete(&mut self, call: &str) -> io::Result<()> {
        self.ask(&[("call-id", call), ("command", "delete"), ("delete-delay", "0"), ("from-tag", "a")])
            .map(drop)
    }

    /// One request and its answer's SDP, if it has one.
    fn ask(&mut self, dictionary: &[(&str, &str)]) -> io::Result<String> {
        self.cookie += 1;
        let text = |text: &str| format!("{}:{text}", text.len());
        let entries: String = dictionary.iter().map(|(key, value)| text(key) + &text(value)).collect();
        self.socket.send(format!("{} d{entries}e", self.cookie).as_bytes())?;
        let mut buffer = vec![0; 65_536];
        let length = self.socket.recv(&mut buffer)?;
        let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if !answer.contains("6:result2:ok") {
            return Err(io::Error::other(format!("rtpengine: {answer}")));
        }
        Ok(entry(&answer, "3:sdp").unwrap_or_default().to_owned())
    }
}

/// The text behind a key.
fn entry<'a>(answer: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = answer.split_once(key)?;
    let (length, value) = rest.split_once(':')?;
    value.get(..length.parse().ok()?)
}

fn media_address(sdp: &str) -> io::Result<SocketAddrV4> {
    let line = |prefix: &str| sdp.lines().find_map(|line| line.strip_prefix(prefix));
    let port = line("m=audio ").and_then(|line| line.split(' ').next()?.parse().ok());
    let ip = line("c=IN IP4 ").and_then(|line| line.trim().parse().ok());
    let missing = || io::Error::other(format!("rtpengine: no address in {sdp}"));
    ip.zip(port).map(|(ip, port)| SocketAddrV4::new(ip, port)).ok_or_else(missing)
}

fn attribute(sdp: &str, name: &str) -> io::Result<String> {
    let prefix = format!("a={name}:");
    let value = sdp.lines().find_map(|line| line.strip_prefix(&prefix)).map(|value| value.trim().to_owned());
    value.ok_or_else(|| io::Error::other(format!("rtpengine: no {name} in {sdp}")))
}

const TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn an_answer_is_read() {
        let sdp = "v=0\r\nm=audio 24002 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 127.0.0.1\r\na=ice-ufrag:abcd\r\n";
        let answer = format!("1 d6:result2:ok3:sdp{}:{sdp}e", sdp.len());
        let read = entry(&answer, "3:sdp").unwrap();
        assert_eq!(read, sdp);
        assert_eq!(media_address(read).unwrap().to_string(), "127.0.0.1:24002");
        assert_eq!(attribute(read, "ice-ufrag").unwrap(), "abcd");
        assert!(attribute(read, "ice-pwd").is_err());
        assert_eq!(entry("1 d6:result2:oke", "3:sdp"), None);
    }
}
