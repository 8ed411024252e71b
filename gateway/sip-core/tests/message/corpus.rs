//! The corpora of the fuzz targets `message` and `framing`, as they are and with each beginning of them.

use std::path::PathBuf;

use crate::{framing_input, input};

#[test]
fn the_corpus_of_messages_breaks_no_rule() {
    replay("message", input::run);
}

#[test]
fn the_corpus_of_streams_breaks_no_rule() {
    replay("framing", framing_input::run);
}

fn replay(target: &str, run: fn(&[u8])) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let octets = std::fs::read(&file).unwrap();
        for length in (0..octets.len()).step_by(17).chain([octets.len()]) {
            run(&octets[..length]);
        }
    }
}
