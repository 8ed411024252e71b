#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::HashSet;
use std::fs;
use std::net::SocketAddr;
use std::sync::Mutex;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::Record;
use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS};
use sip_core::routing::Transport;
use sip_core::routing::locate::{Candidate, Step};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, watch};

use super::*;

/// A name server on loopback, and a system that is told of it.
struct Lab {
    folder: TempDir,
    port: u16,
    zone: Arc<Mutex<Zone>>,
    resolver: SystemResolver,
}

/// What the name server says. Names that are nowhere in it do not exist.
#[derive(Default)]
struct Zone {
    records: Vec<Record>,
    /// It fails at these.
    broken: HashSet<Name>,
    /// It says these over TCP alone.
    long: HashSet<Name>,
    asked: Vec<String>,
}

impl Lab {
    async fn new(zone: Vec<(&str, RData)>) -> Self {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let records = zone.into_iter().map(|(owner, data)| Record::from_rdata(name(owner), 300, data));
        let zone = Arc::new(Mutex::new(Zone { records: records.collect(), ..Zone::default() }));
        let port = udp.local_addr().unwrap().port();
        tokio::spawn(serve_udp(udp, Arc::clone(&zone)));
        tokio::spawn(serve_tcp(tcp, Arc::clone(&zone)));
        let folder = TempDir::new().unwrap();
        let [resolv_conf, hosts] = ["resolv.conf", "hosts"].map(|file| folder.path().join(file));
        let resolver = SystemResolver::of(SystemFiles::new(resolv_conf, hosts, port), || 7 << 16);
        let lab = Self { folder, port, zone, resolver };
        lab.resolv_conf("");
        lab
    }

    /// With more lines than that of the name server.
    fn resolv_conf(&self, more: &str) {
        self.write("resolv.conf", &format!("nameserver 127.0.0.1\n{more}"));
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.folder.path().join(file), text).unwrap();
    }

    /// The name server fails at these.
    fn fails_at(&self, names: &[&str]) {
        self.zone.lock().unwrap().broken.extend(names.iter().map(|text| name(text)));
    }

    async fn resolve(&self, host: &str) -> Result<Resolution, ResolveError> {
        self.resolver.resolve(&target(host)).await
    }

    /// By a trunk that names its transport.
    async fn of_trunk(&self, host: &str) -> Result<Vec<String>, ResolveError> {
        let found = self.resolve(host).await?;
        Ok(found.servers.by_weight().iter().map(|to| to.address.to_string()).collect())
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.zone.lock().unwrap().asked)
    }
}

async fn serve_udp(socket: UdpSocket, zone: Arc<Mutex<Zone>>) {
    let mut buffer = [0; 4096];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        let answer = zone.lock().unwrap().answer(&buffer[..length], Way::Udp);
        socket.send_to(&answer, from).await.unwrap();
    }
}

async fn serve_tcp(listener: TcpListener, zone: Arc<Mutex<Zone>>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut question = vec![0; usize::from(stream.read_u16().await.unwrap())];
        stream.read_exact(&mut question).await.unwrap();
        let answer = zone.lock().unwrap().answer(&question, Way::Tcp);
        stream.write_u16(answer.len().try_into().unwrap()).await.unwrap();
        stream.write_all(&answer).await.unwrap();
    }
}

#[derive(PartialEq, Eq)]
enum Way {
    Udp,
    Tcp,
}

