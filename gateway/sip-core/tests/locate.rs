//! Finding the servers of a configured name: RFC 3263 §4, RFC 2782.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use sip_core::routing::Transport::{self, Tcp, Tls, Udp};
use sip_core::routing::locate::{
    Answers, Candidate, MOST_CANDIDATES, Question, Srv, Step, Target, Tries, questions, servers,
};

#[test] // §4.2: a numeric host asks nothing
fn an_address_is_its_own_answer() {
    let zone = Zone::default();
    assert_eq!(zone.find("192.0.2.4", None, Udp), ["UDP 192.0.2.4:5060"]);
    assert_eq!(zone.find("192.0.2.4", Some(5080), Tcp), ["TCP 192.0.2.4:5080"]);
    assert_eq!(zone.find("192.0.2.4", None, Tls), ["TLS 192.0.2.4:5061"]);
    assert_eq!(zone.find("[2001:db8::1]", None, Tls), ["TLS [2001:db8::1]:5061"]);
    assert_eq!(zone.find("2001:db8::1", Some(5070), Udp), ["UDP [2001:db8::1]:5070"]);
    assert!(zone.asked("192.0.2.4", None, Udp).is_empty());
}

#[test] // §4.2: with a port, only addresses are asked for
fn a_port_leaves_no_srv_to_ask() {
    let zone = Zone::default().a("pbx.example.com", &["192.0.2.1", "2001:db8::1"]);
    assert_eq!(
        zone.find("PBX.example.com.", Some(5070), Udp),
        ["UDP 192.0.2.1:5070", "UDP [2001:db8::1]:5070"]
    );
    assert_eq!(zone.asked("pbx.example.com", Some(5070), Udp), ["A pbx.example.com"]);
    assert_eq!(zone.find("pbx.example.com", Some(5071), Tls).first().unwrap(), "TLS 192.0.2.1:5071");
}

#[test] // §4.1, §4.2: the transport is configured, so that no NAPTR is asked for
fn a_transport_asks_for_its_own_srv_records() {
    for (transport, service) in [(Udp, "_sip._udp"), (Tcp, "_sip._tcp"), (Tls, "_sips._tcp")] {
        let service = format!("{service}.example.com");
        let zone = Zone::default().srv(&service, &[(0, 0, 5062, "s1.example.com")]);
        let zone = zone.a("s1.example.com", &["192.0.2.1"]);
        assert_eq!(zone.find("example.com", None, transport), [format!("{transport} 192.0.2.1:5062")]);
        let asked = [format!("SRV {service}"), "A s1.example.com".to_owned()];
        assert_eq!(zone.asked("example.com", None, transport), asked);
    }
}

#[test] // §4.2
fn without_any_service_record_the_name_itself_is_the_server() {
    let zone = Zone::default().a("example.com", &["192.0.2.9"]);
    assert_eq!(zone.find("example.com", None, Udp), ["UDP 192.0.2.9:5060"]);
    assert_eq!(zone.find("example.com", None, Tcp), ["TCP 192.0.2.9:5060"]);
    assert_eq!(zone.find("example.com", None, Tls), ["TLS 192.0.2.9:5061"]);
}

#[test] // RFC 2782: a target of "."
fn a_service_that_is_said_not_to_exist_is_not_looked_for_elsewhere() {
    let zone =
        Zone::default().srv("_sip._udp.example.com", &[(0, 0, 0, ".")]).a("example.com", &["192.0.2.9"]);
    assert!(zone.find("example.com", None, Udp).is_empty());
}

#[test] // RFC 2782: "the domain name of the target host", complete with or without its dot
fn names_in_records_are_complete() {
    let zone = Zone::default()
        .srv("_sip._tcp.example.com", &[(0, 0, 5062, "S1.hub.example"), (1, 0, 5062, "s2.hub.example.")])
        .a("s1.hub.example", &["192.0.2.1"])
        .a("s2.hub.example", &["192.0.2.2"]);
    assert_eq!(
        zone.asked("example.com", None, Tcp),
        ["SRV _sip._tcp.example.com", "A s1.hub.example", "A s2.hub.example"]
    );
    assert_eq!(zone.find("example.com", None, Tcp), ["TCP 192.0.2.1:5062", "TCP 192.0.2.2:5062"]);
}

