//! What never gets into the log as it is.

use std::fmt;

/// A peer's text in the log: shortened, with its control characters and quotes escaped, so that it writes no line of its own.
pub(super) struct Peers<'a>(pub &'a str);

impl fmt::Debug for Peers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.char_indices().nth(MOST).map_or(self.0.len(), |(end, _)| end);
        write!(f, "{:?}", &self.0[..end])
    }
}

/// A user name or number in the log: its first and last character and its length, enough to tell two apart.
pub(super) struct Number<'a>(pub &'a str);

impl fmt::Display for Number<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut characters = self.0.chars().filter(|c| c.is_ascii_graphic());
        match (characters.next(), characters.next_back()) {
            (Some(first), Some(last)) => write!(f, "{first}…{last}({})", self.0.chars().count()),
            _ => f.write_str("…"),
        }
    }
}

/// Characters of a peer's text.
const MOST: usize = 128;
