//! Any octets as a datagram, from the corpus of the fuzz target `datagram` and by chance.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

mod input;

use std::path::PathBuf;

use proptest::prelude::*;

#[test]
fn the_corpus_of_datagrams_breaks_no_rule() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/datagram");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let octets = std::fs::read(&file).unwrap();
        for length in 0..=octets.len() {
            input::run(&octets[..length]);
        }
        for (at, bit) in (0..octets.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut changed = octets.clone();
            changed[at] ^= 1 << bit;
            input::run(&changed);
        }
    }
}

proptest! {
    #[test]
    fn any_octets_break_no_rule(octets in proptest::collection::vec(any::<u8>(), 0..256)) {
        input::run(&octets);
    }

    #[test]
    fn anything_behind_a_right_beginning_breaks_no_rule(
        head in prop_oneof![
            Just(&b"\x00\x80\x00"[..]),
            Just(&b"\x00\x00\x01\x00\x40\x21\x12\xa4\x42"[..]),
            Just(&b"\x00\x16\xfe\xfd\x00\x00"[..]),
            Just(&b"\x01\x90\x00"[..]),
            Just(&b"\x01\xbf\x65"[..]),
            Just(&b"\x02\x81\xc8\x00\x0c"[..]),
            Just(&b"\x08\x00\x03\x00\x40\x21\x12\xa4\x42"[..]),
            Just(&b"\x09\x40\x00\x00\x20"[..]),
        ],
        tail in proptest::collection::vec(any::<u8>(), 0..256),
    ) {
        input::run(&[head, &tail[..]].concat());
    }
}
