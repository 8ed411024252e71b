//! Where the load goes: loopback and nowhere else.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// A SIP-over-WebSocket server (RFC 7118) on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Address to connect to; always loopback.
    pub address: SocketAddr,
    /// Host as written, for TLS server name, `Host` and the default SIP domain.
    pub host: String,
    /// Whether the connection is TLS (`wss`).
    pub security: Security,
    /// Path of the WebSocket, with its leading slash.
    pub path: String,
}

/// What carries the WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TCP alone, `ws:`.
    Plain,
    /// TLS, `wss:`.
    Tls,
}

impl Target {
    /// The URL as a client would write it.
    pub fn url(&self) -> String {
        let scheme = match self.security {
            Security::Plain => "ws",
            Security::Tls => "wss",
        };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{scheme}://{host}:{}{}", self.address.port(), self.path)
    }

    /// The transport parameter of a Via sent here (RFC 7118 §5.2).
    pub fn via_transport(&self) -> &'static str {
        match self.security {
            Security::Plain => "WS",
            Security::Tls => "WSS",
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (security, rest, default_port) = match text.split_once("://") {
            Some(("ws", rest)) => (Security::Plain, rest, 80),
            Some(("wss", rest)) => (Security::Tls, rest, 443),
            _ => return Err(TargetError::Scheme),
        };
        let (authority, path) = match rest.find('/') {
            Some(slash) => (&rest[..slash], rest[slash..].to_owned()),
            None => (rest, "/".to_owned()),
        };
        let (host, port) = split_port(authority, default_port)?;
        let address = SocketAddr::new(loopback(host)?, port);
        Ok(Self { address, host: host.to_owned(), security, path })
    }
}

/// Reads `address:port` of a UDP peer, refusing what is not loopback.
pub fn loopback_socket(text: &str) -> Result<SocketAddr, TargetError> {
    let address: SocketAddr = text.parse().map_err(|_| TargetError::Socket)?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(TargetError::NotLoopback(address.ip().to_string()))
    }
}

/// Why an address was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TargetError {
    /// Neither `ws://` nor `wss://`.
    #[error("a target starts with ws:// or wss://, as in ws://127.0.0.1:5080/ws")]
    Scheme,
    /// Not a port number.
    #[error("'{0}' is not a port; write it as in ws://127.0.0.1:5080/ws")]
    Port(String),
    /// Not `address:port`.
    #[error("expected an address and a port, as in 127.0.0.1:5070")]
    Socket,
    /// Load is for one's own machine.
    #[error(
        "'{0}' is not a loopback address; this program loads servers on its own machine only: \
         run it beside the server and use 127.0.0.1, [::1] or localhost"
    )]
    NotLoopback(String),
}

fn split_port(authority: &str, default: u16) -> Result<(&str, u16), TargetError> {
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    match port {
        None => Ok((host, default)),
        Some(port) => Ok((host, port.parse().map_err(|_| TargetError::Port(port.to_owned()))?)),
    }
}

/// `localhost` is taken as 127.0.0.1 without a look-up (RFC 6761 §6.3); no other name is resolved.
fn loopback(host: &str) -> Result<IpAddr, TargetError> {
    let literal = if host.eq_ignore_ascii_case("localhost") { "127.0.0.1" } else { host };
    match literal.parse::<IpAddr>() {
        Ok(address) if address.is_loopback() => Ok(address),
        _ => Err(TargetError::NotLoopback(host.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn urls_on_this_machine_are_taken() {
        let target: Target = "wss://localhost:8443/ws".parse().unwrap();
        assert_eq!(target.address, "127.0.0.1:8443".parse().unwrap());
        assert_eq!((target.security, target.path.as_str()), (Security::Tls, "/ws"));
        assert_eq!(target.url(), "wss://localhost:8443/ws");
        let target: Target = "ws://[::1]:5080".parse().unwrap();
        assert_eq!((target.address.port(), target.path.as_str()), (5080, "/"));
        assert_eq!(target.url(), "ws://[::1]:5080/");
    }

    #[test]
    fn other_machines_are_refused() {
        for url in
            ["ws://192.0.2.1:80/", "wss://sip.example.com/", "ws://0.0.0.0:5080/", "ws://127.0.0.1.example/"]
        {
            assert!(matches!(url.parse::<Target>(), Err(TargetError::NotLoopback(_))), "{url} was taken");
        }
        assert!(matches!(loopback_socket("198.51.100.7:5060"), Err(TargetError::NotLoopback(_))));
    }

    #[test]
    fn what_is_no_websocket_url_is_refused() {
        assert_eq!("http://127.0.0.1/".parse::<Target>(), Err(TargetError::Scheme));
        assert_eq!("ws://127.0.0.1:x/".parse::<Target>(), Err(TargetError::Port("x".into())));
        assert_eq!(loopback_socket("127.0.0.1"), Err(TargetError::Socket));
    }
}
