//! Non-INVITE client transaction: RFC 3261 §17.1.2, figure 6.

use sip_core::transaction::Response;

use crate::messages::{options, response};
use crate::trace::{PATIENCE, T1, T2, T4, Trace};

#[test] // §17.1.2.2, timers E and F
fn an_unanswered_request_is_repeated_at_intervals_up_to_t2_until_the_timeout() {
    let mut t = Trace::udp();
    t.tu_asks(&options());
    for times in [1, 2, 4, 8, 8, 8, 8, 8, 8, 8] {
        t.after(T1 * times).repeats(&options());
    }
    t.after(T1).tells_timeout().is_over();
}

#[test] // §17.1.2.2: no timer E over a reliable transport
fn over_tcp_a_request_is_sent_once() {
    let mut t = Trace::tcp();
    t.tu_asks(&options()).after(PATIENCE).tells_timeout().is_over();
}

#[test] // §17.1.2.2: in Proceeding, E is reset to T2
fn after_a_provisional_response_the_request_is_repeated_every_t2() {
    let mut t = Trace::udp();
    t.tu_asks(&options()).hears(&response(&options(), 100));
    t.after(T1).repeats(&options());
    for _ in 0..7 {
        t.after(T2).repeats(&options());
    }
    t.hears(&response(&options(), 100));
    t.after(PATIENCE - T1 - T2 * 7).tells_timeout().is_over();
}

#[test] // §17.1.2.2
fn over_tcp_a_provisional_response_does_not_put_the_timeout_off() {
    let mut t = Trace::tcp();
    t.tu_asks(&options()).after(T4).hears(&response(&options(), 100));
    t.after(PATIENCE - T4).tells_timeout().is_over();
}

#[test] // §17.1.2.2, timer K
fn repeated_final_responses_are_absorbed_for_t4() {
    for provisional in [false, true] {
        for code in [200, 302, 404, 503, 603] {
            let mut t = Trace::udp();
            t.tu_asks(&options());
            if provisional {
                t.hears(&response(&options(), 183));
            }
            t.hears(&response(&options(), code)).after(T1);
            t.hears_as(&response(&options(), code), Response::Absorbed);
            t.hears_as(&response(&options(), 100), Response::Absorbed).after(T4 - T1).is_over();
            t.hears_as(&response(&options(), code), Response::Stray);
        }
    }
}

#[test] // §17.1.2.2: timer K is zero over a reliable transport
fn over_tcp_a_final_response_ends_the_transaction_at_once() {
    let mut t = Trace::tcp();
    t.tu_asks(&options()).hears(&response(&options(), 200)).is_over();
}

#[test] // figure 6: transport error in Trying and Proceeding
fn a_request_that_cannot_be_sent_ends_at_once() {
    for provisional in [false, true] {
        for lost in [false, true] {
            let mut t = Trace::udp();
            t.tu_asks(&options());
            if provisional {
                t.hears(&response(&options(), 100));
            }
            if lost {
                t.loses_peer()
            } else {
                t.fails_to_send()
            };
            t.tells_transport_error().is_over();
        }
    }
}

#[test] // figure 6: none in Completed
fn a_transport_error_after_the_final_response_means_nothing() {
    let mut t = Trace::udp();
    t.tu_asks(&options()).hears(&response(&options(), 200)).fails_to_send().loses_peer().is_alive();
    t.after(T4).is_over().fails_to_send().is_over();
}

#[test]
fn when_another_destination_is_tried_only_late_answers_count() {
    let mut t = Trace::udp();
    t.tu_asks(&options());
    let key = t.client();
    t.table.stop_resending(&key);
    t.after(PATIENCE - T1).hears(&response(&options(), 200)).is_alive();
}
