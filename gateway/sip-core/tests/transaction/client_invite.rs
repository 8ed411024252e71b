//! INVITE client transaction: RFC 3261 §17.1.1, figure 5; RFC 6026 §7.2.

use std::time::Duration;

use sip_core::message::Name;
use sip_core::transaction::{Attempt, Response, Timing, cancel_for};

use crate::messages::{Request, invite, response, response_of};
use crate::trace::{PATIENCE, T1, T2, Trace, text};

const D: Duration = PATIENCE;

#[test] // §17.1.1.2, timers A and B
fn an_unanswered_invite_is_repeated_at_doubling_intervals_until_the_timeout() {
    let mut t = Trace::udp();
    t.tu_asks(&invite());
    for times in [1, 2, 4, 8, 16, 32] {
        t.after(T1 * times).repeats(&invite());
    }
    t.after(T1).tells_timeout().is_over();
}

#[test] // §17.1.1.2: no timer A over a reliable transport
fn over_tcp_an_invite_is_sent_once() {
    let mut t = Trace::tcp();
    t.tu_asks(&invite()).after(PATIENCE).tells_timeout().is_over();
}

#[test] // §17.1.1.2
fn a_provisional_response_ends_the_repetitions() {
    let mut t = Trace::udp();
    t.tu_asks(&invite()).after(T1).repeats(&invite());
    t.hears(&response(&invite(), 100)).after(PATIENCE * 2).is_alive();
    t.hears(&response(&invite(), 180)).hears(&response(&invite(), 200)).is_alive();
}

#[test]
fn ringing_ends_some_day_and_each_provisional_response_puts_that_off() {
    let limit = Timing::default().ringing_limit;
    let mut t = Trace::udp();
    t.tu_asks(&invite()).hears(&response(&invite(), 180)).after(limit - T1).is_alive();
    t.hears(&response(&invite(), 180)).after(limit).tells_timeout().is_over();
}

#[test] // RFC 6026 §7.2, timer M
fn repeated_and_forked_2xx_reach_the_tu_for_64_t1() {
    for mut t in [Trace::udp(), Trace::tcp()] {
        t.tu_asks(&invite()).hears(&response(&invite(), 200)).after(T1);
        t.hears(&response(&invite(), 200)).hears(&response_of(&invite(), 200, "carol")).after(PATIENCE - T1);
        t.is_over().hears_as(&response(&invite(), 200), Response::Stray);
    }
}

#[test] // RFC 6026 §7.2: in Accepted only a 2xx is of interest
fn after_a_2xx_other_responses_are_absorbed() {
    let mut t = Trace::udp();
    t.tu_asks(&invite()).hears(&response(&invite(), 200));
    t.hears_as(&response_of(&invite(), 180, "carol"), Response::Absorbed);
    t.hears_as(&response_of(&invite(), 486, "carol"), Response::Absorbed).is_alive();
}

#[test] // §17.1.1.2, timer D
fn a_failure_is_acknowledged_as_often_as_it_comes() {
    for ringing in [false, true] {
        let mut t = Trace::udp();
        t.tu_asks(&invite());
        if ringing {
            t.hears(&response(&invite(), 180));
        }
        let (ack, attempt) = t.hears(&response(&invite(), 486)).sent();
        assert_eq!((ack.method().as_str(), attempt), ("ACK", Attempt::First));
        t.after(T1).hears_as(&response(&invite(), 486), Response::Absorbed).repeats(&ack);
        t.after(T2).hears_as(&response(&invite(), 486), Response::Absorbed).repeats(&ack);
        t.after(D - T1 - T2).is_over().hears_as(&response(&invite(), 486), Response::Stray);
    }
}

#[test] // §17.1.1.2: timer D is zero over a reliable transport
fn over_tcp_a_failure_ends_the_transaction_at_once() {
    let mut t = Trace::tcp();
    t.tu_asks(&invite()).hears(&response(&invite(), 404)).sent();
    t.is_over();
}

#[test] // §17.1.1.2
fn after_a_failure_other_responses_are_absorbed() {
    let mut t = Trace::udp();
    t.tu_asks(&invite()).hears(&response(&invite(), 503)).sent();
    t.hears_as(&response(&invite(), 180), Response::Absorbed);
    t.hears_as(&response(&invite(), 200), Response::Absorbed).is_alive();
}

#[test] // §17.1.1.3
fn the_ack_repeats_the_hop_of_the_invite_and_the_to_of_the_response() {
    let extra = "Via: SIP/2.0/UDP behind.example;branch=z9hG4bKbehind\r\nRoute: <sip:p1.example;lr>, \
                 <sip:p2.example;lr>\r\nRoute: <sip:p3.example;lr>\r\nRequire: foo\r\n";
    let invite = Request { extra, ..Request::new("INVITE") }.message();
    let mut t = Trace::udp();
    let (ack, _) = t.tu_asks(&invite).hears(&response(&invite, 486)).sent();
    assert_eq!(
        text(&ack),
        "ACK sip:bob@192.0.2.4 SIP/2.0\r\n\
         Via: SIP/2.0/UDP pc33.atlanta.example;branch=z9hG4bKx1\r\n\
         Route: <sip:p1.example;lr>, <sip:p2.example;lr>\r\n\
         Route: <sip:p3.example;lr>\r\n\
         Max-Forwards: 70\r\n\
         From: Alice <sip:alice@atlanta.example>;tag=1928301774\r\n\
         To: Bob <sip:bob@biloxi.example>;tag=bob\r\n\
         Call-ID: a84b4c76\r\n\
         CSeq: 314159 ACK\r\n\
         Content-Length: 0\r\n\r\n"
    );
}

