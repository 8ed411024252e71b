//! Non-INVITE server transaction: RFC 3261 §17.2.2, figure 8.

use sip_core::transaction::{Gone, Received};

use crate::messages::{options, response};
use crate::trace::{PATIENCE, T1, T2, Trace};

#[test] // §17.2.2: in Trying, a retransmission is discarded
fn a_repeated_request_without_an_answer_yet_is_swallowed() {
    let mut t = Trace::udp();
    t.receives(&options()).is_alive().receives_as(&options(), Received::Absorbed).is_alive();
}

#[test] // §17.2.2: Proceeding
fn a_repeated_request_gets_the_last_provisional_response_again() {
    let mut t = Trace::udp();
    t.receives(&options());
    for code in [100, 183] {
        t.tu_replies(&response(&options(), code)).sends(&response(&options(), code));
        t.receives_as(&options(), Received::Absorbed).repeats(&response(&options(), code));
    }
}

#[test] // §17.2.2, timer J
fn a_repeated_request_gets_the_final_response_again_for_64_t1() {
    for provisional in [false, true] {
        let mut t = Trace::udp();
        t.receives(&options());
        if provisional {
            t.tu_replies(&response(&options(), 100)).sends(&response(&options(), 100));
        }
        t.tu_replies(&response(&options(), 200)).sends(&response(&options(), 200)).after(PATIENCE - T1);
        t.receives_as(&options(), Received::Absorbed).repeats(&response(&options(), 200));
        t.after(T1).is_over();
        t.receives_as(&options(), Received::New);
    }
}

#[test] // §17.2.2: timer J is zero over a reliable transport
fn over_tcp_the_final_response_ends_the_transaction_at_once() {
    let mut t = Trace::tcp();
    t.receives(&options()).tu_replies(&response(&options(), 200)).sends(&response(&options(), 200)).is_over();
}

#[test] // §17.2.2: "Any other final responses passed by the TU … MUST be discarded"
fn a_second_final_response_is_discarded() {
    let mut t = Trace::udp();
    t.receives(&options()).tu_replies(&response(&options(), 200)).sends(&response(&options(), 200));
    t.tu_replies(&response(&options(), 500)).tu_replies(&response(&options(), 100)).is_alive();
    t.receives_as(&options(), Received::Absorbed).repeats(&response(&options(), 200));
}

#[test] // RFC 4320 §4.2: the client has given up by then
fn a_request_that_the_tu_forgot_does_not_stay_for_ever() {
    for provisional in [false, true] {
        let mut t = Trace::udp();
        t.receives(&options()).after(T2);
        if provisional {
            t.tu_replies(&response(&options(), 100)).sends(&response(&options(), 100));
        }
        t.after(PATIENCE - T2).tells_gone(Gone::NoReply).is_over();
    }
}

#[test] // RFC 6026 on RFC 3261 §17.2.4
fn a_response_that_cannot_be_sent_is_told_to_the_tu_and_changes_nothing() {
    let mut t = Trace::udp();
    t.receives(&options()).tu_replies(&response(&options(), 200)).sends(&response(&options(), 200));
    t.fails_to_send().tells_unreachable().is_alive();
    t.receives_as(&options(), Received::Absorbed).repeats(&response(&options(), 200));
}
