//! An error with its causes, for people.

/// The error and what caused it, each thing said once: some say themselves what caused them.
pub fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        match text.is_empty() {
            true => text = cause,
            false if !text.ends_with(&cause) => text = format!("{text}: {cause}"),
            false => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::io;

    use anyhow::Context;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot bind: {source}")]
    struct Bind {
        source: io::Error,
    }

    #[test]
    fn a_cause_is_said_once() {
        let bind = || Bind { source: io::Error::other("taken") };
        let error = Err::<(), _>(bind()).context("relay").unwrap_err();
        assert_eq!(told(&error), "relay: cannot bind: taken");
        let error = Err::<(), _>(bind()).context("other").context("relay").unwrap_err();
        assert_eq!(told(&error), "relay: other: cannot bind: taken");
    }
}
