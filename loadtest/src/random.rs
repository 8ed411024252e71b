//! Tokens for branches, tags and Call-IDs: unguessable once per run, then counted.

/// A source of tokens that no other source of any run repeats.
#[derive(Debug, Clone)]
pub struct Tokens {
    prefix: String,
    next: u64,
}

impl Tokens {
    /// A source with 64 random bits of its own.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn new() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes)?;
        Ok(Self { prefix: format!("{:x}", u64::from_le_bytes(bytes)), next: 0 })
    }

    /// A source with a known prefix, for tests.
    pub fn with_prefix(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), next: 0 }
    }

    /// The next token: letters, digits and a hyphen.
    pub fn token(&mut self) -> String {
        self.next += 1;
        format!("{}-{:x}", self.prefix, self.next)
    }

    /// A Via branch (RFC 3261 §8.1.1.7).
    pub fn branch(&mut self) -> String {
        format!("z9hG4bK{}", self.token())
    }
}
