//! Random walks: whatever the peers, the relay and the timers do, in whatever order, both legs end and nothing is left.

use super::input::{Choices, Walk};

#[test]
fn every_walk_ends_with_both_legs_over() {
    for seed in 1..=SEEDS {
        let mut walk = walk(seed);
        for _ in 0..walk.choices.below(60) {
            walk.step();
        }
        walk.end();
    }
}

#[test]
fn the_same_walk_takes_the_same_way() {
    for seed in 1..=20 {
        let walked = |seed| {
            let mut walk = walk(seed);
            for _ in 0..40 {
                walk.step();
            }
            (walk.t.call.clone(), walk.t.a.inbox.clone(), walk.t.b.inbox.clone())
        };
        assert_eq!(walked(seed), walked(seed), "seed {seed}");
    }
}

fn walk(seed: u64) -> Walk {
    println!("seed {seed}");
    let mut walk = Walk::new(Choices::of_seed(seed));
    walk.t.stores = seed.is_multiple_of(16);
    walk
}

const SEEDS: u64 = 2_000;
