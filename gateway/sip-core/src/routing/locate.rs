//! Which addresses a configured name stands for, and in which order to try them: RFC 3263 §4, RFC 2782.
//!
//! Asks nothing itself. [`Target::completions`] says which complete names are meant. For each, [`questions`] says what is
//! still to be looked up, [`Answers`] takes what was found, and when no question is left, [`servers()`] gives the servers, of
//! which each call draws its list:
//!
//! ```
//! # use sip_core::routing::{Transport, locate::*};
//! let target = Target::new("pbx.example.com", None, None, Scheme::Sip);
//! let supported = [Transport::Udp, Transport::Tcp];
//! let mut answers = Answers::default();
//! loop {
//!     let questions = questions(&target, &supported, &answers);
//!     if questions.is_empty() {
//!         break;
//!     }
//!     for question in questions {
//!         // A real resolver asks; here only the address of the name itself is known.
//!         match question {
//!             Question::Naptr(name) => answers.naptr(name, Vec::new()),
//!             Question::Srv(name) => answers.srv(name, Vec::new()),
//!             Question::Addresses(name) => answers.addresses(name, vec!["192.0.2.1".parse()?]),
//!         }
//!     }
//! }
//! let found = servers(&target, &supported, &answers).draw(|| 0);
//! assert_eq!(found[0].address, "192.0.2.1:5060".parse()?);
//! # Ok::<(), std::net::AddrParseError>(())
//! ```

mod servers;
mod target;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::Transport;
pub use servers::{Candidate, MOST_CANDIDATES, Servers, Step};
use servers::{Group, Server};
use target::Host;
pub use target::{Scheme, Target};

/// Something to look up. Names are in lower case without a final dot, and complete: nothing is ever appended to them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// NAPTR records (RFC 3403).
    Naptr(String),
    /// SRV records (RFC 2782).
    Srv(String),
    /// A and AAAA records, in the order to be tried.
    Addresses(String),
}

/// A NAPTR record, without what SIP does not use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naptr {
    /// Lowest first; of the usable records only those with the lowest are looked at.
    pub order: u16,
    /// Lowest first among those of one order.
    pub preference: u16,
    /// `s`, else the record is of no use here.
    pub flags: String,
    /// As `SIP+D2U`.
    pub service: String,
    /// The name to ask for SRV records.
    pub replacement: String,
}

/// An SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srv {
    /// Lowest first.
    pub priority: u16,
    /// Share among those of one priority.
    pub weight: u16,
    /// Where the server listens.
    pub port: u16,
    /// The server; `.` or empty says that there is none.
    pub target: String,
}

/// What was found so far. An empty list says that there is nothing, which is an answer too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    naptr: BTreeMap<String, Vec<Naptr>>,
    srv: BTreeMap<String, Vec<Srv>>,
    addresses: BTreeMap<String, Vec<IpAddr>>,
}

impl Answers {
    /// Answers [`Question::Naptr`]. Only the first [`MOST_RECORDS`] count, as for all answers.
    pub fn naptr(&mut self, name: String, records: Vec<Naptr>) {
        self.naptr.insert(name, bounded(records));
    }

    /// Answers [`Question::Srv`].
    pub fn srv(&mut self, name: String, records: Vec<Srv>) {
        self.srv.insert(name, bounded(records));
    }

    /// Answers [`Question::Addresses`].
    pub fn addresses(&mut self, name: String, records: Vec<IpAddr>) {
        self.addresses.insert(name, bounded(records));
    }
}

/// What is still to be looked up; empty when [`servers()`] has all it needs. Each answer may lead to new questions,
/// three times at most.
pub fn questions(target: &Target, supported: &[Transport], answers: &Answers) -> Vec<Question> {
    let mut walk = Walk { answers, open: Vec::new(), found: Servers::default() };
    walk.run(target, supported);
    walk.open
}

/// What was found; nothing when a transport is demanded that is not among `supported` or that `sips:` forbids. What was not
/// answered counts as not there.
pub fn servers(target: &Target, supported: &[Transport], answers: &Answers) -> Servers {
    let mut walk = Walk { answers, open: Vec::new(), found: Servers::default() };
    walk.run(target, supported);
    walk.found
}

/// The tries of one request: RFC 3263 §4.3. Each needs a new branch.
#[derive(Clone, Debug)]
pub struct Tries {
    left: Vec<Candidate>,
}

impl Tries {
    /// All of them, best first.
    pub fn new(candidates: Vec<Candidate>) -> Self {
        Self { left: candidates }
    }

    /// The next to try: the best that is not to be avoided, else the best that is. `None`: all were tried.
    pub fn next(&mut self, avoid: impl Fn(&Candidate) -> bool) -> Option<Candidate> {
        let at = self.left.iter().position(|candidate| !avoid(candidate)).unwrap_or(0);
        (at < self.left.len()).then(|| self.left.remove(at))
    }
}

/// One way through the records that are there, noting what is not.
struct Walk<'a> {
    answers: &'a Answers,
    open: Vec<Question>,
    found: Servers,
}

