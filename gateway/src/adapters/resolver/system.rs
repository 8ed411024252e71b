//! What the system says about names: `/etc/resolv.conf` and `/etc/hosts`, read again when they have changed.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use resolv_conf::Config;

/// What both files say, with the meaning and the bounds of resolv.conf(5).
pub(super) struct System {
    /// Never empty: without any, the local machine is asked.
    pub(super) servers: Vec<SocketAddr>,
    /// Index of the server to be asked first: the one that answered last.
    pub(super) first: AtomicUsize,
    /// For names with fewer dots than `ndots`.
    pub(super) search: Vec<String>,
    pub(super) ndots: usize,
    /// For each server and attempt.
    pub(super) timeout: Duration,
    pub(super) attempts: u32,
    pub(super) edns: Edns,
    pub(super) way: Way,
    hosts: HashMap<String, Vec<IpAddr>>,
}

/// Whether servers are told that we take answers above 512 bytes over UDP (RFC 6891).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edns {
    Told,
    NotTold,
}

/// How servers are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Over UDP, and over TCP what is too long for it.
    UdpFirst,
    TcpOnly,
}

impl System {
    /// The addresses of a name in `/etc/hosts`.
    pub(super) fn host(&self, name: &str) -> Option<&[IpAddr]> {
        self.hosts.get(name).map(Vec::as_slice)
    }

    fn new(resolv_conf: &[u8], hosts: &[u8], port: u16) -> Self {
        let (mut config, mistakes) = Config::parse_with_errors(resolv_conf);
        for error in mistakes {
            tracing::warn!(%error, "a line of /etc/resolv.conf is passed over");
        }
        config.glibc_normalize();
        let servers = config.get_nameservers_or_local();
        let listed = config.get_last_search_or_domain().filter(|domain| *domain != "--");
        let mut search: Vec<String> = listed.map(|domain| domain.to_ascii_lowercase()).collect();
        if search.is_empty() {
            search.extend(config.get_system_domain());
        }
        Self {
            servers: servers.iter().map(|server| SocketAddr::new(server.into(), port)).collect(),
            first: AtomicUsize::new(0),
            search,
            ndots: config.ndots.min(MOST_DOTS) as usize,
            timeout: Duration::from_secs(config.timeout.clamp(1, LONGEST_TIMEOUT).into()),
            attempts: config.attempts.clamp(1, MOST_ATTEMPTS),
            edns: if config.edns0 { Edns::Told } else { Edns::NotTold },
            way: if config.use_vc { Way::TcpOnly } else { Way::UdpFirst },
            hosts: hosts_of(&String::from_utf8_lossy(hosts)),
        }
    }
}

/// The two files.
pub(super) struct SystemFiles {
    resolv_conf: PathBuf,
    hosts: PathBuf,
    /// Where name servers listen.
    port: u16,
    read: Mutex<Option<(Stamps, Arc<System>)>>,
}

impl SystemFiles {
    pub(super) fn new(resolv_conf: impl Into<PathBuf>, hosts: impl Into<PathBuf>, port: u16) -> Self {
        Self { resolv_conf: resolv_conf.into(), hosts: hosts.into(), port, read: Mutex::default() }
    }

    /// What they say now. A file that is not there says nothing. Waits for the disk.
    pub(super) fn current(&self) -> Arc<System> {
        let stamps = Stamps(stamp(&self.resolv_conf), stamp(&self.hosts));
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        match &*read {
            Some((known, system)) if *known == stamps => Arc::clone(system),
            _ => {
                let system = System::new(&content(&self.resolv_conf), &content(&self.hosts), self.port);
                let system = Arc::new(system);
                *read = Some((stamps, Arc::clone(&system)));
                system
            }
        }
    }
}

#[derive(PartialEq, Eq)]
struct Stamps(Option<Stamp>, Option<Stamp>);

/// Tells one content of a file from another.
#[derive(PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

fn stamp(file: &Path) -> Option<Stamp> {
    let of = fs::metadata(file).ok()?;
    // The time of the change, unlike that of the content, can be set by nobody.
    Some(Stamp { inode: of.ino(), length: of.len(), changed: (of.ctime(), of.ctime_nsec()) })
}

fn content(file: &Path) -> Vec<u8> {
    fs::read(file).unwrap_or_else(|error| {
        if error.kind() != io::ErrorKind::NotFound {
            tracing::warn!(file = %file.display(), %error, "not read");
        }
        Vec::new()
    })
}

/// hosts(5): an address and its names on each line, in any form of name.
fn hosts_of(text: &str) -> HashMap<String, Vec<IpAddr>> {
    let mut hosts: HashMap<String, Vec<IpAddr>> = HashMap::new();
    for name in ["localhost", "localhost.localdomain"] {
        // RFC 6761 §6.3: never asked for.
        hosts.insert(name.into(), vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    for line in text.trim_start_matches('\u{feff}').lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else { continue };
        for name in words {
            let addresses = hosts.entry(name.trim_end_matches('.').to_ascii_lowercase()).or_default();
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    hosts
}

const MOST_DOTS: u32 = 15;
const LONGEST_TIMEOUT: u32 = 30;
const MOST_ATTEMPTS: u32 = 5;
