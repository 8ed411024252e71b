//! The program's certificate: from files, or made on the first start and kept.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::client::{ResolvesClientCert, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, SignatureScheme};

use crate::pem::{self, PemError};
use crate::tls::provider;

/// A certificate chain with its key, which can be replaced while connections are served: new handshakes see the new one,
/// open connections live on.
#[derive(Debug)]
pub struct Certificate(ArcSwap<CertifiedKey>);

struct Files {
    chain: PathBuf,
    key: PathBuf,
}

impl Certificate {
    /// Loads a chain and its key from PEM files.
    ///
    /// # Errors
    /// A file cannot be read, is not PEM, or the key does not belong to the certificate.
    pub fn load(chain: &Path, key: &Path) -> Result<Arc<Self>, CertificateError> {
        let files = Files { chain: chain.into(), key: key.into() };
        Ok(Arc::new(Self(ArcSwap::from_pointee(files.read()?))))
    }

    /// Loads the self-signed certificate kept in `folder`, making it if it is missing or lacks one of `names`, which are
    /// host names and addresses; `localhost`, `127.0.0.1` and `::1` are always in it. The key can be read by its owner only.
    ///
    /// # Errors
    /// The folder cannot be written, or a name is not one.
    pub fn self_signed(folder: &Path, names: &[String]) -> Result<Arc<Self>, CertificateError> {
        let files = Files { chain: folder.join(CHAIN_FILE), key: folder.join(KEY_FILE) };
        let names: Vec<String> = LOCAL_NAMES.iter().map(ToString::to_string).chain(names.to_vec()).collect();
        let kept = files.chain.exists() && files.key.exists() && covers(&files.read()?, &names);
        if !kept {
            fs::create_dir_all(folder).map_err(|error| CertificateError::io(folder, error))?;
            files.make(names)?;
        }
        Self::load(&files.chain, &files.key)
    }

    /// From now on new handshakes see the other one.
    pub fn replace(&self, new: &Self) {
        self.0.store(new.0.load_full());
    }

    /// Whether `new`, of `section`, may take its place. A file that was renewed wrong must not make an outage; who runs with a
    /// certificate that is over already loses nothing by another one. `now` is the time since 1970.
    ///
    /// # Errors
    /// It may not.
    pub fn may_become(&self, new: &Self, section: &str, now: Duration) -> Result<(), WorseCertificate> {
        match !self.is_good(now) || new.is_good(now) {
            true => Ok(()),
            false => Err(WorseCertificate { section: section.to_owned() }),
        }
    }

    fn is_good(&self, now: Duration) -> bool {
        match self.validity(now) {
            Some(Validity::NotYet) => false,
            Some(Validity::Until(end)) => now < end,
            // Of a form that tells no time: nothing speaks against it.
            None => true,
        }
    }

    /// The certificate itself, for the log and for fingerprints.
    pub fn leaf(&self) -> Option<CertificateDer<'static>> {
        self.0.load().cert.first().cloned()
    }
}

/// A certificate that is of no use at present, and one that is in use and is.
#[derive(Debug, thiserror::Error)]
#[error(
    "{section}.certificate_file has expired or is not valid yet, while the one in use is good and stays: renew it, then send \
     SIGHUP again"
)]
pub struct WorseCertificate {
    section: String,
}

/// How long a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Its time has not begun.
    NotYet,
    /// To this moment, in time since 1970; it may be over.
    Until(Duration),
}

impl Certificate {
    /// How long it is good, or was; none if it can't be told. `now` is the time since 1970.
    pub fn validity(&self, now: Duration) -> Option<Validity> {
        let leaf = self.leaf()?;
        match judged(&leaf, now)? {
            rustls::CertificateError::NotValidYet | rustls::CertificateError::NotValidYetContext { .. } => {
                return Some(Validity::NotYet);
            }
            _ => {}
        }
        // Nothing but the judgement tells the end: it is asked for a time when every certificate is over.
        match judged(&leaf, NO_CERTIFICATE_LIVES)? {
            rustls::CertificateError::ExpiredContext { not_after, .. } => {
                Some(Validity::Until(Duration::from_secs(not_after.as_secs())))
            }
            _ => None,
        }
    }
}

