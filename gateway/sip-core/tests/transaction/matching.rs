//! Which message belongs to which transaction: RFC 3261 §17.1.3, §17.2.3, §9.2, §8.2.2.2.

use sip_core::transaction::{Received, RequestError, Response, cancel_for};

use crate::messages::{Request, ack, cancel, invite, options, response};
use crate::trace::Trace;

#[test] // §17.2.3 rule 2
fn the_same_branch_of_another_sender_is_another_transaction() {
    let other = Request { sent_by: "pc33.atlanta.example:5062", call_id: "other", ..Request::new("OPTIONS") };
    let mut t = Trace::udp();
    t.receives(&options()).receives(&other.message());
    assert_eq!(t.table.len(), 2);
}

#[test] // §7.3.1: host names and parameters are compared without case
fn a_proxy_that_changes_the_case_changes_nothing() {
    let same = Request { sent_by: "PC33.Atlanta.EXAMPLE", ..Request::new("OPTIONS") }.branch("Z9HG4BKX1");
    let mut t = Trace::udp();
    t.receives(&options()).receives_as(&same.message(), Received::Absorbed);
}

#[test] // §17.2.3 rule 3
fn the_same_branch_of_another_method_is_another_transaction() {
    let mut t = Trace::udp();
    t.receives(&options())
        .receives(&Request::new("INFO").message())
        .receives(&Request::new("info").message());
    assert_eq!(t.table.len(), 3);
}

#[test] // §17.2.3: no magic cookie; RFC 4475 §3.2.1: nothing behind it
fn without_a_branch_of_its_own_the_request_itself_is_the_name() {
    for branch in ["1", "z9hG4bK", "z9hG"] {
        let old = Request::new("OPTIONS").branch(branch);
        let mut t = Trace::udp();
        t.receives(&old.message()).receives_as(&old.message(), Received::Absorbed);
        for different in [
            Request { call_id: "other", ..old.clone() },
            Request { cseq: 314_160, ..old.clone() },
            Request { from_tag: "other", ..old.clone() },
            Request { sent_by: "other.example", cseq: 314_161, ..old.clone() },
        ] {
            t.receives(&different.message());
        }
        let elsewhere = Request { uri: "sip:carol@192.0.2.4", ..old };
        t.receives_as(&elsewhere.message(), Received::Merged);
        assert_eq!(t.table.len(), 5);
    }
}

#[test] // §17.2.3: URI, From tag, Call-ID, CSeq number and Via of the INVITE, To tag of the response
fn an_old_style_ack_is_known_by_the_to_tag_it_repeats() {
    let invite = Request::new("INVITE").branch("1").message();
    let ack = Request { to_tag: Some("bob"), ..Request::new("ACK") }.branch("1");
    let mut t = Trace::tcp();
    t.receives(&invite).sends(&response(&invite, 100));
    t.tu_replies(&response(&invite, 486)).sends(&response(&invite, 486));
    t.receives_as(&Request { to_tag: Some("carol"), ..ack.clone() }.message(), Received::Ack);
    t.receives_as(&Request { uri: "sip:carol@192.0.2.4", ..ack.clone() }.message(), Received::Ack).is_alive();
    t.receives_as(&ack.message(), Received::AckAbsorbed).is_over();
}

#[test]
fn a_response_names_its_server_transaction_in_both_styles() {
    for branch in ["z9hG4bKx1", "1"] {
        let request = Request::new("OPTIONS").branch(branch).message();
        let mut t = Trace::tcp();
        t.receives(&request);
        assert_eq!(t.table.server_key(&request), Some(t.server()));
        assert_eq!(t.table.server_key(&response(&request, 200)), Some(t.server()));
        assert_eq!(t.table.server_key(&response(&options(), 200)).is_some(), branch == "z9hG4bKx1");
        t.tu_replies(&response(&request, 200)).sends(&response(&request, 200));
        assert_eq!(t.table.server_key(&response(&request, 200)), None);
    }
}

#[test] // a response has no Request-URI to tell two old-style transactions apart
fn the_later_of_two_old_style_transactions_keeps_the_name_of_their_responses() {
    let request = Request::new("OPTIONS").branch("1");
    let other = Request { uri: "sip:carol@192.0.2.4", ..request.clone() }.message();
    let request = request.message();
    let mut t = Trace::tcp();
    t.receives(&request);
    let first = t.server();
    t.receives_as(&other, Received::Merged).is_let_in(&other);
    let later = t.server();
    assert_eq!(t.table.server_key(&response(&request, 200)), Some(later));
    t.table.respond(&first, response(&request, 200), t.now).unwrap();
    t.sends(&response(&request, 200));
    assert_eq!(t.table.server_key(&response(&other, 200)), Some(later));
}

#[test] // §17.1.1.3 and §17.2.3: an ACK belongs to the transaction of its INVITE
fn an_ack_names_the_transaction_of_its_invite() {
    let mut t = Trace::udp();
    t.receives(&invite()).sends(&response(&invite(), 100));
    assert_eq!(t.table.server_key(&ack()), Some(t.server()));
}