impl Zone {
    fn answer(&mut self, question: &[u8], way: Way) -> Vec<u8> {
        let question = Message::from_vec(question).unwrap();
        let asked = question.queries[0].clone();
        self.asked.push(format!("{} {}", asked.query_type(), text(asked.name())));
        let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
        let mut behind = asked.name().to_lowercase();
        loop {
            let of_name = |record: &&Record| record.name == behind;
            let found: Vec<Record> = self.records.iter().filter(of_name).cloned().collect();
            let wanted = found.iter().filter(|record| record.record_type() == asked.query_type());
            answer.answers.extend(wanted.cloned());
            let alias = found.iter().find_map(|record| match &record.data {
                RData::CNAME(target) => Some((record.clone(), target.0.clone())),
                _ => None,
            });
            if found.is_empty() {
                answer.metadata.response_code = ResponseCode::NXDomain;
            }
            match alias {
                Some((record, target)) => {
                    answer.answers.push(record);
                    behind = target;
                }
                None => break,
            }
        }
        if self.broken.contains(asked.name()) {
            answer.metadata.response_code = ResponseCode::ServFail;
            answer.answers.clear();
        }
        if self.long.contains(asked.name()) && way == Way::Udp {
            answer.metadata.truncation = true;
            answer.answers.clear();
        }
        answer.add_query(asked);
        answer.to_vec().unwrap()
    }
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn srv_record(priority: u16, port: u16, target: &str) -> RData {
    RData::SRV(SRV::new(priority, 0, port, name(target)))
}

fn alias(target: &str) -> RData {
    RData::CNAME(CNAME(name(target)))
}

fn a(last: u8) -> RData {
    RData::A(A::new(192, 0, 2, last))
}

fn target(host: &str) -> Target {
    Target::new(host, None, Transport::Udp)
}

fn found(transport: Transport, address: &str) -> Candidate {
    Candidate { transport, address: address.parse::<SocketAddr>().unwrap() }
}

#[tokio::test] // RFC 3263 §4.2
async fn srv_records_lead_to_addresses() {
    let zone = vec![
        ("_sip._udp.pbx.example.com.", srv_record(20, 5070, "b.example.com.")),
        ("_sip._udp.pbx.example.com.", srv_record(10, 5060, "a.example.com.")),
        ("a.example.com.", a(1)),
        ("b.example.com.", a(2)),
    ];
    let lab = Lab::new(zone).await;
    let resolution = lab.resolve("PBX.example.com").await.unwrap();
    let expected = [found(Transport::Udp, "192.0.2.1:5060"), found(Transport::Udp, "192.0.2.2:5070")];
    assert_eq!(resolution.servers.by_weight(), expected);
    assert_eq!(resolution.standing, Standing { completion: 0, step: Step::Service, extent: Extent::Whole });
    assert!(resolution.valid_for <= Duration::from_secs(300));
}

#[tokio::test] // RFC 3263 §4.2: without SRV records the address of the name itself.
async fn a_name_with_an_address_only_is_used_at_the_default_port() {
    let lab = Lab::new(vec![("pbx.example.com.", a(7))]).await;
    let resolution = lab.resolve("pbx.example.com").await.unwrap();
    assert_eq!(resolution.servers.by_weight(), [found(Transport::Udp, "192.0.2.7:5060")]);
    assert_eq!(resolution.standing.step, Step::Host);
    assert!(resolution.valid_for <= NEGATIVE, "records may be added");
}

#[tokio::test]
async fn an_address_needs_no_name_server() {
    let lab = Lab::new(Vec::new()).await;
    for text in ["", "# nothing\n"] {
        lab.write("resolv.conf", text);
        let target = Target::new("192.0.2.9", Some(5080), Transport::Tcp);
        let resolution = lab.resolver.resolve(&target).await.unwrap();
        assert_eq!(resolution.servers.by_weight(), [found(Transport::Tcp, "192.0.2.9:5080")]);
        assert_eq!(resolution.valid_for, LONGEST);
    }
    fs::remove_file(lab.folder.path().join("resolv.conf")).unwrap();
    assert!(lab.resolve("192.0.2.9").await.is_ok());
    assert_eq!(lab.asked(), [""; 0]);
}

#[tokio::test]
async fn a_name_that_is_not_there_and_servers_that_fail_are_told_apart() {
    let lab = Lab::new(Vec::new()).await;
    lab.fails_at(&["_sip._udp.down.example.com."]);
    assert_eq!(lab.resolve("no.example.com").await, Err(ResolveError::NotThere));
    let down = lab.resolve("down.example.com").await;
    assert!(matches!(down, Err(ResolveError::NotAnswered(_))), "{down:?}");
}

#[tokio::test] // Else a hiccup of the name server would send calls to the domain's web server.
async fn an_address_does_not_stand_in_for_records_that_were_not_answered() {
    let lab = Lab::new(vec![("pbx.example.com.", a(7))]).await;
    lab.fails_at(&["_sip._udp.pbx.example.com."]);
    let result = lab.resolve("pbx.example.com").await;
    assert!(matches!(result, Err(ResolveError::NotAnswered(_))), "{result:?}");
}

#[tokio::test] // RFC 1034 §3.6.2: each step may be an alias, and aliases of aliases
async fn records_behind_aliases_are_found() {
    let zone = vec![
        ("_sip._udp.pbx.example.com.", alias("_sip._udp.pbx.hub.example.")),
        ("pbx.example.net.", a(66)),
        ("_sip._udp.pbx.hub.example.", alias("_sip._udp.one.hub.example.")),
        ("_sip._udp.one.hub.example.", alias("_sip._udp.two.hub.example.")),
        ("_sip._udp.two.hub.example.", srv_record(10, 5070, "s1.hub.example.")),
        ("s1.hub.example.", alias("edge.hub.example.")),
        ("edge.hub.example.", a(1)),
        ("_sip._udp.pbx.example.net.", alias("_sip._udp.two.hub.example.")),
    ];
    let lab = Lab::new(zone).await;
    assert_eq!(lab.of_trunk("pbx.example.net").await.unwrap(), ["192.0.2.1:5070"]);
    let resolution = lab.resolve("pbx.example.com").await.unwrap();
    assert_eq!(resolution.servers.by_weight(), [found(Transport::Udp, "192.0.2.1:5070")]);
}

#[tokio::test]
async fn aliases_that_lead_nowhere_are_no_records() {
    let zone = vec![
        ("_sip._udp.pbx.example.com.", alias("gone.example.com.")),
        ("pbx.example.com.", a(7)),
        ("a.example.com.", alias("b.example.com.")),
    ];
    let lab = Lab::new(zone).await;
    assert_eq!(lab.of_trunk("pbx.example.com").await.unwrap(), ["192.0.2.7:5060"]);
    assert_eq!(lab.of_trunk("a.example.com").await, Err(ResolveError::NotThere));
}

#[test] // A server that does not ask others for us, as one whose upstream is misconfigured.
fn a_referral_is_no_answer() {
    let mut message = Message::response(1, hickory_proto::op::OpCode::Query);
    assert!(!dns::is_referral(&message), "there is nothing, and that is all");
    let data = RData::NS(NS(name("ns.example.com.")));
    message.authorities.push(Record::from_rdata(name("example.com."), 300, data));
    assert!(dns::is_referral(&message));
}

#[tokio::test] // RFC 7766 §5
async fn what_is_too_long_for_udp_is_asked_for_over_tcp() {
    let lab = Lab::new(vec![
        ("_sip._udp.pbx.example.com.", srv_record(10, 5070, "a.example.com.")),
        ("a.example.com.", a(1)),
    ])
    .await;
    lab.zone.lock().unwrap().long.insert(name("_sip._udp.pbx.example.com."));
    assert_eq!(lab.of_trunk("pbx.example.com").await.unwrap(), ["192.0.2.1:5070"]);
}

#[tokio::test] // RFC 2782; the search list of every Kubernetes pod, and a wildcard in one of its domains
async fn a_search_domain_never_completes_a_name_out_of_a_record() {
    let lab = Lab::new(vec![
        ("_sip._udp.pbx.example.com.", srv_record(10, 5070, "s1.example.com.")),
        ("_sip._udp.pbx.example.com.", srv_record(20, 5070, "s2.example.com.")),
        ("s2.example.com.", a(2)),
        ("s1.example.com.corp.test.", a(66)),
    ])
    .await;
    lab.resolv_conf("search corp.test\noptions ndots:5\n");
    assert_eq!(lab.of_trunk("pbx.example.com").await.unwrap(), ["192.0.2.2:5070"]);
    assert!(!lab.asked().iter().any(|asked| asked.contains("corp.test")));
}

#[tokio::test]
async fn a_configured_name_is_tried_as_it_stands_before_it_is_completed() {
    let lab = Lab::new(vec![
        ("pbx.example.com.", a(1)),
        ("pbx.example.com.corp.test.", a(66)),
        ("pbx.voice.corp.test.", a(3)),
        ("pbx.corp.test.", a(4)),
    ])
    .await;
    lab.resolv_conf("search corp.test\noptions ndots:5\n");
    assert_eq!(lab.of_trunk("pbx.example.com").await.unwrap(), ["192.0.2.1:5060"]);
    assert_eq!(lab.of_trunk("pbx.voice").await.unwrap(), ["192.0.2.3:5060"]);
    assert_eq!(lab.of_trunk("pbx").await.unwrap(), ["192.0.2.4:5060"]);
    assert_eq!(lab.of_trunk("pbx.voice.").await, Err(ResolveError::NotThere), "a final dot");
    lab.resolv_conf("search corp.test\n");
    assert_eq!(lab.of_trunk("pbx.voice").await, Err(ResolveError::NotThere), "as many dots as ndots");
}

#[tokio::test]
async fn a_name_that_was_not_answered_is_not_completed_unless_it_is_one_word() {
    let lab = Lab::new(vec![("pbx.voice.corp.test.", a(66)), ("pbx.corp.test.", a(4))]).await;
    lab.resolv_conf("search corp.test\noptions ndots:5\n");
    lab.fails_at(&["_sip._udp.pbx.voice.", "_sip._udp.pbx.", "pbx."]);
    let result = lab.of_trunk("pbx.voice").await;
    assert!(matches!(result, Err(ResolveError::NotAnswered(_))), "{result:?}");
    let of_one_word = lab.resolve("pbx").await.unwrap();
    assert_eq!(of_one_word.servers.by_weight(), [found(Transport::Udp, "192.0.2.4:5060")]);
    assert_eq!(of_one_word.standing.extent, Extent::Part);
    assert_eq!(of_one_word.valid_for, SHORTEST);
}

#[tokio::test] // as containers and Windows hosts are called, though RFC 1123 §2.1 knows no underscore
async fn names_with_underscores_are_found() {
    let lab =
        Lab::new(vec![("my_pbx.corp.test.", a(1)), ("_x.corp.test.", a(2)), ("pbx_.corp.test.", a(3))]).await;
    lab.resolv_conf("search corp.test\n");
    lab.write("hosts", "192.0.2.9 stack_pbx_1 other # stack_pbx_2\n");
    assert_eq!(lab.of_trunk("my_pbx.corp.test").await.unwrap(), ["192.0.2.1:5060"]);
    assert_eq!(lab.of_trunk("_x").await.unwrap(), ["192.0.2.2:5060"]);
    assert_eq!(lab.of_trunk("pbx_").await.unwrap(), ["192.0.2.3:5060"]);
    assert_eq!(lab.of_trunk("stack_pbx_1").await.unwrap(), ["192.0.2.9:5060"]);
}

#[tokio::test]
async fn changes_of_both_files_are_seen_by_the_next_look_up() {
    let lab = Lab::new(vec![("pbx.example.com.", a(1)), ("pbx.corp.test.", a(2))]).await;
    assert_eq!(lab.of_trunk("pbx").await, Err(ResolveError::NotThere));
    lab.resolv_conf("search example.com\n");
    assert_eq!(lab.of_trunk("pbx").await.unwrap(), ["192.0.2.1:5060"]);
    lab.resolv_conf("domain corp.test\n");
    assert_eq!(lab.of_trunk("pbx").await.unwrap(), ["192.0.2.2:5060"]);
    lab.write("hosts", "192.0.2.3 pbx.corp.test pbx\n2001:db8::3 PBX\n");
    assert_eq!(lab.of_trunk("pbx").await.unwrap(), ["192.0.2.3:5060", "[2001:db8::3]:5060"]);
    lab.write("hosts", "192.0.2.4 pbx.corp.test pbx\n");
    assert_eq!(lab.of_trunk("pbx").await.unwrap(), ["192.0.2.4:5060"]);
    lab.write("hosts", "");
    assert_eq!(lab.of_trunk("pbx").await.unwrap(), ["192.0.2.2:5060"]);
}

#[tokio::test] // resolv.conf(5): the next one is asked
async fn a_name_server_that_is_dead_or_fails_is_passed_over() {
    let lab = Lab::new(vec![("pbx.example.com.", a(1))]).await;
    // Takes questions and says nothing.
    let _silent = UdpSocket::bind(("127.0.0.2", lab.port)).await.unwrap();
    lab.write(
        "resolv.conf",
        "nameserver 127.0.0.2\nnameserver 127.0.0.3\nnameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
    );
    assert_eq!(lab.of_trunk("pbx.example.com").await.unwrap(), ["192.0.2.1:5060"]);

    let failing = UdpSocket::bind(("127.0.0.3", lab.port)).await.unwrap();
    let broken = Zone { broken: HashSet::from([name("pbx.example.com.")]), ..Zone::default() };
    tokio::spawn(serve_udp(failing, Arc::new(Mutex::new(broken))));
    lab.write("resolv.conf", "nameserver 127.0.0.3\nnameserver 127.0.0.1\n");
    let target = Target::new("pbx.example.com", Some(5060), Transport::Udp);
    assert!(lab.resolver.resolve(&target).await.is_ok());
}

#[test] // resolv.conf(5)
fn the_options_of_resolv_conf_are_respected() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("resolv.conf");
    let read = |text: &str| {
        fs::write(&file, text).unwrap();
        SystemFiles::new(&file, folder.path().join("none"), 53).current()
    };
    let system = read("nameserver 192.0.2.53\noptions timeout:3 attempts:4 ndots:2 edns0 use-vc\n");
    assert_eq!((system.timeout, system.attempts, system.ndots), (Duration::from_secs(3), 4, 2));
    assert_eq!((system.edns, system.way), (system::Edns::Told, system::Way::TcpOnly));
    let system = read("search a b\n");
    assert_eq!((system.timeout, system.attempts, system.ndots), (Duration::from_secs(5), 2, 1));
    assert_eq!((system.edns, system.way), (system::Edns::NotTold, system::Way::UdpFirst));
    assert_eq!(system.servers[0], "127.0.0.1:53".parse().unwrap(), "the local machine by default");
    assert_eq!(system.search, ["a", "b"]);
    let system = read("options timeout:4000000000 attempts:9 ndots:99\n");
    assert_eq!((system.timeout, system.attempts, system.ndots), (Duration::from_secs(30), 5, 15));
    assert_eq!(read("options timeout:0 attempts:0\n").attempts, 1);
    assert_eq!(system.host("localhost").unwrap().len(), 2, "RFC 6761 §6.3: never asked for");
}

