//! The certificate of a trunk, judged in the same way whoever dialled: RFC 5922 §7, RFC 5924.

mod identity;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use daemon::tls::{self, TlsError};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
};
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter, KeyUsage,
    RequiredEkuNotFoundContext,
};

pub use identity::Names;

/// Judges a trunk's certificates. What it trusts can be replaced while connections are served.
#[derive(Debug)]
pub struct PeerCertificate {
    trust: ArcSwap<Trust>,
    names: Names,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PeerCertificate {
    /// With what is trusted, and the names one of which a certificate has to bear.
    pub fn new(trust: Trust, names: Names) -> Self {
        Self { trust: ArcSwap::from_pointee(trust), names, algorithms: tls::signature_algorithms() }
    }

    /// From now on what the other trusts is trusted; open connections live on.
    pub fn replace(&self, new: &Self) {
        self.trust.store(new.trust.load_full());
    }

    fn judge(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        names: &[ServerName<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let trust = self.trust.load();
        if trust.knows(certificate) {
            // RFC 7671 §5.1 has the reasons: who knows a certificate itself needs neither its dates nor its authority, and if
            // it is of this peer alone, no name either.
            return match trust.whose {
                Whose::OneTrunk => Ok(()),
                Whose::EveryTrunk => identity::check(certificate, names),
            };
        }
        let end_entity = EndEntityCert::try_from(certificate).map_err(refused)?;
        let (algorithms, anchors) = (self.algorithms.all, &trust.authorities.roots);
        end_entity
            .verify_for_usage(algorithms, anchors, intermediates, now, SipPeer, None, None)
            .map_err(refused)?;
        identity::check(certificate, names)
    }
}

/// What is trusted.
#[derive(Debug)]
pub struct Trust {
    authorities: RootCertStore,
    /// The same certificates: a peer may show one of these itself.
    itself: HashSet<CertificateDer<'static>>,
    whose: Whose,
}

/// For whom a file of certificates was configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// A trunk's own.
    OneTrunk,
    /// That of all trunks without one of their own.
    EveryTrunk,
}

impl Trust {
    /// The certificates in a PEM file.
    ///
    /// # Errors
    /// The file cannot be read, or has none.
    pub fn read(file: &Path, whose: Whose) -> Result<Self, TlsError> {
        let itself = tls::certificates(file)?;
        let mut authorities = RootCertStore::empty();
        // A system's bundle may hold certificates of forms that we don't know; the others do.
        authorities.add_parsable_certificates(itself.iter().cloned());
        Ok(Self { authorities, itself: itself.into_iter().collect(), whose })
    }

    fn knows(&self, certificate: &CertificateDer<'_>) -> bool {
        self.itself.contains(certificate)
    }
}

/// What rustls asks of whoever judges certificates, in the same words of a server's and of a client's.
macro_rules! judges_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls12_signature(message, certificate, signed, &self.algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, certificate, signed, &self.algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.algorithms.supported_schemes()
        }
    };
}

impl ServerCertVerifier for PeerCertificate {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        dialled: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let names = self.names.when_dialled(dialled);
        self.judge(certificate, intermediates, names, now).map(|()| ServerCertVerified::assertion())
    }

    judges_signatures!();
}

impl ClientCertVerifier for PeerCertificate {
    /// None: what is trusted may have changed by the next handshake, and peers have one certificate to show.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let names = self.names.when_accepted();
        self.judge(certificate, intermediates, names, now).map(|()| ClientCertVerified::assertion())
    }

    judges_signatures!();
}

/// RFC 5922 §7 asks for no purpose; a certificate that has some must have one that a SIP peer may have (RFC 5924 §4), on
/// either side: public authorities no longer sign for clients.
struct SipPeer;

impl ExtendedKeyUsageValidator for SipPeer {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let mut present = Vec::new();
        for purpose in purposes {
            let purpose = purpose?;
            if PURPOSES.iter().any(|known| purpose == KeyPurposeId::new(known)) {
                return Ok(());
            }
            present.push(purpose.to_decoded_oid());
        }
        if present.is_empty() {
            return Ok(());
        }
        let required = KeyUsage::server_auth();
        Err(webpki::Error::RequiredEkuNotFoundContext(RequiredEkuNotFoundContext { required, present }))
    }
}

/// The library's own words for what peers understand, and for the log.
fn refused(error: webpki::Error) -> Error {
    let error = match error {
        webpki::Error::CertExpired { time, not_after } => {
            CertificateError::ExpiredContext { time, not_after }
        }
        webpki::Error::CertNotValidYet { time, not_before } => {
            CertificateError::NotValidYetContext { time, not_before }
        }
        webpki::Error::RequiredEkuNotFoundContext(_) => CertificateError::InvalidPurpose,
        webpki::Error::UnknownIssuer => CertificateError::UnknownIssuer,
        webpki::Error::BadDer => CertificateError::BadEncoding,
        other => CertificateError::Other(OtherError(Arc::new(other))),
    };
    Error::InvalidCertificate(error)
}

/// id-kp-serverAuth, id-kp-clientAuth (RFC 5280 §4.2.1.12), id-kp-sipDomain (RFC 5924 §3) and anyExtendedKeyUsage.
const PURPOSES: [&[u8]; 4] = [
    &[0x2b, 6, 1, 5, 5, 7, 3, 1],
    &[0x2b, 6, 1, 5, 5, 7, 3, 2],
    &[0x2b, 6, 1, 5, 5, 7, 3, 20],
    &[0x55, 0x1d, 0x25, 0],
];
