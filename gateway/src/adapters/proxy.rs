//! Who is behind a proxy in front of us: the PROXY protocol in its version 2, and `X-Forwarded-For`. Both are believed from
//! configured networks alone, since anybody can write them.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::http::HeaderMap;
use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Whose word counts.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// Where they are.
    pub networks: Arc<[IpNet]>,
    /// What each of their connections begins with.
    pub greeting: Greeting,
}

/// How a proxy begins a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Greeting {
    /// With what the client sends.
    #[default]
    None,
    /// With a header of the PROXY protocol, version 2.
    ProxyV2,
}

impl Proxies {
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// The client by `X-Forwarded-For`: each proxy writes whom it heard at the end, so the last one that is no proxy of ours
    /// counts, and nothing that stands before it. None if the peer is no proxy, or names nobody.
    pub(crate) fn forwarded_for(&self, headers: &HeaderMap, peer: IpAddr) -> Option<IpAddr> {
        if !self.trusts(peer) {
            return None;
        }
        let values =
            headers.get_all(FORWARDED_FOR).into_iter().map(|value| value.to_str().unwrap_or_default());
        let named: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
        let mut client = None;
        for address in named.into_iter().rev().map_while(parse) {
            client = Some(address);
            if !self.trusts(address) {
                break;
            }
        }
        client
    }
}

/// Reads a header of the PROXY protocol and nothing behind it. Whom the connection is made for; none if that is the proxy
/// itself, which looks whether we live.
///
/// # Errors
/// It is no such header, or the connection ends in it.
pub(crate) async fn read_header(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let mut fixed = [0; 16];
    stream.read_exact(&mut fixed).await?;
    let [signature @ .., command, family, high, low] = fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if signature != SIGNATURE || length > LONGEST {
        return Err(bad("no header of the PROXY protocol, version 2"));
    }
    let mut rest = [0; LONGEST];
    let (rest, _) = rest.split_at_mut(length);
    stream.read_exact(rest).await?;
    match (command, family) {
        (LOCAL, _) | (PROXY, UNSPECIFIED) => Ok(None),
        (PROXY, TCP_OVER_IPV4) => source::<4>(rest).map(Some),
        (PROXY, TCP_OVER_IPV6) => source::<16>(rest).map(Some),
        _ => Err(bad("a PROXY header of another kind of connection")),
    }
}

/// Both addresses, then both ports; what follows is of no interest.
fn source<const SIZE: usize>(rest: &[u8]) -> io::Result<SocketAddr>
where
    IpAddr: From<[u8; SIZE]>,
{
    let ip = rest.first_chunk::<SIZE>();
    let port = rest.get(2 * SIZE..).and_then(|ports| ports.first_chunk::<4>());
    match (ip, port) {
        (Some(ip), Some([high, low, ..])) => {
            Ok(SocketAddr::new(IpAddr::from(*ip).to_canonical(), u16::from_be_bytes([*high, *low])))
        }
        _ => Err(bad("a PROXY header that is too short for its addresses")),
    }
}

/// An address, with or without a port.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let ip = match bare {
        Some(bare) => bare.parse::<Ipv6Addr>().map(IpAddr::V6).ok(),
        None => text.parse().ok().or_else(|| text.parse::<SocketAddr>().map(|address| address.ip()).ok()),
    };
    ip.map(|ip| ip.to_canonical())
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