impl Walk<'_> {
    fn run(&mut self, target: &Target, supported: &[Transport]) {
        let usable: Vec<Transport> =
            supported.iter().copied().filter(|transport| target.scheme.allows(*transport)).collect();
        let transport = match target.transport {
            Some(transport) => usable.contains(&transport).then_some(transport),
            None => target.scheme.default_transport(&usable),
        };
        let Some(transport) = transport else { return };
        match (&target.host, target.port) {
            (Host::Address(address), port) => {
                let address = SocketAddr::new(*address, port.unwrap_or(transport.default_port()));
                self.found = Servers::of_host(vec![Candidate { transport, address }]);
            }
            // RFC 3263 §4.1, §4.2: an explicit port leaves neither NAPTR nor SRV to ask.
            (Host::Absolute(name) | Host::Relative(name), Some(port)) => {
                self.found = Servers::of_host(self.host(transport, name, port));
            }
            (Host::Absolute(name) | Host::Relative(name), None) if target.transport.is_some() => {
                self.service_or_host(&[(transport, service_name(transport, name))], transport, name);
            }
            (Host::Absolute(name) | Host::Relative(name), None) => {
                if let Some(services) = self.services(name, &usable) {
                    self.service_or_host(&services, transport, name);
                }
            }
        }
    }

    /// RFC 3263 §4.1: by NAPTR, else one SRV name for each transport that we have.
    fn services(&mut self, name: &str, usable: &[Transport]) -> Option<Vec<(Transport, String)>> {
        let Some(records) = self.answers.naptr.get(name) else {
            self.ask(Question::Naptr(name.to_owned()));
            return None;
        };
        let mut known: Vec<(&Naptr, Transport)> = records
            .iter()
            .filter(|record| record.flags.eq_ignore_ascii_case("s"))
            .filter_map(|record| Some((record, by_service(&record.service)?)))
            .filter(|(_, transport)| usable.contains(transport))
            .collect();
        known.sort_by_key(|(record, _)| (record.order, record.preference));
        let lowest = known.first().map(|(record, _)| record.order);
        known.retain(|(record, _)| Some(record.order) == lowest);
        if known.is_empty() {
            return Some(
                usable.iter().map(|transport| (*transport, service_name(*transport, name))).collect(),
            );
        }
        Some(known.iter().map(|(record, transport)| (*transport, canonical(&record.replacement))).collect())
    }

    /// RFC 3263 §4.2: the servers of the SRV records; where there are no records at all, the name itself.
    fn service_or_host(&mut self, services: &[(Transport, String)], default: Transport, name: &str) {
        let answers = self.answers;
        let mut has_records = false;
        let mut has_open = false;
        for (transport, service) in services {
            match answers.srv.get(service) {
                Some(records) => {
                    has_records |= !records.is_empty();
                    self.by_priority(*transport, records);
                }
                None => {
                    has_open = true;
                    self.ask(Question::Srv(service.clone()));
                }
            }
        }
        if has_records {
            self.found.step = Step::Service;
        } else if !has_open {
            // A single service was chosen by the URI or by NAPTR, so its transport stays.
            let transport = match services {
                [(transport, _)] => *transport,
                _ => default,
            };
            self.found = Servers::of_host(self.host(transport, name, transport.default_port()));
        }
    }

    fn by_priority(&mut self, transport: Transport, records: &[Srv]) {
        let mut groups: BTreeMap<u16, Vec<Server>> = BTreeMap::new();
        for record in records {
            // RFC 2782: the name is complete, whether or not a dot is at its end.
            let server = canonical(&record.target);
            // A target of "." says that the service is decidedly not available.
            if !server.is_empty() {
                let candidates = self.host(transport, &server, record.port);
                groups.entry(record.priority).or_default().push(Server { weight: record.weight, candidates });
            }
        }
        self.found.groups.extend(groups.into_values().map(Group));
    }

    fn host(&mut self, transport: Transport, name: &str, port: u16) -> Vec<Candidate> {
        match self.answers.addresses.get(name) {
            Some(addresses) => {
                let at =
                    |ip: &IpAddr| Candidate { transport, address: SocketAddr::new(ip.to_canonical(), port) };
                addresses.iter().map(at).collect()
            }
            None => {
                self.ask(Question::Addresses(name.to_owned()));
                Vec::new()
            }
        }
    }

    fn ask(&mut self, question: Question) {
        if !self.open.contains(&question) {
            self.open.push(question);
        }
    }
}

/// RFC 3263 §4.1: what a NAPTR service field says.
fn by_service(service: &str) -> Option<Transport> {
    let services = [("SIP+D2U", Transport::Udp), ("SIP+D2T", Transport::Tcp), ("SIPS+D2T", Transport::Tls)];
    services.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(service)).map(|(_, transport)| transport)
}

/// RFC 3263 §4.1: the SRV name of a transport.
fn service_name(transport: Transport, domain: &str) -> String {
    let service = match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp | Transport::Ws => "_sip._tcp",
        Transport::Tls | Transport::Wss => "_sips._tcp",
    };
    format!("{service}.{domain}")
}

fn canonical(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn bounded<T>(mut records: Vec<T>) -> Vec<T> {
    records.truncate(MOST_RECORDS);
    records
}

/// Records of one answer that are looked at.
pub const MOST_RECORDS: usize = 32;
