//! Asking name servers: RFC 1035 §4.2, §7.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::Duration;

use hickory_proto::op::{Edns as Opt, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::system::{Edns, System, Way};
use crate::ports::resolver::ResolveError;

/// The name servers of a system.
#[derive(Clone, Copy)]
pub(super) struct NameServers<'a> {
    pub(super) system: &'a System,
    /// Gives uniform numbers, for the ids of questions.
    pub(super) random: &'a (dyn Fn() -> u32 + Send + Sync),
}

/// What a zone says of a name. That there is nothing is an answer too.
pub(super) struct Answer {
    pub(super) records: Vec<RData>,
    /// How long that is so; none if nothing is there.
    pub(super) ttl: Option<Duration>,
}

impl NameServers<'_> {
    /// The records of a complete name, behind as many aliases as [`MOST_ALIASES`].
    ///
    /// # Errors
    /// No name server gave an answer that says what is in the zone.
    pub(super) async fn look_up(&self, name: &str, kind: RecordType) -> Result<Answer, ResolveError> {
        let mut name = Name::from_labels(name.split('.').map(str::as_bytes))
            .map_err(|error| ResolveError::NotAnswered(format!("was not asked: {error}")))?;
        let mut ttl = u32::MAX;
        for _ in 0..MOST_ALIASES {
            let message = self.ask(&name, kind).await?;
            let behind = follow(&message, name.clone(), &mut ttl);
            let records = message.answers.iter().filter(|r| r.name == behind && r.record_type() == kind);
            let records: Vec<RData> = records
                .map(|record| {
                    ttl = ttl.min(record.ttl);
                    record.data.clone()
                })
                .collect();
            if !records.is_empty() {
                return Ok(Answer { records, ttl: Some(Duration::from_secs(ttl.into())) });
            }
            // A server that knows the alias alone leaves its target to be asked for.
            if behind == name || message.metadata.response_code == ResponseCode::NXDomain {
                return Ok(Answer { records, ttl: None });
            }
            name = behind;
        }
        Err(ResolveError::NotAnswered(format!("leads from alias to alias, as far as {name}")))
    }

    /// One server after the other, beginning with the one that answered last: resolv.conf(5).
    async fn ask(&self, name: &Name, kind: RecordType) -> Result<Message, ResolveError> {
        let servers = &self.system.servers;
        let first = self.system.first.load(Ordering::Relaxed);
        let mut fault = String::new();
        for turn in 0..servers.len() * self.system.attempts as usize {
            let at = (first + turn) % servers.len();
            let server = servers[at];
            match self.exchange(server, name, kind).await {
                Ok(message) => {
                    self.system.first.store(at, Ordering::Relaxed);
                    return Ok(message);
                }
                Err(why) => fault = format!("{}: {why}", server.ip()),
            }
        }
        Err(ResolveError::NotAnswered(fault))
    }

    async fn exchange(&self, server: SocketAddr, name: &Name, kind: RecordType) -> Result<Message, Fault> {
        let question = self.question(name, kind);
        let bytes = question.to_vec().map_err(|_| Fault::Unreadable)?;
        let (limit, over_tcp) = (self.system.timeout, over_tcp(server, &question, &bytes));
        let answer = match self.system.way {
            Way::TcpOnly => timeout(limit, over_tcp).await,
            Way::UdpFirst => match timeout(limit, over_udp(server, &question, &bytes)).await {
                Ok(Ok(short)) if short.metadata.truncation => timeout(limit, over_tcp).await,
                answer => answer,
            },
        };
        let message = answer.map_err(|_| Fault::Silent)??;
        match message.metadata.response_code {
            ResponseCode::NoError if is_referral(&message) => Err(Fault::Referral),
            ResponseCode::NoError | ResponseCode::NXDomain => Ok(message),
            other => Err(Fault::Refused(other)),
        }
    }

    fn question(&self, name: &Name, kind: RecordType) -> Message {
        let id = ((self.random)() >> 16) as u16;
        let mut question = Message::new(id, MessageType::Query, OpCode::Query);
        question.metadata.recursion_desired = true;
        question.add_query(Query::query(name.clone(), kind));
        if self.system.edns == Edns::Told {
            let mut opt = Opt::new();
            opt.set_max_payload(UDP_PAYLOAD);
            question.set_edns(opt);
        }
        question
    }
}

/// Why a server gave no answer.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("no answer in time")]
    Silent,
    #[error("{0}")]
    Refused(ResponseCode),
    #[error("it names other servers instead of asking them")]
    Referral,
    #[error("an answer that cannot be read")]
    Unreadable,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Each question has a socket, hence a port, of its own: an answer that is forged has to guess it beside the id (RFC 5452).
async fn over_udp(server: SocketAddr, question: &Message, bytes: &[u8]) -> Result<Message, Fault> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(bytes).await?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let length = socket.recv(&mut buffer).await?;
        match Message::from_vec(&buffer[..length]) {
            Ok(answer) if answers(&answer, question) => return Ok(answer),
            // Late, or not meant for us.
            Ok(_) => {}
            // Cut off in the middle of a record, as some servers do.
            Err(_) if is_truncated(&buffer[..length], question) => {
                let mut answer = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
                answer.metadata.truncation = true;
                return Ok(answer);
            }
            Err(_) => {}
        }
    }
}

/// RFC 1035 §4.2.2
async fn over_tcp(server: SocketAddr, question: &Message, bytes: &[u8]) -> Result<Message, Fault> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(bytes.len()).map_err(|_| Fault::Unreadable)?;
    stream.write_all(&[&length.to_be_bytes(), bytes].concat()).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    let answer = Message::from_vec(&answer).map_err(|_| Fault::Unreadable)?;
    if answers(&answer, question) { Ok(answer) } else { Err(Fault::Unreadable) }
}

fn answers(answer: &Message, question: &Message) -> bool {
    answer.metadata.message_type == MessageType::Response
        && answer.metadata.id == question.metadata.id
        && answer.queries == question.queries
}

/// RFC 1035 §4.1.1: the id, and the bits QR and TC.
fn is_truncated(bytes: &[u8], question: &Message) -> bool {
    let [high, low, flags, ..] = *bytes else { return false };
    u16::from_be_bytes([high, low]) == question.metadata.id && flags & 0x82 == 0x82
}

/// RFC 2308 §2.2: unlike an answer that there is nothing, it names servers without being about the zone itself.
pub(super) fn is_referral(message: &Message) -> bool {
    let has = |kind| message.authorities.iter().any(|record| record.record_type() == kind);
    message.answers.is_empty() && has(RecordType::NS) && !has(RecordType::SOA)
}

/// The name behind the aliases of an answer (RFC 1034 §3.6.2); the shortest TTL of them is noted.
fn follow(message: &Message, mut name: Name, ttl: &mut u32) -> Name {
    for _ in 0..MOST_ALIASES {
        let alias = message.answers.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if record.name == name => Some((record.ttl, target.0.clone())),
            _ => None,
        });
        let Some((of_alias, target)) = alias else { break };
        *ttl = (*ttl).min(of_alias);
        name = target;
    }
    name
}

/// In a row; more are a loop.
const MOST_ALIASES: usize = 8;

/// What crosses networks in one piece (RFC 9715).
const UDP_PAYLOAD: u16 = 1_232;