/// Why it would be refused at that time by somebody who knows no authority; its time is judged first.
fn judged(leaf: &CertificateDer<'_>, at: Duration) -> Option<rustls::CertificateError> {
    let parsed = ParsedCertificate::try_from(leaf).ok()?;
    let at = UnixTime::since_unix_epoch(at);
    let nobody = RootCertStore::empty();
    let algorithms = provider().signature_verification_algorithms.all;
    match verify_server_cert_signed_by_trust_anchor(&parsed, &nobody, &[], at, algorithms) {
        Err(rustls::Error::InvalidCertificate(why)) => Some(why),
        Err(_) | Ok(()) => None,
    }
}

/// What is wrong with either file by itself: of the chain, of the key.
pub fn faults(chain: &Path, key: &Path) -> (Option<CertificateError>, Option<CertificateError>) {
    let files = Files { chain: chain.into(), key: key.into() };
    (files.read_chain().err(), files.read_key().err())
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl ResolvesClientCert for Certificate {
    /// The one there is, whichever authorities the peer names: it says so itself if it wants another.
    fn resolve(&self, _authorities: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be written.
    #[error("{file}: {error}")]
    Io {
        /// Its path.
        file: String,
        /// What the system says.
        error: io::Error,
    },
    /// A file can't be read, is not PEM, or lacks what it should hold.
    #[error("{file}: {error}")]
    Pem {
        /// Its path.
        file: String,
        /// What is wrong.
        error: PemError,
    },
    /// The key is of an unknown kind or of another certificate.
    #[error("{file}: {error}")]
    Key {
        /// The key's path.
        file: String,
        /// What is wrong.
        error: rustls::Error,
    },
    /// A certificate could not be made.
    #[error("self-signed certificate: {0}")]
    Make(#[from] rcgen::Error),
}

impl CertificateError {
    fn io(file: &Path, error: io::Error) -> Self {
        Self::Io { file: file.display().to_string(), error }
    }

    fn pem(file: &Path, error: PemError) -> Self {
        Self::Pem { file: file.display().to_string(), error }
    }
}

impl Files {
    fn read(&self) -> Result<CertifiedKey, CertificateError> {
        CertifiedKey::from_der(self.read_chain()?, self.read_key()?, &provider())
            .map_err(|error| CertificateError::Key { file: self.key.display().to_string(), error })
    }

    fn read_chain(&self) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
        pem::certificates(&self.chain).map_err(|error| CertificateError::pem(&self.chain, error))
    }

    fn read_key(&self) -> Result<PrivateKeyDer<'static>, CertificateError> {
        pem::private_key(&self.key).map_err(|error| CertificateError::pem(&self.key, error))
    }

    fn make(&self, names: Vec<String>) -> Result<(), CertificateError> {
        let mut params = rcgen::CertificateParams::new(names)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, COMMON_NAME);
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let key = rcgen::KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        write(&self.key, &key.serialize_pem(), OWNER_ONLY)?;
        write(&self.chain, &certificate.pem(), ALL_MAY_READ)
    }
}

/// Whether a client that asks for any of `names` would accept the certificate, apart from who signed it.
fn covers(key: &CertifiedKey, names: &[String]) -> bool {
    let Some(Ok(certificate)) = key.cert.first().map(ParsedCertificate::try_from) else { return false };
    names.iter().all(|name| {
        ServerName::try_from(name.as_str()).is_ok_and(|name| verify_server_name(&certificate, &name).is_ok())
    })
}

/// Writes beside the file and renames, so that nobody ever sees half of it.
fn write(file: &Path, content: &str, mode: u32) -> Result<(), CertificateError> {
    let beside = file.with_extension("new");
    let attempt = || {
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut new = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
        new.write_all(content.as_bytes())?;
        new.sync_all()?;
        fs::rename(&beside, file)
    };
    attempt().map_err(|error| CertificateError::io(file, error))
}

