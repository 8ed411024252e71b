//! The table as a whole: its order, its memory, what its transactions hold.

use std::time::Duration;

use sip_core::message::Message;
use sip_core::time::Instant;
use sip_core::transaction::{
    Output, Received, Reliability, Replies, Response, ServerKey, Timing, Transactions, cost,
};

use crate::messages::{Request, options, response};
use crate::trace::{KEY, T1, Trace};

type Table = Transactions<u32, u32>;

#[test]
fn a_place_that_became_free_is_used_again() {
    let mut t = Trace::tcp();
    let mut keys = Vec::new();
    for number in 0..1_000 {
        let request = numbered("OPTIONS", number, None);
        t.receives(&request).tu_replies(&response(&request, 200)).sends(&response(&request, 200)).is_over();
        assert!(t.table.respond(&t.server(), response(&request, 200), t.now).is_err());
        keys.push(t.server());
    }
    t.receives(&options());
    for old in keys {
        assert_ne!(old, t.server());
        assert!(t.table.respond(&old, response(&options(), 200), t.now).is_err());
        assert_eq!(t.table.peer(&old), None);
    }
    t.is_alive();
}

#[test]
fn what_is_to_be_done_comes_out_in_the_order_it_arose() {
    let mut table: Table = Transactions::new(Timing::default(), KEY);
    let mut expected = Vec::new();
    for number in 0..5 {
        let request = numbered("OPTIONS", number, None);
        table.request(request.clone(), number, Reliability::Unreliable, number, (), Instant::START).unwrap();
        expected.push((number, request.bytes().clone()));
    }
    assert_eq!(sends(&mut table), expected);
    for number in 0..5 {
        // Started at different times, they fall due at different times.
        let request = numbered("INFO", number, None);
        let at = Instant::START + Duration::from_millis(u64::from(number));
        table.request(request, number, Reliability::Unreliable, number, (), at).unwrap();
    }
    sends(&mut table);
    table.handle_timeout(Instant::START + T1 + Duration::from_millis(10));
    let repeated: Vec<u32> = sends(&mut table).into_iter().map(|(to, _)| to).collect();
    // The OPTIONS fell due together, one INFO among them; the other INFOs one by one.
    assert_eq!(repeated.len(), 10);
    assert_eq!(repeated.get(6..), Some(&[1, 2, 3, 4][..]));
}

#[test]
fn an_answer_goes_to_the_first_sender_whoever_repeats_the_request() {
    let mut table: Table = Transactions::new(Timing::default(), KEY);
    let request = numbered("OPTIONS", 1, None);
    let key = let_in(&mut table, &request, 1, Reliability::Unreliable);
    table.respond(&key, response(&request, 200), Instant::START).unwrap();
    assert_eq!(table.receive_request(&request, Instant::START), Received::Absorbed);
    let receivers: Vec<u32> = sends(&mut table).into_iter().map(|(to, _)| to).collect();
    assert_eq!(receivers, [1, 1]);
    assert_eq!(table.peer(&key), Some(&1));
}

#[test] // RFC 3261 §18.4, §17.1.4
fn a_failed_destination_ends_the_requests_to_it_and_no_others() {
    let mut table: Table = Transactions::new(Timing::default(), KEY);
    for number in 0..9 {
        let request = numbered("OPTIONS", number, None);
        table.request(request, number % 3, Reliability::Reliable, number, (), Instant::START).unwrap();
        let request = numbered("INFO", number, None);
        let_in(&mut table, &request, number % 3, Reliability::Reliable);
    }
    sends(&mut table);
    table.destination_failed(&1, Replies::MayGoElsewhere);
    let mut failed = Vec::new();
    while let Some(output) = table.poll_output() {
        match output {
            Output::TransportError { user, .. } => failed.push(user),
            other => panic!("unexpected {other:?}"),
        }
    }
    failed.sort_unstable();
    assert_eq!(failed, [1, 4, 7]);
    assert_eq!(table.len(), 15);
    table.destination_failed(&1, Replies::Lost);
    assert!(table.poll_output().is_none());
    assert_eq!(table.len(), 12, "the three that came from there");
    table.destination_failed(&9, Replies::Lost);
    assert_eq!(table.len(), 12, "nobody was there");
}

