//! Debian's Kamailio, set up for one measurement.

use super::child::{Server, ServerError};
use crate::sip::digest::{Algorithm, Credentials};
use std::fmt::Write;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the configuration is filled with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The program.
    pub program: PathBuf,
    /// Worker processes of UDP, and as many of TCP.
    pub children: u32,
    /// Who may register.
    pub users: Vec<Credentials>,
    /// What the registrar asks for.
    pub algorithm: Algorithm,
    /// The trunk's UDP address.
    pub trunk: SocketAddr,
}

/// A running Kamailio and where it listens.
#[derive(Debug)]
pub struct Kamailio {
    /// Its process.
    pub server: Server,
    /// `ws:` URL.
    pub ws: String,
    /// `wss:` URL.
    pub wss: String,
    /// UDP address for the trunk.
    pub udp: SocketAddr,
    _directory: tempfile::TempDir,
}

/// Why Kamailio does not run.
#[derive(Debug, thiserror::Error)]
pub enum KamailioError {
    /// Its files.
    #[error("cannot write Kamailio's configuration: {0}")]
    Files(#[from] io::Error),
    /// Its certificate.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The program.
    #[error("{0}\n(Debian: apt-get install kamailio kamailio-websocket-modules kamailio-tls-modules)")]
    Server(#[from] ServerError),
}

impl Kamailio {
    /// Writes its files into a new temporary directory and starts it.
    ///
    /// # Errors
    /// When a file cannot be written or the program does not come up.
    pub async fn start(setup: &Setup) -> Result<Self, KamailioError> {
        // Another program may take a chosen port before Kamailio does; then it ends at once and gets others.
        for _ in 1..ATTEMPTS {
            if let Ok(kamailio) = Self::start_once(setup).await {
                return Ok(kamailio);
            }
        }
        Self::start_once(setup).await
    }

    async fn start_once(setup: &Setup) -> Result<Self, KamailioError> {
        let directory = tempfile::tempdir()?;
        let ports = Ports::free()?;
        write_files(directory.path(), setup, ports)?;
        let mut command = Command::new(&setup.program);
        // In the foreground; 2 GB of shared memory are reserved but only counted where used, 16 MB private.
        command
            .args(["-DD", "-E", "-m", "2048", "-M", "16"])
            .args(["-x", "fm", "-X", "fm"]) // the default allocators are made for debugging and search their free lists
            .arg("-f")
            .arg(directory.path().join("kamailio.cfg"));
        command.arg("-Y").arg(directory.path()).arg("-w").arg(directory.path());
        let server = Server::start("kamailio", command, directory.path(), local(ports.wss)).await?;
        Ok(Self {
            server,
            ws: format!("ws://127.0.0.1:{}/", ports.ws),
            wss: format!("wss://127.0.0.1:{}/", ports.wss),
            udp: local(ports.udp),
            _directory: directory,
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    udp: u16,
    ws: u16,
    wss: u16,
}

impl Ports {
    /// Ports that are free now; Kamailio cannot be asked which it took, so they are chosen for it.
    fn free() -> io::Result<Self> {
        let (ws, wss) = (TcpListener::bind(local(0))?, TcpListener::bind(local(0))?);
        let udp = UdpSocket::bind(local(0))?;
        Ok(Self { udp: udp.local_addr()?.port(), ws: ws.local_addr()?.port(), wss: wss.local_addr()?.port() })
    }
}

fn write_files(directory: &Path, setup: &Setup, ports: Ports) -> Result<(), KamailioError> {
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    fs::write(directory.join("certificate.pem"), key.cert.pem())?;
    fs::write(directory.join("key.pem"), key.signing_key.serialize_pem())?;
    let at = directory.display();
    let tls = format!(
        "[server:default]\nmethod = TLSv1.2+\nverify_certificate = no\nrequire_certificate = no\n\
         private_key = {at}/key.pem\ncertificate = {at}/certificate.pem\n"
    );
    fs::write(directory.join("tls.cfg"), tls)?;
    fs::create_dir(directory.join("users"))?;
    fs::write(directory.join("users/version"), "table_name(string) table_version(int)\nusers:2\n")?;
    fs::write(directory.join("users/users"), user_table(&setup.users))?;
    fs::write(directory.join("kamailio.cfg"), configuration(&at.to_string(), setup, ports))?;
    Ok(())
}

fn configuration(directory: &str, setup: &Setup, ports: Ports) -> String {
    let algorithm = match setup.algorithm {
        Algorithm::Md5 => "MD5",
        Algorithm::Sha256 => "SHA-256",
    };
    TEMPLATE
        .replace("@children@", &setup.children.to_string())
        .replace("@udp_port@", &ports.udp.to_string())
        .replace("@ws_port@", &ports.ws.to_string())
        .replace("@wss_port@", &ports.wss.to_string())
        .replace("@trunk_port@", &setup.trunk.port().to_string())
        .replace("@algorithm@", algorithm)
        .replace("@directory@", directory)
}

/// The htable's rows in db_text's form: a colon separates, a backslash escapes.
fn user_table(users: &[Credentials]) -> String {
    let escape = |text: &str| text.replace('\\', "\\\\").replace(':', "\\:");
    let mut table =
        "id(int,auto) key_name(string) key_type(int) value_type(int) key_value(string) expires(int)\n"
            .to_owned();
    for (index, Credentials { user, password }) in users.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(table, "{}:{}:0:0:{}:0", index + 1, escape(user), escape(password));
    }
    table
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

const ATTEMPTS: u32 = 3;
const TEMPLATE: &str = include_str!("../../kamailio/kamailio.cfg");

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn setup() -> Setup {
        Setup {
            program: "kamailio".into(),
            children: 2,
            users: vec![Credentials { user: "a:b".into(), password: "c\\d".into() }],
            algorithm: Algorithm::Sha256,
            trunk: "127.0.0.1:5070".parse().unwrap(),
        }
    }

    #[test]
    fn every_blank_of_the_configuration_is_filled() {
        let text = configuration("/tmp/x", &setup(), Ports { udp: 1, ws: 2, wss: 3 });
        assert!(!text.replace("@signs@", "").contains('@'), "{text}");
        assert!(
            text.contains("src_port == 5070") && text.contains("\"SHA-256\"") && text.contains("children=2")
        );
    }

    #[test]
    fn separators_in_names_are_escaped() {
        assert!(user_table(&setup().users).ends_with("\n1:a\\:b:0:0:c\\\\d:0\n"));
    }
}
