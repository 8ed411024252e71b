//! Fuzz entry: a stream gives the same frames however its octets arrive.
//! Used by the fuzz target `framing` and by the replay of its corpus.

use sip_core::message::framing::{Frame, Stream};
use sip_core::message::{Limits, ParseError};

/// The first octet says in which pieces the others arrive.
pub fn run(input: &[u8]) {
    let Some((size, octets)) = input.split_first() else { return };
    let (at_once, in_pieces) =
        (frames(octets, octets.len().max(1)), frames(octets, usize::from(*size).max(1)));
    assert_eq!(at_once, in_pieces);
    let (frames, _) = at_once;
    let framed: usize =
        frames.iter().map(|frame| if let Frame::Message(raw) = frame { raw.len() } else { 2 }).sum();
    assert!(framed <= octets.len());
}

fn frames(octets: &[u8], size: usize) -> (Vec<Frame>, Option<ParseError>) {
    let limits = Limits { message: 4_096, body: 2_048, line: 512, ..Limits::default() };
    let mut stream = Stream::new(limits);
    let mut frames = Vec::new();
    for piece in octets.chunks(size) {
        stream.feed(piece);
        while let Some(frame) = stream.next() {
            match frame {
                Ok(frame) => frames.push(frame),
                Err(malformed) => return (frames, Some(malformed.error)),
            }
        }
    }
    (frames, None)
}
