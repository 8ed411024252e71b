//! Who may use the control API: TLS, clients' certificates, tokens.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use daemon::certificate::{Certificate, WorseCertificate};
use daemon::tls;
use rustls::ServerConfig;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// What a connection and its requests must show. Read anew as a whole, so that a half-good set is never used.
#[derive(Debug, Default)]
pub struct Protection {
    /// Absent for plain HTTP.
    pub(super) tls: Option<Arc<ServerConfig>>,
    certificate: Option<Arc<Certificate>>,
    /// Absent if every connection may ask.
    pub(super) tokens: Option<Tokens>,
}

/// The files of a [`Protection`].
#[derive(Clone, Copy, Debug, Default)]
pub struct ProtectionFiles<'a> {
    /// PEM chain and key.
    pub certificate: Option<(&'a Path, &'a Path)>,
    /// PEM authorities of clients' certificates.
    pub client_authorities: Option<&'a Path>,
    /// Tokens, one a line.
    pub tokens: Option<&'a Path>,
}

impl Protection {
    /// Reads the files.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn read(files: ProtectionFiles<'_>) -> Result<Self, Vec<ProtectionError>> {
        let mut errors = Vec::new();
        let tokens =
            files.tokens.and_then(|file| Tokens::read(file).map_err(|error| errors.push(error)).ok());
        let (tls, certificate) = read_tls(files)
            .unwrap_or_else(|error| {
                errors.push(error);
                None
            })
            .unzip();
        if errors.is_empty() { Ok(Self { tls, certificate, tokens }) } else { Err(errors) }
    }

    /// Whether the new certificate may take this one's place. `now` is the time since 1970.
    ///
    /// # Errors
    /// It may not.
    pub fn may_become(&self, new: &Self, now: Duration) -> Result<(), WorseCertificate> {
        match (&self.certificate, &new.certificate) {
            (Some(shown), Some(new)) => shown.may_become(new, "control", now),
            (Some(_) | None, _) => Ok(()),
        }
    }
}

/// Tokens that are accepted; several, so that they can be changed without a gap. Only their hashes are kept.
pub struct Tokens(Vec<[u8; 32]>);

impl Tokens {
    /// Reads a file of one token a line; empty lines and lines that start with `#` are passed over.
    ///
    /// # Errors
    /// The file can't be read, has no token, or has one that could be guessed.
    pub fn read(file: &Path) -> Result<Self, ProtectionError> {
        let text = daemon::text::read(file)
            .map_err(|source| ProtectionError::Unreadable { file: file.into(), source })?;
        let lines = text.lines().map(str::trim).enumerate();
        let mut hashes = Vec::new();
        for (number, token) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            if token.len() < MIN_TOKEN {
                return Err(ProtectionError::Weak { file: file.into(), line: number + 1 });
            }
            hashes.push(hash(token));
        }
        match hashes.len() {
            1..=MAX_TOKENS => Ok(Self(hashes)),
            _ => Err(ProtectionError::TokenCount { file: file.into() }),
        }
    }

    /// Is it one of ours? The work is the same for every token of its length, whether it is right or where it differs.
    pub(super) fn accept(&self, token: &str) -> bool {
        let given = hash(token);
        let found = self.0.iter().fold(Choice::from(0), |found, known| found | known.ct_eq(&given));
        found.into()
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} tokens", self.0.len())
    }
}

/// Why the control API can't be protected as configured.
#[derive(Debug, thiserror::Error)]
pub enum ProtectionError {
    /// Not there, or not ours to read.
    #[error("{}: {source}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A token is short.
    #[error("{}, line {line}: a token needs {MIN_TOKEN} characters or more, as `openssl rand -hex 32` makes", .file.display())]
    Weak {
        /// The file.
        file: PathBuf,
        /// From 1.
        line: usize,
    },
    /// None, or more than anybody rotates.
    #[error("{}: expected from 1 to {MAX_TOKENS} tokens", .file.display())]
    TokenCount {
        /// The file.
        file: PathBuf,
    },
    /// The certificate or its key.
    #[error(transparent)]
    Certificate(#[from] daemon::certificate::CertificateError),
    /// The clients' authorities.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
}

type Tls = (Arc<ServerConfig>, Arc<Certificate>);

fn read_tls(files: ProtectionFiles<'_>) -> Result<Option<Tls>, ProtectionError> {
    let Some((chain, key)) = files.certificate else { return Ok(None) };
    let certificate = Certificate::load(chain, key)?;
    let clients = files.client_authorities.map(tls::authorities).transpose()?;
    Ok(Some((tls::server(certificate.clone(), clients, &[tls::HTTP])?, certificate)))
}

/// Hashes have one length and tell nothing about the token: they can be compared in constant time.
fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Characters: 128 bits in hexadecimal digits.
const MIN_TOKEN: usize = 32;
/// Each request is compared with all of them.
const MAX_TOKENS: usize = 16;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::fs;

    use super::*;

    fn tokens(text: &str) -> Result<Tokens, ProtectionError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        Tokens::read(file.path())
    }

    #[test]
    fn each_token_of_the_file_is_accepted_and_no_other() {
        let (old, new) = ("a".repeat(32), "b".repeat(40));
        let tokens = tokens(&format!("# old\n{old}\n\n  {new}\n")).unwrap();
        assert!(tokens.accept(&old) && tokens.accept(&new));
        for wrong in ["", "# old", &old[1..], &format!("{old}{new}")] {
            assert!(!tokens.accept(wrong), "{wrong}");
        }
    }

    #[test]
    fn what_editors_add_to_a_file_of_tokens_is_passed_over() {
        let token = "a".repeat(32);
        assert!(tokens(&format!("\u{FEFF}{token} \t\r\n\r\n")).unwrap().accept(&token));
        let utf16: Vec<u8> = format!("\u{FEFF}{token}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), utf16).unwrap();
        assert!(Tokens::read(file.path()).unwrap_err().to_string().contains("save it as UTF-8"));
    }

    #[test]
    fn a_file_without_a_good_token_is_refused_without_showing_it() {
        assert!(matches!(tokens("# none\n"), Err(ProtectionError::TokenCount { .. })));
        let error = tokens("# first\nhunter2\n").unwrap_err();
        assert!(matches!(error, ProtectionError::Weak { line: 2, .. }));
        assert!(!error.to_string().contains("hunter2"));
        assert!(matches!(Tokens::read(Path::new("/nowhere")), Err(ProtectionError::Unreadable { .. })));
    }
}
