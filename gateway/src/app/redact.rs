//! What never gets into the log as it is.

use std::fmt;

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