#[test] // resolv.conf(5), but as it stands first: a search domain never hides a name that is complete
fn a_short_name_is_completed_after_it_was_tried_as_it_stands() {
    assert_eq!(completions("pbx", 1), ["pbx", "pbx.corp.example", "pbx.example"]);
    assert_eq!(completions("PBX.Voice", 1), ["pbx.voice"]);
    assert_eq!(completions("pbx.voice", 2), ["pbx.voice", "pbx.voice.corp.example", "pbx.voice.example"]);
    assert_eq!(completions("my_pbx", 0), ["my_pbx"]);
}

#[test] // RFC 1034 §3.1: a final dot
fn an_absolute_name_and_an_address_are_never_completed() {
    for host in ["pbx.", "pbx.example.com.", "192.0.2.1", "[2001:db8::1]"] {
        let target = Target::new(host, None, Udp);
        assert_eq!(target.completions(&search(), 15).collect::<Vec<_>>(), [target]);
    }
    for target in Target::new("pbx", None, Udp).completions(&search(), 15) {
        assert_eq!(target.completions(&search(), 15).count(), 1, "{target:?} is complete");
    }
}

#[test]
fn it_is_known_by_which_step_servers_were_found() {
    let zone = Zone::servers(&[(0, 0, 1)]).a("example.com", &["192.0.2.9"]);
    let step = |port| {
        let target = Target::new("example.com", port, Udp);
        servers(&target, &zone.ask(&target).0).step()
    };
    assert_eq!(step(None), Step::Service);
    assert_eq!(step(Some(5060)), Step::Host);
    assert!(Step::Service < Step::Host, "the better is the lesser");
}

#[test] // RFC 2782: priority first
fn lower_priorities_wait_until_the_higher_ones_failed() {
    let zone = Zone::servers(&[(20, 100, 1), (10, 1, 2), (30, 0, 3), (10, 1, 4)]);
    for random in [0, u32::MAX / 2, u32::MAX] {
        let found = zone.find_by("example.com", None, Udp, || random);
        let mut first = vec![found[0].clone(), found[1].clone()];
        first.sort();
        assert_eq!(first, ["UDP 192.0.2.2:5060", "UDP 192.0.2.4:5060"]);
        assert_eq!(found.get(2..).unwrap(), ["UDP 192.0.2.1:5060", "UDP 192.0.2.3:5060"]);
    }
}

#[test] // RFC 2782: "proportional to its weight"
fn weights_are_shares() {
    let zone = Zone::servers(&[(0, 60, 1), (0, 30, 2), (0, 10, 3), (0, 0, 4)]);
    let mut first: BTreeMap<String, u32> = BTreeMap::new();
    for step in 0..1_000_u32 {
        let random = u32::MAX / 1_000 * step;
        let found = zone.find_by("example.com", None, Udp, || random);
        assert_eq!(found.len(), 4);
        *first.entry(found[0].clone()).or_insert(0) += 1;
    }
    // Numbers from 0 to 100: 0 is the one of weight 0, 1 to 60 the first, and so on.
    let of = |last: u8| first.get(&format!("UDP 192.0.2.{last}:5060")).copied().unwrap_or(0);
    assert!(of(1).abs_diff(594) < 12 && of(2).abs_diff(297) < 12, "{first:?}");
    assert!(of(3).abs_diff(99) < 12 && (1..=12).contains(&of(4)), "{first:?}");
}

#[test] // RFC 3263 §4.2: drawn for each call out of what was looked up once
fn each_call_draws_anew() {
    let zone = Zone::servers(&[(0, 50, 1), (0, 50, 2), (1, 0, 3)]);
    let target = Target::new("example.com", None, Udp);
    let found = servers(&target, &zone.ask(&target).0);
    let of = |random: u32| found.draw(|| random).iter().map(|to| to.address.to_string()).collect::<Vec<_>>();
    assert_eq!(of(0), ["192.0.2.1:5060", "192.0.2.2:5060", "192.0.2.3:5060"]);
    assert_eq!(of(u32::MAX), ["192.0.2.2:5060", "192.0.2.1:5060", "192.0.2.3:5060"]);
    assert_eq!(found.by_weight().len(), 3);
}

#[test]
fn an_address_is_tried_once_and_the_list_is_bounded() {
    let many: Vec<(u16, u16, u8)> = (0..200).map(|number| (0, 0, number)).collect();
    let zone = Zone::servers(&many);
    assert_eq!(zone.find("example.com", None, Udp).len(), MOST_CANDIDATES);
    let zone = Zone::servers(&[(0, 0, 7), (1, 0, 7)]);
    assert_eq!(zone.find("example.com", None, Udp), ["UDP 192.0.2.7:5060"]);
}

