//! INVITE server transaction: RFC 3261 §17.2.1, figure 7; RFC 6026 §7.1.

use std::time::Duration;

use sip_core::transaction::{Gone, Received, Reliability, Replies, Timing, Trying};

use crate::messages::{ack, cancel, invite, response};
use crate::trace::{PATIENCE, T1, T2, T4, Trace};

const TRYING_DELAY: Duration = Duration::from_millis(200);

#[test] // §17.2.1
fn an_invite_is_answered_with_100_at_once() {
    let mut t = Trace::udp();
    t.receives(&invite()).sends(&response(&invite(), 100)).is_alive();
}

#[test] // §17.2.1: "within 200 ms"
fn the_100_can_wait_for_the_tu() {
    let timing = Timing { trying: Trying::After(TRYING_DELAY), ..Timing::default() };

    let mut t = Trace::with(timing, Reliability::Unreliable);
    t.receives(&invite()).receives_as(&invite(), Received::Absorbed);
    t.after(TRYING_DELAY).sends(&response(&invite(), 100));
    t.receives_as(&invite(), Received::Absorbed).repeats(&response(&invite(), 100));

    let mut t = Trace::with(timing, Reliability::Unreliable);
    t.receives(&invite()).tu_replies(&response(&invite(), 180)).sends(&response(&invite(), 180));
    t.after(TRYING_DELAY * 2).is_alive();
}

#[test] // §17.2.1
fn a_repeated_invite_gets_the_last_provisional_response_again() {
    let mut t = ringing(Trace::udp());
    t.receives_as(&invite(), Received::Absorbed).repeats(&response(&invite(), 180));
    t.tu_replies(&response(&invite(), 183)).sends(&response(&invite(), 183));
    t.receives_as(&invite(), Received::Absorbed).repeats(&response(&invite(), 183));
}

#[test] // §17.2.1, timer G
fn a_lost_ack_makes_the_server_repeat_its_final_response() {
    let mut t = refused(Trace::udp());
    t.after(T1).repeats(&response(&invite(), 486));
    t.receives_as(&ack(), Received::AckAbsorbed).after(T4).is_over();
}

#[test] // §17.2.1, timers G and H
fn without_an_ack_the_failure_is_repeated_up_to_every_t2_until_h() {
    let mut t = refused(Trace::udp());
    for times in [1, 2, 4, 8, 8, 8, 8, 8, 8, 8] {
        t.after(T1 * times).repeats(&response(&invite(), 486));
    }
    t.after(T1).tells_gone(Gone::NoAck).is_over();
}

#[test] // §17.2.1: no timer G over a reliable transport, but H
fn over_tcp_the_failure_is_sent_once_and_the_ack_still_awaited() {
    let mut t = refused(Trace::tcp());
    t.after(PATIENCE).tells_gone(Gone::NoAck).is_over();
}

#[test] // §17.2.1
fn a_repeated_invite_gets_the_final_response_again() {
    let mut t = refused(Trace::udp());
    t.receives_as(&invite(), Received::Absorbed).repeats(&response(&invite(), 486)).is_alive();
}

#[test] // §17.2.1, timer I
fn repeated_acks_are_absorbed_for_t4() {
    let mut t = refused(Trace::udp());
    t.receives_as(&ack(), Received::AckAbsorbed).after(T1);
    t.receives_as(&ack(), Received::AckAbsorbed).receives_as(&invite(), Received::Absorbed);
    t.after(T4 - T1).is_over().receives_as(&ack(), Received::Ack);
}

#[test] // §17.2.1: timer I is zero over a reliable transport
fn over_tcp_the_ack_ends_the_transaction_at_once() {
    let mut t = refused(Trace::tcp());
    t.receives_as(&ack(), Received::AckAbsorbed).is_over();
}

#[test] // §17.2.1: "Any other final responses passed by the TU … MUST be discarded"
fn after_a_failure_the_tu_is_not_listened_to() {
    let mut t = refused(Trace::udp());
    t.tu_replies(&response(&invite(), 200)).tu_replies(&response(&invite(), 180)).is_alive();
    t.receives_as(&ack(), Received::AckAbsorbed).tu_replies(&response(&invite(), 200)).is_alive();
}

#[test] // RFC 6026 §7.1, timer L
fn after_a_2xx_repeated_invites_are_swallowed_for_64_t1() {
    for trace in [Trace::udp(), Trace::tcp()] {
        let mut t = accepted(trace);
        t.receives_as(&invite(), Received::Absorbed).after(PATIENCE - T1);
        t.receives_as(&invite(), Received::Absorbed).after(T1).is_over();
        t.receives_as(&invite(), Received::New);
    }
}