#[tokio::test]
async fn a_name_in_the_hosts_file_needs_no_name_server() {
    let lab =
        Lab::new(vec![("_sip._udp.pbx.", srv_record(1, 5070, "s.example.com.")), ("s.example.com.", a(2))])
            .await;
    lab.write("hosts", "192.0.2.1 pbx\n");
    assert_eq!(lab.of_trunk("pbx").await.unwrap(), ["192.0.2.2:5070"], "its services are the zone's");
    lab.fails_at(&["_sip._udp.pbx."]);
    assert_eq!(lab.of_trunk("pbx").await.unwrap(), ["192.0.2.1:5060"]);
}

#[tokio::test]
async fn a_family_that_is_not_answered_leaves_the_other() {
    let six = "2001:db8::1".parse().unwrap();
    let lab = Lab::new(vec![
        ("six.example.com.", RData::AAAA(AAAA(six))),
        ("both.example.com.", a(1)),
        ("both.example.com.", RData::AAAA(AAAA(six))),
    ])
    .await;
    assert_eq!(lab.of_trunk("six.example.com").await.unwrap(), ["[2001:db8::1]:5060"]);
    assert_eq!(lab.of_trunk("both.example.com").await.unwrap(), ["192.0.2.1:5060", "[2001:db8::1]:5060"]);
}

