//! How much of a message is read before it is refused.

/// Bounds of one message, decided before anything is allocated for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of the whole message; above it a request is answered 513.
    pub message: usize,
    /// Octets of the body alone; above it a request is answered 413.
    pub body: usize,
    /// Header lines, a folded one counting once.
    pub headers: usize,
    /// Octets of the start line or of one header line with its continuations.
    pub line: usize,
    /// Values of all Via lines together; Max-Forwards allows no honest message more than 70.
    pub vias: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { message: 65_536, body: 65_536, headers: 100, line: 8_192, vias: 70 }
    }
}
