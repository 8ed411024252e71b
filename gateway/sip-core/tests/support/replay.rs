//! What is done with the corpus of a fuzz target where there is no fuzzer.

use std::path::PathBuf;

use crate::chance::Chance;

/// The inputs of a target, with their files' names.
pub fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files.into_iter().map(|path| (path.display().to_string(), std::fs::read(path).unwrap())).collect()
}

/// Runs as many mutants of each input, and says which one fails.
pub fn each_mutant(target: &str, mutants_each: u64, run: impl Fn(&[u8])) {
    let corpus = corpus(target);
    for (name, seed) in &corpus {
        for number in 0..mutants_each {
            let mutant = mutated(seed, &corpus, &mut Chance(number));
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&mutant)));
            if let Err(cause) = result {
                eprintln!("mutant {number} of {name} fails");
                std::panic::resume_unwind(cause);
            }
        }
    }
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
