//! The corpus of the fuzz target `transaction`, as it is and with seeded mutations.

use std::path::PathBuf;

use crate::chance::Chance;
use crate::input;

const MUTANTS_EACH: u64 = 150;

#[test]
fn the_corpus_breaks_no_rule() {
    for (_, input) in corpus() {
        input::run(&input);
    }
}

#[test]
fn mutants_of_the_corpus_break_no_rule() {
    let corpus = corpus();
    for (name, seed) in &corpus {
        for number in 0..MUTANTS_EACH {
            let mutant = mutated(seed, &corpus, &mut Chance(number));
            let result = std::panic::catch_unwind(|| input::run(&mutant));
            if let Err(cause) = result {
                eprintln!("mutant {number} of {name} fails");
                std::panic::resume_unwind(cause);
            }
        }
    }
}

fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/transaction");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files.into_iter().map(|path| (path.display().to_string(), std::fs::read(path).unwrap())).collect()
}

/// Other octets, pieces of other inputs, pieces doubled and left out.
fn mutated(seed: &[u8], corpus: &[(String, Vec<u8>)], chance: &mut Chance) -> Vec<u8> {
    let mut input = seed.to_vec();
    for _ in 0..chance.below(6) + 1 {
        let at = chance.below(input.len());
        let length = chance.below(200).min(input.len() - at);
        match chance.below(4) {
            0 => input.iter_mut().skip(at).take(1).for_each(|octet| *octet = chance.next() as u8),
            1 => drop(input.drain(at..at + length)),
            2 => {
                let piece = input.get(at..at + length).unwrap().to_vec();
                let to = chance.below(input.len());
                input.splice(to..to, piece);
            }
            _ => {
                let (_, other) = corpus.get(chance.below(corpus.len())).unwrap();
                input.extend_from_slice(other);
            }
        }
    }
    input
}
