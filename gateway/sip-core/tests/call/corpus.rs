//! The corpus of the fuzz target `call`, as it is and with seeded mutations.

use crate::input;
use crate::replay::{corpus, each_mutant};

#[test]
fn the_corpus_breaks_no_rule() {
    for (_, input) in corpus("call") {
        input::run(&input);
    }
}

#[test]
fn mutants_of_the_corpus_break_no_rule() {
    each_mutant("call", 10, input::run);
}