#[test] // §13.2.2.4: the ACK of a 2xx has a branch of its own
fn an_ack_that_belongs_to_nothing_here_is_the_tus() {
    let mut t = Trace::udp();
    t.receives_as(&ack(), Received::Ack).is_over();
}

#[test] // §9.2
fn a_cancel_is_a_transaction_of_its_own_and_finds_its_invite() {
    let mut t = Trace::udp();
    t.receives(&invite()).sends(&response(&invite(), 100));
    let of_invite = t.server();
    t.receives_as(&cancel(), Received::Cancel { invite: Some(of_invite) }).is_let_in(&cancel());
    let key = t.server();
    assert_eq!(t.table.peer(&of_invite), t.table.peer(&key));
    t.table.respond(&key, response(&cancel(), 200), t.now).unwrap();
    t.sends(&response(&cancel(), 200)).receives_as(&cancel(), Received::Absorbed);
    t.repeats(&response(&cancel(), 200));
    t.table.respond(&of_invite, response(&invite(), 487), t.now).unwrap();
    t.sends(&response(&invite(), 487));
}

#[test] // §9.2: to be answered with 481
fn a_cancel_of_nothing_finds_nothing() {
    let mut t = Trace::udp();
    t.receives_as(&cancel(), Received::Cancel { invite: None }).is_over();
}

#[test] // §8.2.2.2
fn the_second_copy_of_a_forked_request_is_told_apart() {
    let mut t = Trace::udp();
    t.receives(&invite()).sends(&response(&invite(), 100));
    let copy = Request::new("INVITE").branch("z9hG4bKx2").message();
    t.receives_as(&copy, Received::Merged).receives_as(&copy, Received::Merged);
    // A CANCEL follows each copy; the one that was refused without a transaction has nothing to end.
    for (branch, invite) in [("z9hG4bKx1", Some(t.server())), ("z9hG4bKx2", None)] {
        t.receives_as(&Request::new("CANCEL").branch(branch).message(), Received::Cancel { invite });
    }
    assert_eq!(t.table.len(), 1);
}

#[test] // §8.2.2.2: as long as the first is alive, however the others end
fn a_third_copy_is_told_apart_when_the_second_is_over() {
    let mut t = Trace::tcp();
    t.receives(&options());
    for branch in ["z9hG4bKx2", "z9hG4bKx3"] {
        let copy = Request::new("OPTIONS").branch(branch).message();
        t.receives_as(&copy, Received::Merged).is_let_in(&copy);
        t.tu_replies(&response(&copy, 482)).sends(&response(&copy, 482));
    }
    assert_eq!(t.table.len(), 1);
}

#[test] // §8.2.2.2: only requests without a To tag, only while the first is alive
fn nothing_else_counts_as_a_copy() {
    let bye = |branch| Request { to_tag: Some("bob"), ..Request::new("BYE") }.branch(branch).message();
    let mut t = Trace::tcp();
    t.receives(&bye("z9hG4bKx1")).receives(&bye("z9hG4bKx2"));

    let mut t = Trace::tcp();
    t.receives(&options()).tu_replies(&response(&options(), 200)).sends(&response(&options(), 200)).is_over();
    t.receives(&Request::new("OPTIONS").branch("z9hG4bKx2").message());
}

#[test] // §17.1.3: branch and method of the CSeq
fn a_response_to_something_else_is_stray() {
    let mut t = Trace::udp();
    t.hears_as(&response(&options(), 200), Response::Stray);
    t.tu_asks(&options()).hears_as(&response(&Request::new("INFO").message(), 200), Response::Stray);
    t.hears_as(&response(&Request::new("OPTIONS").branch("z9hG4bKx2").message(), 200), Response::Stray);
    t.hears_as(&options(), Response::Stray).is_alive();
}

#[test]
fn a_branch_serves_one_request_of_each_method_at_a_time() {
    let mut t = Trace::udp();
    t.tu_asks(&invite());
    assert_eq!(t.asks(&invite()), Err(RequestError::BranchInUse));
    assert_eq!(t.table.client_key(&invite()), Some(t.client()));
    t.hears(&response(&invite(), 100)).tu_asks(&cancel_for(&invite()));
}

#[test]
fn an_ack_and_a_response_start_no_transaction() {
    let mut t = Trace::udp();
    assert_eq!(t.asks(&ack()), Err(RequestError::NoTransaction));
    assert_eq!(t.asks(&response(&invite(), 200)), Err(RequestError::NoTransaction));
    t.is_over();
}

#[test]
fn our_requests_and_those_of_peers_never_meet() {
    let mut t = Trace::udp();
    t.tu_asks(&options()).receives(&options());
    assert_eq!(t.table.len(), 2);
    t.hears(&response(&options(), 200));
}