/// Gives the prepared results one after the other.
struct Script(Mutex<Vec<Result<Resolution, ResolveError>>>);

impl Resolver for Script {
    fn resolve<'a>(&'a self, _target: &'a Target) -> BoxFuture<'a, Result<Resolution, ResolveError>> {
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
    let not_there = || Err(ResolveError::NotThere);
    let results =
        vec![not_there(), answer(1, BEST), answer(1, BEST), not_there(), answer(1, BEST), answer(2, BEST)];
    let (mut reports, _again) = kept(results);
    assert_eq!(reports.recv().await.unwrap(), at(1));
    assert_eq!(reports.recv().await.unwrap(), at(2));
}

#[tokio::test(start_paused = true)] // one NXDOMAIN for the SRV records, or for the name as it stands
async fn an_answer_that_stands_worse_is_believed_when_it_has_been_confirmed() {
    for worse in [
        Standing { completion: 1, ..BEST },
        Standing { step: Step::Host, ..BEST },
        Standing { extent: Extent::Part, ..BEST },
    ] {
        let mut results = vec![answer(1, BEST), answer(66, worse), answer(2, BEST)];
        results.extend((0..5).map(|_| answer(66, worse)));
        results.push(answer(3, BEST));
        let (mut reports, _again) = kept(results);
        for known in [1, 2, 3] {
            assert_eq!(reports.recv().await.unwrap(), at(known), "{worse:?}");
        }
        let mut results = vec![answer(1, BEST)];
        results.extend((0..6).map(|_| answer(4, worse)));
        results.push(answer(5, worse));
        results.push(answer(6, BEST));
        let (mut reports, _again) = kept(results);
        for known in [1, 4, 5, 6] {
            assert_eq!(reports.recv().await.unwrap(), at(known), "{worse:?}, and what is better at once");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn names_are_looked_up_at_once_when_it_is_asked_for() {
    let (mut reports, again) = kept(vec![answer(1, BEST), answer(2, BEST)]);
    assert_eq!(reports.recv().await.unwrap(), at(1));
    let before = tokio::time::Instant::now();
    again.send_replace(());
    assert_eq!(reports.recv().await.unwrap(), at(2));
    assert!(before.elapsed() < SHORTEST);
}

const BEST: Standing = Standing { completion: 0, step: Step::Service, extent: Extent::Whole };

fn at(last: u8) -> Vec<Candidate> {
    vec![found(Transport::Udp, &format!("192.0.2.{last}:5060"))]
}

fn answer(last: u8, standing: Standing) -> Result<Resolution, ResolveError> {
    Ok(Resolution { servers: Servers::of_host(at(last)), standing, valid_for: Duration::from_secs(30) })
}

/// What is reported while these are the results.
fn kept(
    mut results: Vec<Result<Resolution, ResolveError>>,
) -> (mpsc::UnboundedReceiver<Vec<Candidate>>, watch::Sender<()>) {
    results.reverse();
    let (sender, reports) = mpsc::unbounded_channel();
    let (again, asked) = watch::channel(());
    let script = Arc::new(Script(Mutex::new(results)));
    tokio::spawn(keep_resolved(script, target("pbx.example.com"), asked, move |servers| {
        let _ = sender.send(servers.by_weight());
    }));
    (reports, again)
}
