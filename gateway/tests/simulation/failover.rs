//! A trunk with several addresses, some of which are dead or late (RFC 3263 §4.3).

use std::time::Duration;

use sip_core::message::{Builder, Limits, Message, Method, Name, Status};

use super::agent::{Agent, Habits};
use super::network::{Faults, Place};
use super::{TRUNK, World, pbx, seeds, servers};

const CALM: Habits = Habits { refuses: 0, never_answers: 0, gives_up: 0, holds: 0, hangs_up: 100 };
const GOOD: Faults = Faults { lost: 0, doubled: 0, delay: 5 };
const DEAD: &str = "203.0.113.8:5060";
const LATE: &str = "203.0.113.9:5060";

#[test]
fn a_call_that_meets_a_dead_address_is_answered_by_the_next_one() {
    let world = World::new(1, GOOD, CALM);
    world.swallow(DEAD);
    world.finds(&[DEAD, TRUNK]);
    world.browser(0).call("+4930123456");
    let rings = || world.trunk.rang() > 0;
    assert!(world.machine.run_until(Duration::from_secs(4), rings), "the next address within 4 s");
    world.machine.run_for(super::QUIET);
    world.ends_clean();
    assert_eq!(world.answered(), 2, "both sides");
}

#[test]
fn when_every_address_is_dead_the_caller_soon_knows() {
    let world = World::new(1, GOOD, CALM);
    let dead = ["203.0.113.8:5060", "203.0.113.10:5060", "203.0.113.11:5060", "203.0.113.12:5060"];
    for address in dead {
        world.swallow(address);
    }
    world.finds(&dead);
    world.browser(0).call("+4930123456");
    let refused = || world.browser(0).complaints().is_empty();
    assert!(world.machine.run_until(Duration::from_secs(5), refused), "503 within 5 s");
    world.machine.run_for(super::QUIET);
    world.ends_clean();
}

#[test]
fn late_answers_of_abandoned_addresses_leave_nothing_behind() {
    for seed in seeds().step_by(2) {
        let habits = Habits { refuses: 10, never_answers: 10, gives_up: 25, holds: 30, hangs_up: 60 };
        let mut world = World::new(seed, Faults { lost: 20, doubled: 10, delay: 2_500 }, habits);
        let late = Agent::new(world.machine.clone(), world.network.clone(), pbx(LATE, habits));
        world.others.push(late);
        world.finds(&[LATE, TRUNK]);
        world.live(4);
        world.ends_clean_with(seed);
    }
}

#[test] // RFC 3261 §9.1: its socket has kept the INVITE for it
fn a_trunk_that_wakes_up_minutes_later_is_told_that_nobody_wants_the_call() {
    let world = World::new(1, GOOD, CALM);
    let place = Place::Udp(DEAD.parse().unwrap());
    let mut asleep = world.network.join(place);
    let mut hears = || -> Vec<Message> {
        world.machine.run_for(Duration::from_secs(1));
        let raw = std::iter::from_fn(|| asleep.try_recv().ok());
        raw.map(|raw| Message::parse(raw, &Limits::default()).unwrap()).collect()
    };
    let says = |message: Builder| world.network.to_node(place, message.build().unwrap().bytes().clone());
    world.finds(&[DEAD]);
    world.browser(0).call("+4930123456");
    world.machine.run_for(Duration::from_secs(180));
    let invites = hears();
    assert_eq!(invites.len(), 3, "timer A: at 0, 0.5 and 1.5 s, and no more after first_reply");
    assert!(
        invites[0].header(Name::Expires).is_some(),
        "RFC 3261 §13.2.1: for one that never hears of the CANCEL"
    );

    says(invites[0].response(Status::RINGING).to_tag("late"));
    let cancels = hears();
    assert_eq!(cancels.first().map(Message::method), Some(&Method::Cancel));
    assert_eq!(cancels[0].via().branch, invites[0].via().branch);
    says(cancels[0].response(Status::OK));
    says(invites[0].response(Status::REQUEST_TERMINATED).to_tag("late"));
    assert_eq!(hears().last().map(Message::method), Some(&Method::Ack));
    says(invites[0].response(Status::OK).to_tag("late").header(Name::Contact, format!("<sip:{DEAD}>")));
    let heard: Vec<Method> = hears().iter().map(|message| message.method().clone()).collect();
    let [has_ack, has_bye] = [Method::Ack, Method::Bye].map(|method| heard.contains(&method));
    assert!(has_ack && has_bye, "had it been answered: {heard:?}");
}

impl World {
    /// An address that takes everything and says nothing.
    fn swallow(&self, address: &str) {
        drop(self.network.join(Place::Udp(address.parse().unwrap())));
    }

    fn finds(&self, addresses: &[&str]) {
        self.node.trunk_resolved("pbx", 0, &servers(addresses));
    }
}