const FORWARDED_FOR: &str = "x-forwarded-for";
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const UNSPECIFIED: u8 = 0x00;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;
/// Bytes behind the fixed part: addresses, and what some proxies add to them.
const LONGEST: usize = 1_024;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn proxies() -> Proxies {
        let networks = ["10.0.0.0/8".parse().unwrap(), "2001:db8:1::/48".parse().unwrap()];
        Proxies { networks: Arc::new(networks), greeting: Greeting::None }
    }

    fn forwarded(lines: &[&str], peer: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        proxies().forwarded_for(&headers, peer.parse().unwrap()).map(|ip| ip.to_string())
    }

    #[test]
    fn the_last_address_that_is_no_proxy_counts() {
        let said = |lines: &[&str]| forwarded(lines, "10.0.0.1").unwrap();
        assert_eq!(said(&["192.0.2.7"]), "192.0.2.7");
        assert_eq!(said(&["198.51.100.1, 192.0.2.7"]), "192.0.2.7", "a client may have written the first");
        assert_eq!(said(&["198.51.100.1", "192.0.2.7, 10.2.3.4"]), "192.0.2.7", "two proxies, two lines");
        assert_eq!(said(&["10.9.9.9, 10.2.3.4"]), "10.9.9.9", "a client inside");
        assert_eq!(said(&["192.0.2.7:4711"]), "192.0.2.7");
        assert_eq!(said(&["[2001:db8::7]:4711"]), "2001:db8::7");
        assert_eq!(said(&["[2001:db8::7]", "2001:db8:1::1"]), "2001:db8::7");
        assert_eq!(said(&["::ffff:192.0.2.7"]), "192.0.2.7");
    }

    #[test]
    fn nobody_else_is_believed_and_no_address_is_guessed() {
        assert_eq!(forwarded(&["192.0.2.7"], "192.0.2.1"), None);
        assert_eq!(forwarded(&[], "10.0.0.1"), None);
        for words in ["unknown", "", "192.0.2.7, -", "192.0.2.7.", "_hidden"] {
            assert_eq!(forwarded(&[words], "10.0.0.1"), None, "{words:?}");
        }
        assert_eq!(forwarded(&["192.0.2.7, x, 10.2.3.4"], "10.0.0.1").unwrap(), "10.2.3.4");
    }

    async fn read(header: &[u8]) -> io::Result<(Option<SocketAddr>, usize)> {
        let mut stream = header;
        read_header(&mut stream).await.map(|client| (client, stream.len()))
    }

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = (rest.len() as u16).to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    #[tokio::test]
    async fn a_proxy_header_names_the_client_and_what_follows_is_left() {
        let four = [192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x67, 0x20, 0xFB];
        let mut bytes = header(PROXY, TCP_OVER_IPV4, &four);
        bytes.extend(b"GET");
        assert_eq!(read(&bytes).await.unwrap(), (Some("192.0.2.7:4711".parse().unwrap()), 3));
        let with_more = header(PROXY, TCP_OVER_IPV4, &[&four[..], &[4, 0, 1, 0]].concat());
        assert_eq!(read(&with_more).await.unwrap(), (Some("192.0.2.7:4711".parse().unwrap()), 0));

        let client: Ipv6Addr = "2001:db8::7".parse().unwrap();
        let six = [&client.octets()[..], &[0; 16], &[0x12, 0x67, 0, 1]].concat();
        let (found, _) = read(&header(PROXY, TCP_OVER_IPV6, &six)).await.unwrap();
        assert_eq!(found, Some(SocketAddr::new(client.into(), 4_711)));

        assert_eq!(read(&header(LOCAL, 0, &[])).await.unwrap(), (None, 0));
        assert_eq!(read(&header(PROXY, UNSPECIFIED, &[1, 2])).await.unwrap(), (None, 0));
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        let cut = header(PROXY, TCP_OVER_IPV4, &[0; 11]);
        let datagram = header(PROXY, 0x12, &[0; 12]);
        let long = header(PROXY, TCP_OVER_IPV4, &[0; LONGEST + 1]);
        let version_3 = header(0x31, TCP_OVER_IPV4, &[0; 12]);
        let ended = header(PROXY, TCP_OVER_IPV4, &[0; 12])[..20].to_vec();
        let text = b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n".to_vec();
        for bytes in [cut, datagram, long, version_3, ended, text, b"GET / HTTP/1.1\r\n\r\n".to_vec()] {
            assert!(read(&bytes).await.is_err(), "{bytes:?}");
        }
    }
}
