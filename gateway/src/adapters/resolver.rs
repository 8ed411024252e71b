//! DNS as the system is configured, for the names of trunks (RFC 3263 §4).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::config::LookupIpStrategy;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{ResolverBuilder, TokioResolver};
use sip_core::routing::Transport;
use sip_core::routing::locate::{self, Answers, Candidate, Naptr, Question, Srv, Target};
use tokio::time::sleep;

use crate::ports::BoxFuture;
use crate::ports::resolver::{Resolution, ResolveError, Resolver};

/// Asks the name servers of `/etc/resolv.conf`, after `/etc/hosts`.
pub struct SystemResolver {
    dns: TokioResolver,
    random: Box<dyn Fn() -> u32 + Send + Sync>,
}

impl SystemResolver {
    /// `random` gives uniform numbers, to spread calls among servers of one priority (RFC 2782).
    ///
    /// # Errors
    /// `/etc/resolv.conf` cannot be read.
    pub fn new(random: impl Fn() -> u32 + Send + Sync + 'static) -> Result<Self, ResolveError> {
        Self::build(TokioResolver::builder_tokio().map_err(not_answered)?, random)
    }

    fn build(
        mut builder: ResolverBuilder<TokioRuntimeProvider>,
        random: impl Fn() -> u32 + Send + Sync + 'static,
    ) -> Result<Self, ResolveError> {
        let options = builder.options_mut();
        options.cache_size = CACHED_NAMES;
        options.timeout = QUERY_TIMEOUT;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        Ok(Self { dns: builder.build().map_err(not_answered)?, random: Box::new(random) })
    }

    async fn look_up(&self, target: &Target, supported: &[Transport]) -> Result<Resolution, ResolveError> {
        let mut search =
            Search { dns: &self.dns, answers: Answers::default(), valid_for: LONGEST, fault: None };
        loop {
            let questions = locate::questions(target, supported, &search.answers);
            if questions.is_empty() {
                break;
            }
            for question in questions {
                search.ask(question).await?;
            }
        }
        let candidates = locate::candidates(target, supported, &search.answers, || (self.random)());
        match (candidates.is_empty(), search.fault) {
            (false, _) => Ok(Resolution { candidates, valid_for: search.valid_for.max(SHORTEST) }),
            (true, None) => Err(ResolveError::NotThere),
            (true, Some(fault)) => Err(fault),
        }
    }
}

impl Resolver for SystemResolver {
    fn resolve<'a>(
        &'a self,
        target: &'a Target,
        supported: &'a [Transport],
    ) -> BoxFuture<'a, Result<Resolution, ResolveError>> {
        Box::pin(self.look_up(target, supported))
    }
}

/// Resolves a target now and whenever the answer runs out, and reports each list that differs from the one before. What
/// was found last stays in use while the name servers are away. Runs until it is dropped.
pub async fn keep_resolved(
    resolver: Arc<dyn Resolver>,
    target: Target,
    supported: Vec<Transport>,
    mut found: impl FnMut(&[Candidate]),
) {
    let mut known = Vec::new();
    let mut pause = RETRY_FIRST;
    loop {
        match resolver.resolve(&target, &supported).await {
            Ok(Resolution { candidates, valid_for }) => {
                if candidates != known {
                    found(&candidates);
                    known = candidates;
                }
                pause = RETRY_FIRST;
                sleep(valid_for).await;
            }
            Err(error) => {
                tracing::warn!(?target, %error, "trunk's name not resolved");
                sleep(pause).await;
                pause = (pause * 2).min(RETRY_LAST);
            }
        }
    }
}

/// One resolution under way.
struct Search<'a> {
    dns: &'a TokioResolver,
    answers: Answers,
    valid_for: Duration,
    fault: Option<ResolveError>,
}

impl Search<'_> {
    async fn ask(&mut self, question: Question) -> Result<(), ResolveError> {
        match question {
            Question::Naptr(name) => {
                let records = self.records(&name, RecordType::NAPTR, naptr).await;
                // Some name servers leave questions for NAPTR unanswered: few domains have any.
                let records = self.forgive(records);
                self.answers.naptr(name, records);
            }
            Question::Srv(name) => {
                // Without the SRV records that there may be, the calls would go to the domain's web server.
                let records = self.records(&name, RecordType::SRV, srv).await?;
                self.answers.srv(name, records);
            }
            Question::Addresses(name) => {
                let addresses = self.addresses(&name).await;
                let addresses = self.forgive(addresses);
                self.answers.addresses(name, addresses);
            }
        }
        Ok(())
    }

    async fn records<T>(
        &mut self,
        name: &str,
        kind: RecordType,
        read: fn(&RData) -> Option<T>,
    ) -> Result<Vec<T>, ResolveError> {
        match self.dns.lookup(name, kind).await {
            Ok(found) => {
                self.note(found.valid_until());
                Ok(found.answers().iter().filter_map(|record| read(&record.data)).collect())
            }
            Err(error) => self.nothing(error),
        }
    }

    async fn addresses(&mut self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        match self.dns.lookup_ip(name).await {
            Ok(found) => {
                self.note(found.valid_until());
                Ok(found.iter().collect())
            }
            Err(error) => self.nothing(error),
        }
    }

    /// That there is nothing is an answer; that nobody answered is not.
    fn nothing<T>(&mut self, error: NetError) -> Result<Vec<T>, ResolveError> {
        if error.is_no_records_found() {
            self.valid_for = self.valid_for.min(NEGATIVE);
            Ok(Vec::new())
        } else {
            Err(not_answered(error))
        }
    }

    /// Goes on without an answer, but not for long.
    fn forgive<T>(&mut self, answer: Result<Vec<T>, ResolveError>) -> Vec<T> {
        answer.unwrap_or_else(|fault| {
            self.valid_for = SHORTEST;
            self.fault = Some(fault);
            Vec::new()
        })
    }

    fn note(&mut self, valid_until: Instant) {
        self.valid_for = self.valid_for.min(valid_until.saturating_duration_since(Instant::now()));
    }
}

fn naptr(data: &RData) -> Option<Naptr> {
    let RData::NAPTR(record) = data else { return None };
    Some(Naptr {
        order: record.order,
        preference: record.preference,
        flags: String::from_utf8_lossy(&record.flags).into_owned(),
        service: String::from_utf8_lossy(&record.services).into_owned(),
        replacement: text(&record.replacement),
    })
}

fn srv(data: &RData) -> Option<Srv> {
    let RData::SRV(record) = data else { return None };
    let (priority, weight, port) = (record.priority, record.weight, record.port);
    Some(Srv { priority, weight, port, target: text(&record.target) })
}

/// Without the final dot, but the root itself stays one: an SRV record says with it that there is no such service.
fn text(name: &Name) -> String {
    let text = name.to_lowercase().to_ascii();
    text.strip_suffix('.').filter(|rest| !rest.is_empty()).map(str::to_owned).unwrap_or(text)
}

fn not_answered(error: NetError) -> ResolveError {
    ResolveError::NotAnswered(error.to_string())
}

/// Enough for every name that a hundred trunks lead to.
const CACHED_NAMES: u64 = 1_024;

const QUERY_TIMEOUT: Duration = Duration::from_secs(2);

/// Bounds of how long an answer is used, whatever its TTL says.
const SHORTEST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(3_600);

/// How long a name counts as absent.
const NEGATIVE: Duration = Duration::from_secs(60);

const RETRY_FIRST: Duration = Duration::from_secs(2);
const RETRY_LAST: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
