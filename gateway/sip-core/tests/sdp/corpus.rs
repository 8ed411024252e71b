//! The corpus of the fuzz target `sdp`, as it is, with each beginning of it, and mutated.

use std::path::PathBuf;

use proptest::prelude::*;

use crate::input;
use crate::support::{SAMPLES, crlf};

#[test]
fn the_corpus_breaks_no_rule() {
    for text in corpus() {
        for length in (0..text.len()).step_by(7).chain([text.len()]) {
            input::run(&text[..length]);
        }
    }
}

#[test]
fn the_samples_break_no_rule() {
    for sample in SAMPLES {
        input::run(&crlf(sample));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_octets_break_a_rule(text in proptest::collection::vec(any::<u8>(), 0..400)) {
        input::run(&text);
    }

    #[test]
    fn no_mutation_of_a_sample_breaks_a_rule(
        sample in 0..SAMPLES.len(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 1..6),
    ) {
        let mut text = crlf(SAMPLES[sample]);
        for (at, octet, kind) in edits {
            let at = at.index(text.len().max(1)).min(text.len());
            mutate(&mut text, at, octet, kind);
        }
        input::run(&text);
    }
}

fn mutate(text: &mut Vec<u8>, at: usize, octet: u8, kind: u8) {
    match kind {
        0 => text.iter_mut().skip(at).take(1).for_each(|old| *old = octet),
        1 => text.insert(at, octet),
        2 => text.truncate(at),
        _ => text.extend_from_within(..at),
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/sdp");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    let corpus: Vec<_> = files.collect();
    assert!(!corpus.is_empty());
    corpus
}
