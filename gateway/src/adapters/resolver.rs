//! DNS as the system is configured, for the names of trunks (RFC 3263 §4).

mod dns;
mod keep;
mod system;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hickory_proto::rr::rdata::SRV;
use hickory_proto::rr::{Name, RData, RecordType};
use sip_core::routing::locate::{self, Answers, Question, Servers, Srv, Target};
use tokio::task::spawn_blocking;

pub use keep::keep_resolved;

use crate::ports::BoxFuture;
use crate::ports::resolver::{Extent, Resolution, ResolveError, Resolver, Standing};
use dns::{Answer, NameServers};
use system::SystemFiles;

/// Asks the name servers of `/etc/resolv.conf`, after `/etc/hosts`. Both are read again when they have changed.
pub struct SystemResolver {
    files: Arc<SystemFiles>,
    random: Box<dyn Fn() -> u32 + Send + Sync>,
}

impl SystemResolver {
    /// `random` gives uniform numbers that nobody can predict.
    pub fn new(random: impl Fn() -> u32 + Send + Sync + 'static) -> Self {
        Self::of(SystemFiles::new("/etc/resolv.conf", "/etc/hosts", DNS_PORT), random)
    }

    fn of(files: SystemFiles, random: impl Fn() -> u32 + Send + Sync + 'static) -> Self {
        Self { files: Arc::new(files), random: Box::new(random) }
    }

    async fn look_up(&self, target: &Target) -> Result<Resolution, ResolveError> {
        let files = Arc::clone(&self.files);
        let system = spawn_blocking(move || files.current()).await;
        let system = system.map_err(|error| ResolveError::NotAnswered(error.to_string()))?;
        let name_servers = NameServers { system: &system, random: &*self.random };
        let mut fault = None;
        for (completion, complete) in target.completions(&system.search, system.ndots).enumerate() {
            match Search::new(name_servers).run(&complete).await {
                Ok(found) => return Ok(found.resolution(completion, fault.is_some())),
                Err(ResolveError::NotThere) => {}
                // Name servers that know no names of one word fail at them: the search domains are what is meant.
                Err(error) if completion == 0 && target.is_single_word() => fault = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(fault.unwrap_or(ResolveError::NotThere))
    }
}

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Resolution, ResolveError>> {
        Box::pin(self.look_up(target))
    }
}

/// One complete name being looked up.
struct Search<'a> {
    name_servers: NameServers<'a>,
    answers: Answers,
    valid_for: Duration,
    /// Of a question that was not answered though the search went on.
    fault: Option<ResolveError>,
}

/// What a search found.
struct Found {
    servers: Servers,
    valid_for: Duration,
    extent: Extent,
}

impl Found {
    fn resolution(self, completion: usize, is_after_fault: bool) -> Resolution {
        let extent = if is_after_fault { Extent::Part } else { self.extent };
        let valid_for = match extent {
            Extent::Whole => self.valid_for.max(SHORTEST),
            Extent::Part => SHORTEST,
        };
        let standing = Standing { completion, step: self.servers.step(), extent };
        Resolution { servers: self.servers, standing, valid_for }
    }
}

impl<'a> Search<'a> {
    fn new(name_servers: NameServers<'a>) -> Self {
        Self { name_servers, answers: Answers::default(), valid_for: LONGEST, fault: None }
    }

    async fn run(mut self, target: &Target) -> Result<Found, ResolveError> {
        loop {
            let questions = locate::questions(target, &self.answers);
            if questions.is_empty() {
                break;
            }
            let name_servers = self.name_servers;
            let replies = join_all(questions.into_iter().map(|question| ask(name_servers, question))).await;
            for reply in replies {
                self.take(reply?);
            }
        }
        let servers = locate::servers(target, &self.answers);
        let extent = if self.fault.is_some() { Extent::Part } else { Extent::Whole };
        match (servers.is_empty(), self.fault) {
            (false, _) => Ok(Found { servers, valid_for: self.valid_for, extent }),
            (true, None) => Err(ResolveError::NotThere),
            (true, Some(fault)) => Err(fault),
        }
    }

    fn take(&mut self, reply: Reply) {
        match reply.records {
            Records::Srv(name, records) => self.answers.srv(name, records),
            Records::Addresses(name, records) => self.answers.addresses(name, records),
        }
        self.valid_for = self.valid_for.min(reply.valid_for);
        self.fault = self.fault.take().or(reply.fault);
    }
}

/// What became of a question.
struct Reply {
    records: Records,
    valid_for: Duration,
    fault: Option<ResolveError>,
}

enum Records {
    Srv(String, Vec<Srv>),
    Addresses(String, Vec<IpAddr>),
}

/// Only what the zone says leads on to the next step of RFC 3263: without the SRV records that there may be, calls would go to
/// the domain's web server. A server whose address was not told is left out, for there are others.
async fn ask(name_servers: NameServers<'_>, question: Question) -> Result<Reply, ResolveError> {
    match question {
        Question::Srv(name) => {
            let answer = services(name_servers, &name).await?;
            let records = answer.records.iter().filter_map(srv).collect();
            Ok(Reply { valid_for: valid_for(answer.ttl), records: Records::Srv(name, records), fault: None })
        }
        Question::Addresses(name) => Ok(addresses(name_servers, name).await),
    }
}

/// A domain that is in `/etc/hosts` may be known to no name server, and there may be none: then it has no services.
async fn services(name_servers: NameServers<'_>, name: &str) -> Result<Answer, ResolveError> {
    let domain = name.splitn(3, '.').nth(2).unwrap_or_default();
    match name_servers.look_up(name, RecordType::SRV).await {
        Err(_) if name_servers.system.host(domain).is_some() => Ok(Answer { records: Vec::new(), ttl: None }),
        answer => answer,
    }
}

async fn addresses(name_servers: NameServers<'_>, name: String) -> Reply {
    if let Some(listed) = name_servers.system.host(&name) {
        let records = Records::Addresses(name, listed.to_vec());
        return Reply { records, valid_for: SHORTEST, fault: None };
    }
    let (four, six) = tokio::join!(
        name_servers.look_up(&name, RecordType::A),
        name_servers.look_up(&name, RecordType::AAAA)
    );
    let (mut found, mut valid_for, mut fault) = (Vec::new(), LONGEST, None);
    for answer in [four, six] {
        match answer {
            Ok(answer) => {
                found.extend(answer.records.iter().filter_map(RData::ip_addr));
                // That the other family is absent says nothing about how long this one is good.
                valid_for = valid_for.min(answer.ttl.unwrap_or(NEGATIVE));
            }
            // Some name servers answer no question for AAAA.
            Err(error) => fault = Some(error),
        }
    }
    let fault = fault.filter(|_| found.is_empty());
    Reply { records: Records::Addresses(name, found), valid_for, fault }
}

fn valid_for(ttl: Option<Duration>) -> Duration {
    ttl.unwrap_or(NEGATIVE)
}

fn srv(data: &RData) -> Option<Srv> {
    let RData::SRV(SRV { priority, weight, port, target, .. }) = data else { return None };
    Some(Srv { priority: *priority, weight: *weight, port: *port, target: text(target) })
}

/// Without the final dot, but the root itself stays one: an SRV record says with it that there is no such service.
fn text(name: &Name) -> String {
    let text = name.to_lowercase().to_ascii();
    text.strip_suffix('.').filter(|rest| !rest.is_empty()).map(str::to_owned).unwrap_or(text)
}

const DNS_PORT: u16 = 53;

/// Bounds of how long an answer is used, whatever its TTL says.
const SHORTEST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(3_600);

/// How long something counts as absent.
const NEGATIVE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