#[test]
fn a_transaction_holds_its_permit_as_long_as_it_lives() {
    let mut table: Transactions<u32, u32, std::sync::Arc<()>> = Transactions::new(Timing::default(), KEY);
    let permit = std::sync::Arc::new(());
    let held = || std::sync::Arc::strong_count(&permit) - 1;
    let over = Reliability::Reliable;
    for number in 0..4 {
        let (invite, now) = (numbered("INVITE", number, None), Instant::START);
        table.admit(&invite, number % 2, over, permit.clone(), now).unwrap();
        assert!(table.admit(&invite, number % 2, over, permit.clone(), now).is_err());
        table.request(invite, number % 2, over, number, permit.clone(), now).unwrap();
    }
    assert_eq!(held(), 8);
    table.destination_failed(&0, Replies::Lost);
    assert_eq!(held(), 4, "a closed connection frees what it held at once");
    while let Some(at) = table.poll_timeout() {
        table.handle_timeout(at);
    }
    assert_eq!(held(), 0);
}

#[test]
fn what_a_transaction_costs_grows_with_its_request() {
    let short = numbered("INVITE", 1, None);
    let long = Request { extra: "Subject: a rather long one\r\n", ..Request::new("INVITE") }.message();
    assert!(cost(&short) > short.bytes().len());
    assert_eq!(cost(&long) - cost(&short), long.bytes().len() - short.bytes().len());
}

#[test]
fn a_hundred_thousand_transactions_leave_nothing_behind() {
    const EACH: u32 = 12_500;
    let mut table: Table = Transactions::new(Timing::default(), KEY);
    let now = Instant::START;
    let (mut server, mut client) = (0, 0);
    for reliability in [Reliability::Reliable, Reliability::Unreliable] {
        for number in 0..EACH {
            let mark = if reliability == Reliability::Reliable { 0 } else { EACH } + number;
            for method in ["INVITE", "OPTIONS"] {
                let request = numbered(method, mark, None);
                server += receives_and_answers(&mut table, &request, reliability, number, now);
                client += asks_and_hears(&mut table, request, reliability, number, now);
            }
        }
    }
    assert_eq!((server, client), (4 * EACH, 4 * EACH));
    assert!(table.len() > 50_000, "{}", table.len());
    let mut last = now;
    while let Some(at) = table.poll_timeout() {
        assert!(at >= last);
        last = at;
        table.handle_timeout(at);
        while table.poll_output().is_some() {}
    }
    assert_eq!(table.len(), 0);
    assert_eq!(last, Instant::START + Timing::default().ringing_limit);
}

/// The transaction user says nothing, something provisional, yes or no, by turns.
fn receives_and_answers(
    table: &mut Table,
    request: &Message,
    reliability: Reliability,
    number: u32,
    now: Instant,
) -> u32 {
    assert_eq!(table.receive_request(request, now), Received::New);
    let key = table.admit(request, number, reliability, (), now).unwrap();
    if let Some(code) = answer(number) {
        table.respond(&key, response(request, code), now).unwrap();
    }
    sends(table);
    1
}

fn asks_and_hears(
    table: &mut Table,
    request: Message,
    reliability: Reliability,
    number: u32,
    now: Instant,
) -> u32 {
    table.request(request.clone(), number, reliability, number, (), now).unwrap();
    if let Some(code) = answer(number) {
        let response = table.receive_response(&response(&request, code), now);
        assert!(matches!(response, Response::ForTu { user, .. } if user == number));
    }
    sends(table);
    1
}

fn let_in(table: &mut Table, request: &Message, from: u32, reliability: Reliability) -> ServerKey {
    assert_eq!(table.receive_request(request, Instant::START), Received::New);
    table.admit(request, from, reliability, (), Instant::START).unwrap()
}

fn answer(number: u32) -> Option<u16> {
    [None, Some(180), Some(200), Some(486)].into_iter().cycle().nth(number as usize % 4).flatten()
}

fn sends(table: &mut Table) -> Vec<(u32, bytes::Bytes)> {
    let mut sent = Vec::new();
    while let Some(Output::Send { to, message, .. }) = table.poll_output() {
        sent.push((to, message.bytes().clone()));
    }
    sent
}

fn numbered(method: &'static str, number: u32, to_tag: Option<&'static str>) -> Message {
    Request { cseq: number, to_tag, ..Request::new(method) }.branch(format!("z9hG4bK-{number}")).message()
}
