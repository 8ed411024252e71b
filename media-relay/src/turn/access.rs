//! What of TURN can change while it runs: secrets and certificate.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use daemon::certificate::{Certificate, CertificateError};
use relay_api::turn::Secret;

use super::settings::Turn;

/// Read anew as a whole, so that a half-good set is never used.
#[derive(Clone, Debug, Default)]
pub struct TurnAccess {
    /// Any of them makes good credentials.
    pub secrets: Vec<Secret>,
    /// Of the TLS listeners.
    pub certificate: Option<Arc<Certificate>>,
}

impl TurnAccess {
    /// Reads the files that the configuration names, if there is to be a TURN server.
    ///
    /// # Errors
    /// What is wrong with the first bad one.
    pub fn read(turn: &Turn) -> Result<Self, TurnAccessError> {
        if !turn.is_on() {
            return Ok(Self::default());
        }
        let secrets = turn.secrets_file.as_deref().map_or(Ok(Vec::new()), read_secrets)?;
        let certificate = turn.certificate_files().map(|(chain, key)| Certificate::load(chain, key));
        Ok(Self { secrets, certificate: certificate.transpose()? })
    }
}

/// Reads a file of one secret a line; empty lines and lines that start with `#` are passed over.
///
/// # Errors
/// The file can't be read, has no secret, or has one that could be guessed.
pub fn read_secrets(file: &Path) -> Result<Vec<Secret>, TurnAccessError> {
    let text = daemon::text::read(file)
        .map_err(|source| TurnAccessError::Unreadable { file: file.into(), source })?;
    let lines = text.lines().map(str::trim).enumerate();
    let mut secrets = Vec::new();
    for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let secret = Secret::new(line).filter(|_| line.len() >= MIN_SECRET);
        secrets.push(secret.ok_or_else(|| TurnAccessError::Weak { file: file.into(), line: number + 1 })?);
    }
    match secrets.len() {
        1..=MAX_SECRETS => Ok(secrets),
        _ => Err(TurnAccessError::SecretCount { file: file.into() }),
    }
}

/// Why TURN can't be protected as configured: the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum TurnAccessError {
    /// Not there, or not ours to read.
    #[error("{}: {source}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A secret is short.
    #[error("{}, line {line}: a secret needs {MIN_SECRET} characters or more, as `openssl rand -hex 32` makes", .file.display())]
    Weak {
        /// The file.
        file: PathBuf,
        /// From 1.
        line: usize,
    },
    /// None, or more than anybody rotates.
    #[error("{}: expected from 1 to {MAX_SECRETS} secrets", .file.display())]
    SecretCount {
        /// The file.
        file: PathBuf,
    },
    /// The certificate or its key.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// Characters: an operator who comes from coturn keeps an ordinary secret.
const MIN_SECRET: usize = 16;
/// Each request with credentials is judged with all of them.
const MAX_SECRETS: usize = 8;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::fs;

    use super::*;

    fn secrets(text: &str) -> Result<Vec<Secret>, TurnAccessError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        read_secrets(file.path())
    }

    #[test]
    fn each_line_is_a_secret() {
        let read = secrets("# new\nnorth-north-north\n\n  south-south-south\n").unwrap();
        let of = |text: &str| Secret::new(text).unwrap().password(b"1:alice");
        let passwords: Vec<String> = read.iter().map(|secret| secret.password(b"1:alice")).collect();
        assert_eq!(passwords, [of("north-north-north"), of("south-south-south")]);
    }

    #[test]
    fn what_editors_add_to_a_file_of_secrets_is_passed_over() {
        let read = secrets("\u{FEFF}north-north-north \t\r\n\r\n").unwrap();
        let plain = Secret::new("north-north-north").unwrap();
        assert_eq!(read[0].password(b"1:alice"), plain.password(b"1:alice"));
        let utf16: Vec<u8> = "\u{FEFF}north-north-north".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), utf16).unwrap();
        assert!(read_secrets(file.path()).unwrap_err().to_string().contains("save it as UTF-8"));
    }

    #[test]
    fn a_file_without_a_good_secret_is_refused_without_showing_it() {
        assert!(matches!(secrets("# none\n"), Err(TurnAccessError::SecretCount { .. })));
        let error = secrets("\nhunter2\n").unwrap_err();
        assert!(matches!(error, TurnAccessError::Weak { line: 2, .. }));
        assert!(!error.to_string().contains("hunter2"));
        assert!(matches!(read_secrets(Path::new("/nowhere")), Err(TurnAccessError::Unreadable { .. })));
    }
}