#[test] // figure 5: transport error in Calling; §17.1.4
fn an_invite_that_cannot_be_sent_ends_at_once() {
    let mut t = Trace::udp();
    t.tu_asks(&invite()).fails_to_send().tells_transport_error().is_over();
}

#[test] // figure 5: transport error in Completed
fn an_ack_that_cannot_be_sent_ends_the_transaction() {
    let mut t = Trace::udp();
    t.tu_asks(&invite()).hears(&response(&invite(), 486)).sent();
    t.fails_to_send().tells_transport_error().is_over();
}

#[test] // figure 5: no transport error in Proceeding and Accepted, nothing is sent there
fn an_old_transport_error_does_not_end_what_was_answered() {
    let mut t = Trace::udp();
    t.tu_asks(&invite()).hears(&response(&invite(), 180)).fails_to_send().is_alive();
    t.hears(&response(&invite(), 200)).fails_to_send().is_alive();
}

#[test] // §18.2.2: a response may come by a new connection
fn a_lost_peer_ends_an_invite_only_when_it_never_answered() {
    let mut t = Trace::tcp();
    t.tu_asks(&invite()).loses_peer().tells_transport_error().is_over();

    let mut t = Trace::tcp();
    t.tu_asks(&invite()).hears(&response(&invite(), 180)).loses_peer().is_alive();
    t.hears(&response(&invite(), 200)).loses_peer().is_alive();
}

#[test] // §9.1
fn a_cancel_has_the_branch_and_the_sequence_number_of_its_invite() {
    let extra = "Route: <sip:p1.example;lr>\r\nRequire: foo\r\n";
    let cancel = cancel_for(&Request { extra, ..Request::new("INVITE") }.message());
    assert_eq!(
        text(&cancel),
        "CANCEL sip:bob@192.0.2.4 SIP/2.0\r\n\
         Via: SIP/2.0/UDP pc33.atlanta.example;branch=z9hG4bKx1\r\n\
         Route: <sip:p1.example;lr>\r\n\
         Max-Forwards: 70\r\n\
         From: Alice <sip:alice@atlanta.example>;tag=1928301774\r\n\
         To: Bob <sip:bob@biloxi.example>\r\n\
         Call-ID: a84b4c76\r\n\
         CSeq: 314159 CANCEL\r\n\
         Content-Length: 0\r\n\r\n"
    );
    assert_eq!(cancel.header(Name::Require), None);
}

#[test] // §9.1: both transactions end
fn a_cancelled_invite_ends_with_487() {
    let mut t = Trace::tcp();
    let cancel = cancel_for(&invite());
    t.tu_asks(&invite()).hears(&response(&invite(), 180)).tu_asks(&cancel);
    let of_cancel = t.table.client_key(&cancel).unwrap();
    t.hears_as(&response(&cancel, 200), Response::ForTu { key: of_cancel, user: "user" });
    t.hears(&response(&invite(), 487)).sent();
    t.is_over();
}

#[test] // §9.1: a 2xx crosses the CANCEL
fn a_2xx_that_crosses_the_cancel_reaches_the_tu() {
    let mut t = Trace::udp();
    t.tu_asks(&invite()).hears(&response(&invite(), 180)).tu_asks(&cancel_for(&invite()));
    t.hears(&response(&invite(), 200)).is_alive();
}

#[test] // §9.1: 64·T1 after the CANCEL the INVITE is considered cancelled
fn a_cancelled_invite_without_an_end_is_given_up_whatever_rings_on() {
    let mut t = Trace::tcp();
    let cancel = cancel_for(&invite());
    t.tu_asks(&invite()).hears(&response(&invite(), 180)).after(T2).tu_asks(&cancel);
    let of_cancel = t.table.client_key(&cancel).unwrap();
    t.hears_as(&response(&cancel, 200), Response::ForTu { key: of_cancel, user: "user" });
    t.after(T2).hears(&response(&invite(), 180)).after(PATIENCE - T2).tells_timeout().is_over();
}

#[test] // nobody has to be fetched to the phone for a re-INVITE
fn a_reinvite_without_an_end_is_given_up_64_t1_after_its_last_provisional_response() {
    let mut t = Trace::udp();
    let invite = Request { to_tag: Some("314"), ..Request::new("INVITE") }.message();
    t.tu_asks(&invite).hears(&response(&invite, 100)).after(T2).hears(&response(&invite, 183));
    t.after(PATIENCE - T1).is_alive();
    t.after(T1).tells_timeout().is_over();
}

#[test]
fn when_another_destination_is_tried_only_late_answers_count() {
    let mut t = Trace::udp();
    t.tu_asks(&invite()).after(T1).repeats(&invite());
    let key = t.client();
    t.table.stop_resending(&key);
    t.after(PATIENCE - T1 * 2).hears(&response(&invite(), 200)).is_alive();

    let mut t = Trace::udp();
    t.tu_asks(&invite());
    let key = t.client();
    t.table.stop_resending(&key);
    t.after(PATIENCE).tells_timeout().is_over();
}

#[test]
fn an_abandoned_invite_is_forgotten() {
    let mut t = Trace::udp();
    t.tu_asks(&invite());
    let key = t.client();
    t.table.abandon(&key);
    t.is_over().hears_as(&response(&invite(), 200), Response::Stray);
    t.table.abandon(&key);
    t.is_over();
}

#[test]
fn a_driver_that_was_held_up_repeats_once_and_not_once_for_each_missed_time() {
    let mut t = Trace::udp();
    t.tu_asks(&invite());
    t.now = t.now + Duration::from_secs(10);
    t.table.handle_timeout(t.now);
    t.repeats(&invite()).after(T1 * 2).repeats(&invite());
    t.now = t.now + Duration::from_secs(100);
    t.table.handle_timeout(t.now);
    t.tells_timeout().is_over();
}
