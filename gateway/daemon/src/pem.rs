//! PEM files as people and their editors leave them: with a byte order mark, CRLF, blanks at the ends of lines. What can't be
//! used is told with the way out.

use std::path::Path;
use std::{fs, io};

use rustls::pki_types::pem::{Error as BadPem, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::text::without_mark;

/// Why a file has not what it should have.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// The system does not let us.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// Binary instead of text.
    #[error("is DER, not PEM: convert it with `openssl {} -inform DER -in FILE -out NEW`", .0.command())]
    Der(Wanted),
    /// A text editor's other encoding.
    #[error("is UTF-16, not PEM: save it as UTF-8")]
    Utf16,
    /// A key that a password protects.
    #[error(
        "is encrypted, and there is nobody to ask for the password: decrypt it with `openssl pkey -in FILE -out NEW`"
    )]
    Encrypted,
    /// What the other key should name.
    #[error("has {} and no {}: were the two files exchanged?", .0.other().name(), .0.name())]
    Exchanged(Wanted),
    /// Nothing of use.
    #[error("has no {} in PEM form (`-----BEGIN …-----`)", .0.name())]
    Nothing(Wanted),
    /// A section that is cut off or no base64.
    #[error("is damaged: {0:?}")]
    Damaged(BadPem),
}

/// What a file is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// At least one.
    Certificate,
    /// The first of them.
    PrivateKey,
}

impl Wanted {
    fn name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::PrivateKey => "private key",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Certificate => Self::PrivateKey,
            Self::PrivateKey => Self::Certificate,
        }
    }

    /// Of OpenSSL.
    fn command(self) -> &'static str {
        match self {
            Self::Certificate => "x509",
            Self::PrivateKey => "pkey",
        }
    }
}

/// All certificates of a file; at least one.
pub(crate) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let text = read(file, Wanted::Certificate)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found.map_err(PemError::Damaged)? {
        none if none.is_empty() => Err(nothing(&text, Wanted::Certificate)),
        some => Ok(some),
    }
}

/// The first private key of a file.
pub(crate) fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    let text = read(file, Wanted::PrivateKey)?;
    if contains(&text, "BEGIN ENCRYPTED PRIVATE KEY") || contains(&text, "Proc-Type: 4,ENCRYPTED") {
        return Err(PemError::Encrypted);
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        BadPem::NoItemsFound => nothing(&text, Wanted::PrivateKey),
        error => PemError::Damaged(error),
    })
}

/// The lines without what surrounds them.
fn read(file: &Path, wanted: Wanted) -> Result<Zeroizing<Vec<u8>>, PemError> {
    let bytes = Zeroizing::new(fs::read(file)?);
    match bytes[..] {
        // A SEQUENCE (X.690), of two or more bytes of length.
        [0x30, 0x80..=0xFF, ..] => return Err(PemError::Der(wanted)),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => return Err(PemError::Utf16),
        _ => {}
    }
    let mut text = Zeroizing::new(Vec::with_capacity(bytes.len() + 1));
    for line in without_mark(&bytes).split(|byte| *byte == b'\n') {
        text.extend_from_slice(line.trim_ascii());
        text.push(b'\n');
    }
    Ok(text)
}

fn nothing(text: &[u8], wanted: Wanted) -> PemError {
    let other = match wanted {
        Wanted::Certificate => "PRIVATE KEY-----",
        Wanted::PrivateKey => "BEGIN CERTIFICATE-----",
    };
    if contains(text, other) { PemError::Exchanged(wanted) } else { PemError::Nothing(wanted) }
}

fn contains(text: &[u8], words: &str) -> bool {
    text.windows(words.len()).any(|window| window == words.as_bytes())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn made() -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec![]).unwrap().self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    #[test]
    fn what_editors_add_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let (chain, key) = made();
        for dress in [
            |text: &str| format!("\u{FEFF}{text}"),
            |text: &str| text.replace('\n', "\r\n"),
            |text: &str| text.replace('\n', " \t\n"),
            |text: &str| format!("\u{FEFF}  {}", text.trim_end().replace('\n', "\r\n  ")),
        ] {
            fs::write(&file, dress(&chain)).unwrap();
            assert_eq!(certificates(&file).unwrap().len(), 1, "{}", dress(&chain));
            fs::write(&file, dress(&key)).unwrap();
            assert!(private_key(&file).is_ok(), "{}", dress(&key));
        }
    }

    #[test]
    fn what_can_t_be_used_is_told_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let (chain, key) = made();
        let utf16: Vec<u8> = format!("\u{FEFF}{chain}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        let der = CertificateDer::from_pem_slice(chain.as_bytes()).unwrap().to_vec();
        for (content, said) in [
            (key.clone().into_bytes(), "exchanged"),
            (utf16, "UTF-16"),
            (der.clone(), "openssl x509"),
            (Vec::new(), "no certificate"),
            (chain.as_bytes()[..200].to_vec(), "damaged"),
        ] {
            fs::write(&file, content).unwrap();
            let error = certificates(&file).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n";
        for (content, said) in [
            (chain.into_bytes(), "exchanged"),
            (der, "openssl pkey"),
            (encrypted.into(), "decrypt it with"),
            (old.into(), "decrypt it with"),
            (b"secret".to_vec(), "no private key"),
        ] {
            fs::write(&file, content).unwrap();
            let error = private_key(&file).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
