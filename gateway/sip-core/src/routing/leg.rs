//! Names the legs of a call.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One leg of a call: who called us, or one of those whom we called. Part of our tags and branches, so that a message names
/// its leg by itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LegId(u8);

impl LegId {
    /// The leg that called us.
    pub const A: Self = Self(0);
    /// The first leg that we called.
    pub const B: Self = Self(1);

    /// The leg that we called as the so-manieth, counted from zero; `None` beyond what a token can name.
    pub fn called(at: usize) -> Option<Self> {
        u8::try_from(at).ok().and_then(|at| Self::of_number(at.checked_add(1)?))
    }

    /// What operators call it: `a`, `b` and so on.
    pub fn letter(self) -> &'static str {
        let at = usize::from(self.0);
        &LETTERS[at..=at]
    }

    /// Told apart from the other legs by this number, zero for [`LegId::A`].
    pub fn number(self) -> u8 {
        self.0
    }

    /// The leg that we called whose media the relay names so ([`super::CallId::session`]).
    pub fn of_session(session: &relay_api::SessionId) -> Self {
        let letter = session.0.split_once('-').and_then(|(_, leg)| leg.bytes().next());
        letter.and_then(|letter| Self::of_number(letter.checked_sub(b'a')?)).unwrap_or(Self::B)
    }

    pub(super) fn of_number(number: u8) -> Option<Self> {
        (number < LEGS).then_some(Self(number))
    }
}

impl fmt::Debug for LegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.letter().to_uppercase())
    }
}

impl fmt::Display for LegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.letter())
    }
}

const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";
const LEGS: u8 = LETTERS.len() as u8;