/// The end of the year 9999, the last that a certificate can name (RFC 5280 §4.1.2.5).
const NO_CERTIFICATE_LIVES: Duration = Duration::from_secs(253_402_300_800);
const CHAIN_FILE: &str = "self-signed.pem";
const KEY_FILE: &str = "self-signed.key";
const COMMON_NAME: &str = "WebRTC/SIP gateway, self-signed";
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
const OWNER_ONLY: u32 = 0o600;
const ALL_MAY_READ: u32 = 0o644;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::os::unix::fs::PermissionsExt;

    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn the_self_signed_certificate_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new");
        let first = Certificate::self_signed(&folder, &[]).unwrap().leaf();
        let second = Certificate::self_signed(&folder, &[]).unwrap().leaf();
        assert!(first.is_some());
        assert_eq!(first, second);
        let mode = fs::metadata(folder.join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn it_is_made_anew_for_a_name_that_it_lacks_and_not_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["gw.example.com".to_string(), "192.0.2.1".to_string()];
        let without = Certificate::self_signed(folder.path(), &[]).unwrap().leaf();
        let with = Certificate::self_signed(folder.path(), &names).unwrap().leaf();
        assert_ne!(without, with);
        assert_eq!(with, Certificate::self_signed(folder.path(), &names).unwrap().leaf());
        assert_eq!(with, Certificate::self_signed(folder.path(), &[]).unwrap().leaf());
    }

    #[test]
    fn a_certificate_gives_way_to_another_and_a_key_of_another_is_refused() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let certificate = Certificate::self_signed(one.path(), &[]).unwrap();
        let other = Certificate::self_signed(two.path(), &[]).unwrap();
        assert_ne!(certificate.leaf(), other.leaf());
        certificate.replace(&other);
        assert_eq!(certificate.leaf(), other.leaf());

        let mixed = Certificate::load(&two.path().join(CHAIN_FILE), &one.path().join(KEY_FILE));
        assert!(matches!(mixed, Err(CertificateError::Key { .. })));
    }

    #[test] // RFC 5280 §4.1.2.5
    fn a_certificate_tells_how_long_it_is_good() {
        let day = |n: u64| Duration::from_secs(n * 86_400);
        let date = |n: u64| (UNIX_EPOCH + day(n)).into();
        let mut params = rcgen::CertificateParams::new(vec!["x.example".to_string()]).unwrap();
        (params.not_before, params.not_after) = (date(20_000), date(20_090));
        let key = rcgen::KeyPair::generate().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (chain, key_file) = (folder.path().join("c"), folder.path().join("k"));
        fs::write(&chain, params.self_signed(&key).unwrap().pem()).unwrap();
        fs::write(&key_file, key.serialize_pem()).unwrap();
        let certificate = Certificate::load(&chain, &key_file).unwrap();
        assert_eq!(certificate.validity(day(19_999)), Some(Validity::NotYet));
        for now in [20_001, 20_089, 20_091, 30_000] {
            assert_eq!(certificate.validity(day(now)), Some(Validity::Until(day(20_090))), "{now}");
        }
    }

    #[test]
    fn a_certificate_that_is_over_takes_no_good_one_s_place() {
        let folder = tempfile::tempdir().unwrap();
        let day = |n: u64| Duration::from_secs(n * 86_400);
        let of = |first: u64, last: u64| {
            let mut params = rcgen::CertificateParams::new(vec!["x.example".to_string()]).unwrap();
            (params.not_before, params.not_after) =
                ((UNIX_EPOCH + day(first)).into(), (UNIX_EPOCH + day(last)).into());
            let key = rcgen::KeyPair::generate().unwrap();
            let files = (folder.path().join("c"), folder.path().join("k"));
            fs::write(&files.0, params.self_signed(&key).unwrap().pem()).unwrap();
            fs::write(&files.1, key.serialize_pem()).unwrap();
            Certificate::load(&files.0, &files.1).unwrap()
        };
        let (over, good, future) = (of(20_000, 20_010), of(20_000, 20_090), of(20_060, 20_090));
        let may = |old: &Certificate, new: &Certificate| old.may_become(new, "tls", day(20_050)).is_ok();
        assert!(may(&good, &good) && may(&over, &good) && may(&over, &future) && may(&future, &over));
        assert!(!may(&good, &over) && !may(&good, &future));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error =
            Certificate::load(Path::new("/nowhere/chain.pem"), Path::new("/nowhere/key.pem")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/chain.pem"), "{error}");
    }
}