#[test] // §4.3
fn tries_go_on_to_the_next_and_leave_the_bad_ones_for_last() {
    let to =
        |last: u8| Candidate { transport: Udp, address: format!("192.0.2.{last}:5060").parse().unwrap() };
    let mut tries = Tries::new(vec![to(1), to(2), to(3)]);
    let is_bad = |candidate: &Candidate| *candidate == to(1);
    assert_eq!(tries.next(is_bad), Some(to(2)));
    assert_eq!(tries.next(is_bad), Some(to(3)));
    assert_eq!(tries.next(is_bad), Some(to(1)));
    assert_eq!(tries.next(is_bad), None);
}

fn search() -> [String; 2] {
    ["corp.example".to_owned(), "example.".to_owned()]
}

fn completions(host: &str, ndots: usize) -> Vec<String> {
    let target = Target::new(host, None, Udp);
    target.completions(&search(), ndots).map(|target| target.name().unwrap().to_owned()).collect()
}

/// What a name server knows.
#[derive(Default)]
struct Zone {
    answers: BTreeMap<Question, Records>,
}

#[derive(Clone)]
enum Records {
    Srv(Vec<Srv>),
    Addresses(Vec<std::net::IpAddr>),
}

impl Zone {
    /// SRV records of `_sip._udp.example.com`: priority, weight and the last octet of the address.
    fn servers(records: &[(u16, u16, u8)]) -> Self {
        let names: Vec<String> = records.iter().map(|(.., last)| format!("s{last}.example.com")).collect();
        let rows: Vec<_> = records
            .iter()
            .zip(&names)
            .map(|((priority, weight, _), name)| (*priority, *weight, 5060, name.as_str()))
            .collect();
        let zone = Self::default().srv("_sip._udp.example.com", &rows);
        records
            .iter()
            .zip(&names)
            .fold(zone, |zone, ((.., last), name)| zone.a(name, &[&format!("192.0.2.{last}")]))
    }

    fn srv(mut self, name: &str, rows: &[(u16, u16, u16, &str)]) -> Self {
        let records = rows.iter().map(|(priority, weight, port, target)| Srv {
            priority: *priority,
            weight: *weight,
            port: *port,
            target: (*target).to_owned(),
        });
        self.answers.insert(Question::Srv(name.to_owned()), Records::Srv(records.collect()));
        self
    }

    fn a(mut self, name: &str, addresses: &[&str]) -> Self {
        let records = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.answers.insert(Question::Addresses(name.to_owned()), Records::Addresses(records));
        self
    }

    fn find(&self, host: &str, port: Option<u16>, transport: Transport) -> Vec<String> {
        self.find_by(host, port, transport, || 0)
    }

    fn find_by(
        &self,
        host: &str,
        port: Option<u16>,
        transport: Transport,
        random: impl FnMut() -> u32,
    ) -> Vec<String> {
        let target = Target::new(host, port, transport);
        let (answers, _) = self.ask(&target);
        let found = servers(&target, &answers).draw(random);
        found.iter().map(|candidate| format!("{} {}", candidate.transport, candidate.address)).collect()
    }

    /// The questions in the order they were asked.
    fn asked(&self, host: &str, port: Option<u16>, transport: Transport) -> Vec<String> {
        let (_, asked) = self.ask(&Target::new(host, port, transport));
        asked
    }

    fn ask(&self, target: &Target) -> (Answers, Vec<String>) {
        let (mut answers, mut asked) = (Answers::default(), Vec::new());
        for round in 0.. {
            assert!(round <= 2, "each answer leads to new questions twice at most");
            let open = questions(target, &answers);
            if open.is_empty() {
                break;
            }
            for question in open {
                let records = self.answers.get(&question).cloned();
                match (question, records) {
                    (Question::Srv(name), records) => {
                        asked.push(format!("SRV {name}"));
                        let records =
                            if let Some(Records::Srv(records)) = records { records } else { Vec::new() };
                        answers.srv(name, records);
                    }
                    (Question::Addresses(name), records) => {
                        asked.push(format!("A {name}"));
                        let records = if let Some(Records::Addresses(records)) = records {
                            records
                        } else {
                            Vec::new()
                        };
                        answers.addresses(name, records);
                    }
                }
            }
        }
        (answers, asked)
    }
}
