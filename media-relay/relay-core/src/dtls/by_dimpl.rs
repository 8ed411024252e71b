//! [`dimpl`] behind the [`Dtls`] trait: DTLS 1.2, ECDSA P-256.
//!
//! Its key exchange draws from the operating system, so that a handshake is the one thing in this crate that a seed
//! does not repeat.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::{Config, DtlsCertificate, SrtpProfile, certificate};
use relay_api::{DtlsRole, Fingerprint};
use zeroize::Zeroizing;

use super::{Broken, Dtls, Identity, Output};
use crate::srtp::Profile;

/// A self-signed certificate and the settings of its associations.
pub struct DimplIdentity {
    certificate: DtlsCertificate,
    fingerprint: Fingerprint,
    config: Arc<Config>,
}

impl DimplIdentity {
    /// Makes a new key and certificate.
    pub fn generate() -> Result<Self, Broken> {
        let certificate =
            certificate::generate_self_signed_certificate().map_err(|error| Broken(error.to_string()))?;
        let config = Config::builder()
            .mtu(MTU)
            // The source is known to receive what we send: ICE has checked it.
            .use_server_cookie(false)
            .flight_start_rto(FIRST_REPEAT)
            .flight_retries(REPEATS)
            .build()
            .map_err(|error| Broken(error.to_string()))?;
        let fingerprint =
            Fingerprint { algorithm: "sha-256".to_owned(), value: certificate.fingerprint_str() };
        Ok(Self { certificate, fingerprint, config: Arc::new(config) })
    }
}

impl Identity for DimplIdentity {
    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint.clone()
    }

    fn start(&self, role: DtlsRole, now: Instant) -> Box<dyn Dtls> {
        let mut dtls = dimpl::Dtls::new_12(Arc::clone(&self.config), self.certificate.clone(), now);
        dtls.set_active(role == DtlsRole::Active);
        Box::new(dtls)
    }
}

impl Dtls for dimpl::Dtls {
    fn handle_input(&mut self, datagram: &[u8], now: Instant) -> Result<(), Broken> {
        Self::handle_timeout(self, now).and_then(|()| self.handle_packet(datagram)).map_err(broken)
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Broken> {
        Self::handle_timeout(self, now).map_err(broken)
    }

    fn poll_output<'a>(&mut self, buffer: &'a mut [u8]) -> Output<'a> {
        loop {
            // A new borrow per round, as only the last one leaves the loop.
            match Self::poll_output(self, buffer) {
                dimpl::Output::Packet(datagram) => {
                    let length = datagram.len();
                    return Output::Send(&buffer[..length]);
                }
                dimpl::Output::PeerCert(der) => {
                    let length = der.len();
                    return Output::Certificate(&buffer[..length]);
                }
                dimpl::Output::KeyingMaterial(material, profile) => {
                    if let Some(profile) = known(profile) {
                        return Output::Keys(profile, Zeroizing::new(material.to_vec()));
                    }
                }
                dimpl::Output::Timeout(until) => return Output::Wait(until),
                // Connected, data, close_notify: the keys are all that the relay wants; the call ends by SIP.
                _ => {}
            }
        }
    }
}

fn known(profile: SrtpProfile) -> Option<Profile> {
    match profile {
        SrtpProfile::AEAD_AES_256_GCM => Some(Profile::AeadAes256Gcm),
        SrtpProfile::AEAD_AES_128_GCM => Some(Profile::AeadAes128Gcm),
        SrtpProfile::AES128_CM_SHA1_80 => Some(Profile::Aes128CmSha1),
        _ => None,
    }
}

fn broken(error: dimpl::Error) -> Broken {
    Broken(error.to_string())
}

/// Below what tunnels leave of 1,280.
const MTU: usize = 1_200;

/// A voice call cannot wait the second that RFC 6347 §4.2.4.1 begins with; it doubles from here.
const FIRST_REPEAT: Duration = Duration::from_millis(200);

/// 200 ms doubled seven times passes the handshake's 30 s.
const REPEATS: usize = 8;
