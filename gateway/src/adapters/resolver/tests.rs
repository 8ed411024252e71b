#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;

use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::Record;
use hickory_resolver::proto::rr::rdata::{A, NAPTR, SRV};
use sip_core::routing::locate::Scheme;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::*;

/// A name server on loopback. Names it does not know do not exist; those in `broken` it fails at.
async fn name_server(zone: Vec<(&'static str, RData)>, broken: &'static [&'static str]) -> SystemResolver {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = socket.local_addr().unwrap();
    let mut records: HashMap<(Name, RecordType), Vec<Record>> = HashMap::new();
    for (name, data) in zone {
        let name = Name::from_ascii(name).unwrap();
        let key = (name.clone(), data.record_type());
        records.entry(key).or_default().push(Record::from_rdata(name, 300, data));
    }
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let question = Message::from_vec(&buffer[..length]).unwrap();
            let asked = question.queries[0].clone();
            let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
            let known = records.get(&(asked.name().to_lowercase(), asked.query_type()));
            let is_broken = broken.iter().any(|name| Name::from_ascii(name).unwrap() == *asked.name());
            answer.metadata.response_code = match known {
                _ if is_broken => ResponseCode::ServFail,
                None => ResponseCode::NXDomain,
                Some(_) => ResponseCode::NoError,
            };
            answer.add_query(asked);
            answer.insert_answers(known.cloned().unwrap_or_default());
            socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
        }
    });
    let mut server = NameServerConfig::udp(at.ip());
    server.connections[0].port = at.port();
    let config = ResolverConfig::from_name_servers(vec![server]);
    let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    SystemResolver::build(builder, || 0).unwrap()
}

fn srv_record(priority: u16, port: u16, target: &str) -> RData {
    RData::SRV(SRV::new(priority, 0, port, Name::from_ascii(target).unwrap()))
}

fn naptr_record(order: u16, service: &str, replacement: &str) -> RData {
    let replacement = Name::from_ascii(replacement).unwrap();
    let bytes = |text: &str| text.as_bytes().into();
    RData::NAPTR(NAPTR::new(order, 0, bytes("s"), bytes(service), bytes(""), replacement))
}

fn a(last: u8) -> RData {
    RData::A(A::new(192, 0, 2, last))
}

fn target(host: &str) -> Target {
    Target::new(host, None, None, Scheme::Sip)
}

fn found(transport: Transport, address: &str) -> Candidate {
    Candidate { transport, address: address.parse::<SocketAddr>().unwrap() }
}

const BOTH: [Transport; 2] = [Transport::Udp, Transport::Tcp];

#[tokio::test] // RFC 3263 §4.1, §4.2
async fn naptr_leads_to_srv_and_srv_to_addresses() {
    let zone = vec![
        ("pbx.example.com.", naptr_record(10, "SIP+D2T", "_sip._tcp.pbx.example.com.")),
        ("pbx.example.com.", naptr_record(20, "SIP+D2U", "_sip._udp.pbx.example.com.")),
        ("_sip._tcp.pbx.example.com.", srv_record(20, 5070, "b.example.com.")),
        ("_sip._tcp.pbx.example.com.", srv_record(10, 5060, "a.example.com.")),
        ("a.example.com.", a(1)),
        ("b.example.com.", a(2)),
    ];
    let resolver = name_server(zone, &[]).await;
    let resolution = resolver.resolve(&target("PBX.example.com"), &BOTH).await.unwrap();
    let expected = [found(Transport::Tcp, "192.0.2.1:5060"), found(Transport::Tcp, "192.0.2.2:5070")];
    assert_eq!(resolution.candidates, expected);
    assert!(resolution.valid_for <= Duration::from_secs(300));
}

#[tokio::test] // RFC 3263 §4.2: without SRV records the address of the name itself.
async fn a_name_with_an_address_only_is_used_at_the_default_port() {
    let resolver = name_server(vec![("pbx.example.com.", a(7))], &[]).await;
    let resolution = resolver.resolve(&target("pbx.example.com"), &BOTH).await.unwrap();
    assert_eq!(resolution.candidates, [found(Transport::Udp, "192.0.2.7:5060")]);
    assert!(resolution.valid_for <= NEGATIVE, "records may be added");
}

#[tokio::test]
async fn an_address_needs_no_name_server() {
    let resolver = name_server(Vec::new(), &[]).await;
    let target = Target::new("192.0.2.9", Some(5080), Some(Transport::Tcp), Scheme::Sip);
    let resolution = resolver.resolve(&target, &BOTH).await.unwrap();
    assert_eq!(resolution.candidates, [found(Transport::Tcp, "192.0.2.9:5080")]);
    assert_eq!(resolution.valid_for, LONGEST);
}

#[tokio::test]
async fn a_name_that_is_not_there_and_servers_that_fail_are_told_apart() {
    let resolver = name_server(Vec::new(), &["down.example.com."]).await;
    assert_eq!(resolver.resolve(&target("no.example.com"), &BOTH).await, Err(ResolveError::NotThere));
    let down = resolver.resolve(&target("down.example.com"), &BOTH).await;
    assert!(matches!(down, Err(ResolveError::NotAnswered(_))), "{down:?}");
}

#[tokio::test] // Else a hiccup of the name server would send calls to the domain's web server.
async fn an_address_does_not_stand_in_for_srv_records_that_were_not_answered() {
    let zone = vec![("pbx.example.com.", a(7))];
    let resolver = name_server(zone, &["_sip._udp.pbx.example.com."]).await;
    let result = resolver.resolve(&target("pbx.example.com"), &BOTH).await;
    assert!(matches!(result, Err(ResolveError::NotAnswered(_))), "{result:?}");
}

/// Gives the prepared results one after the other.
struct Script(Mutex<Vec<Result<Resolution, ResolveError>>>);

impl Resolver for Script {
    fn resolve<'a>(
        &'a self,
        _target: &'a Target,
        _supported: &'a [Transport],
    ) -> BoxFuture<'a, Result<Resolution, ResolveError>> {
        let next = self.0.lock().unwrap().pop();
        Box::pin(async move {
            match next {
                Some(result) => result,
                None => std::future::pending().await,
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_found_stays_until_something_else_is_found() {
    let one = vec![found(Transport::Udp, "192.0.2.1:5060")];
    let two = vec![found(Transport::Udp, "192.0.2.2:5060")];
    let ok = |candidates: &Vec<Candidate>| {
        Ok(Resolution { candidates: candidates.clone(), valid_for: Duration::from_secs(30) })
    };
    let mut results = vec![
        Err(ResolveError::NotThere),
        ok(&one),
        ok(&one),
        Err(ResolveError::NotThere),
        ok(&one),
        ok(&two),
    ];
    results.reverse();
    let (sender, mut reports) = mpsc::unbounded_channel();
    let script = Arc::new(Script(Mutex::new(results)));
    tokio::spawn(keep_resolved(script, target("pbx.example.com"), BOTH.to_vec(), move |list| {
        let _ = sender.send(list.to_vec());
    }));
    assert_eq!(reports.recv().await.unwrap(), one);
    assert_eq!(reports.recv().await.unwrap(), two);
}
