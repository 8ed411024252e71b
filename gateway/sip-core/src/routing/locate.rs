//! Which addresses a configured name stands for, and in which order to try them: RFC 3263 §4, RFC 2782.
//!
//! Asks nothing itself. [`Target::completions`] says which complete names are meant. For each, [`questions`] says what is
//! still to be looked up, [`Answers`] takes what was found, and when no question is left, [`servers()`] gives the servers, of
//! which each call draws its list:
//!
//! ```
//! # use sip_core::routing::{Transport, locate::*};
//! let target = Target::new("pbx.example.com", None, Transport::Udp);
//! let mut answers = Answers::default();
//! loop {
//!     let questions = questions(&target, &answers);
//!     if questions.is_empty() {
//!         break;
//!     }
//!     for question in questions {
//!         // A real resolver asks; here only the address of the name itself is known.
//!         match question {
//!             Question::Srv(name) => answers.srv(name, Vec::new()),
//!             Question::Addresses(name) => answers.addresses(name, vec!["192.0.2.1".parse()?]),
//!         }
//!     }
//! }
//! let found = servers(&target, &answers).draw(|| 0);
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
pub use target::Target;

/// Something to look up. Names are in lower case without a final dot, and complete: nothing is ever appended to them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// SRV records (RFC 2782).
    Srv(String),
    /// A and AAAA records, in the order to be tried.
    Addresses(String),
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
    srv: BTreeMap<String, Vec<Srv>>,
    addresses: BTreeMap<String, Vec<IpAddr>>,
}

impl Answers {
    /// Answers [`Question::Srv`]. Only the first [`MOST_RECORDS`] count, as for all answers.
    pub fn srv(&mut self, name: String, records: Vec<Srv>) {
        self.srv.insert(name, bounded(records));
    }

    /// Answers [`Question::Addresses`].
    pub fn addresses(&mut self, name: String, records: Vec<IpAddr>) {
        self.addresses.insert(name, bounded(records));
    }
}

/// What is still to be looked up; empty when [`servers()`] has all it needs. Each answer may lead to new questions,
/// twice at most.
pub fn questions(target: &Target, answers: &Answers) -> Vec<Question> {
    let mut walk = Walk { answers, open: Vec::new(), found: Servers::default() };
    walk.run(target);
    walk.open
}

/// What was found. What was not answered counts as not there.
pub fn servers(target: &Target, answers: &Answers) -> Servers {
    let mut walk = Walk { answers, open: Vec::new(), found: Servers::default() };
    walk.run(target);
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
    fn run(&mut self, target: &Target) {
        let transport = target.transport;
        match (&target.host, target.port) {
            (Host::Address(address), port) => {
                let address = SocketAddr::new(*address, port.unwrap_or(transport.default_port()));
                self.found = Servers::of_host(vec![Candidate { transport, address }]);
            }
            // RFC 3263 §4.2: an explicit port leaves no SRV to ask.
            (Host::Absolute(name) | Host::Relative(name), Some(port)) => {
                self.found = Servers::of_host(self.host(transport, name, port));
            }
            (Host::Absolute(name) | Host::Relative(name), None) => self.service_or_host(transport, name),
        }
    }

    /// RFC 3263 §4.2: the servers of the SRV records; where there are no records at all, the name itself.
    fn service_or_host(&mut self, transport: Transport, name: &str) {
        let (answers, service) = (self.answers, service_name(transport, name));
        match answers.srv.get(&service) {
            None => self.ask(Question::Srv(service)),
            Some(none) if none.is_empty() => {
                self.found = Servers::of_host(self.host(transport, name, transport.default_port()));
            }
            Some(records) => {
                self.by_priority(transport, records);
                self.found.step = Step::Service;
            }
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