#[test] // RFC 6026 §7.1: the 2xx is the TU's to repeat
fn the_tu_repeats_its_2xx_through_the_transaction() {
    let mut t = accepted(Trace::udp());
    t.after(T1).tu_replies(&response(&invite(), 200)).sends(&response(&invite(), 200));
    t.after(T2).tu_replies(&response(&invite(), 200)).sends(&response(&invite(), 200));
    t.tu_replies(&response(&invite(), 486)).tu_replies(&response(&invite(), 180)).is_alive();
}

#[test] // RFC 6026 §7.1
fn the_ack_of_a_2xx_is_the_tus() {
    let mut t = accepted(Trace::udp());
    t.receives_as(&ack(), Received::Ack).receives_as(&ack(), Received::Ack).is_alive();
}

#[test]
fn an_ack_before_any_final_response_is_senseless() {
    let mut t = ringing(Trace::udp());
    t.receives_as(&ack(), Received::AckAbsorbed).is_alive();
}

#[test] // RFC 6026 on RFC 3261 §17.2.4: the TU is told and the state stays
fn a_response_that_cannot_be_sent_is_told_to_the_tu_and_changes_nothing() {
    let mut t = ringing(Trace::udp());
    t.fails_to_send().tells_unreachable().is_alive();
    t.receives_as(&invite(), Received::Absorbed).repeats(&response(&invite(), 180));

    let mut t = refused(Trace::udp());
    t.fails_to_send().tells_unreachable().after(T1).repeats(&response(&invite(), 486));

    let mut t = accepted(Trace::udp());
    t.fails_to_send().tells_unreachable().after(PATIENCE).is_over();
    t.fails_to_send().is_over();
}

#[test] // §18.2.2: the response may go to a new connection
fn a_lost_peer_leaves_server_transactions_alone_whose_replies_may_go_elsewhere() {
    let mut t = ringing(Trace::tcp());
    t.loses_peer().is_alive();
}

#[test] // a browser is reached by its connection alone
fn a_lost_peer_takes_its_server_transactions_along_whose_replies_can_not() {
    for begun in [ringing, refused, accepted] {
        let mut t = begun(Trace::tcp());
        t.loses_peer_and(Replies::Lost).is_over();
        t.receives_as(&ack(), Received::Ack).receives_as(&invite(), Received::New).is_over();
    }
}

#[test] // §8.2.7: who sent it is judged first, and a stranger gets his answer without a transaction
fn a_request_that_is_not_let_in_leaves_nothing_behind() {
    for mut t in [Trace::udp(), Trace::tcp()] {
        for _ in 0..3 {
            t.receives_as(&invite(), Received::New).is_over();
        }
        t.receives_as(&ack(), Received::Ack)
            .receives_as(&cancel(), Received::Cancel { invite: None })
            .is_over();
        assert!(t.table.admit(&ack(), "peer", Reliability::Reliable, (), t.now).is_err(), "an ACK has none");
    }
}

#[test]
fn a_repetition_that_is_let_in_first_is_the_only_one() {
    let mut t = Trace::udp();
    t.receives_as(&invite(), Received::New).receives(&invite()).sends(&response(&invite(), 100));
    assert!(t.table.admit(&invite(), "peer", Reliability::Unreliable, (), t.now).is_err());
    assert_eq!(t.table.len(), 1);
}

#[test]
fn an_invite_that_the_tu_forgot_does_not_stay_for_ever() {
    let limit = Timing::default().ringing_limit;
    let mut t = ringing(Trace::udp());
    t.after(limit - T1).tu_replies(&response(&invite(), 180)).sends(&response(&invite(), 180));
    t.after(limit).tells_gone(Gone::NoReply).is_over();
}

#[test]
fn an_answer_to_a_transaction_that_is_over_is_refused() {
    let mut t = refused(Trace::tcp());
    t.receives_as(&ack(), Received::AckAbsorbed).is_over();
    let key = t.server();
    assert!(t.table.respond(&key, response(&invite(), 200), t.now).is_err());
}

fn ringing(mut t: Trace) -> Trace {
    t.receives(&invite()).sends(&response(&invite(), 100));
    t.tu_replies(&response(&invite(), 180)).sends(&response(&invite(), 180));
    t
}

fn refused(t: Trace) -> Trace {
    let mut t = ringing(t);
    t.tu_replies(&response(&invite(), 486)).sends(&response(&invite(), 486));
    t
}

fn accepted(t: Trace) -> Trace {
    let mut t = ringing(t);
    t.tu_replies(&response(&invite(), 200)).sends(&response(&invite(), 200));
    t
}
