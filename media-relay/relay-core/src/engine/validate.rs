//! Whether a specification can be carried out, asked before anything changes.

use std::net::SocketAddr;

use relay_api::{Codec, LegSpec, RelayError, SessionSpec};

use crate::dtls::Expected;

/// The parts of a specification that do not depend on the engine's state.
pub(super) fn check(spec: &SessionSpec) -> Result<(), RelayError> {
    let id = spec.id.0.as_bytes();
    require(
        (1..=64).contains(&id.len())
            && id.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')),
        "the session's id",
    )?;
    leg(&spec.a)?;
    leg(&spec.b)
}

fn leg(spec: &LegSpec) -> Result<(), RelayError> {
    match spec {
        LegSpec::WebRtc(web) => {
            codecs(&web.codecs)?;
            let Some(remote) = &web.remote else { return Ok(()) };
            require((4..=256).contains(&remote.ufrag.len()), "ICE ufrag (RFC 8839 §5.4)")?;
            require((22..=256).contains(&remote.password.len()), "ICE password (RFC 8839 §5.4)")?;
            require(remote.fingerprints.len() <= MAX_FINGERPRINTS, "too many fingerprints")?;
            require(
                remote.fingerprints.iter().any(|one| Expected::parse(one).is_some()),
                "no SHA-2 fingerprint (RFC 8122 §5)",
            )
        }
        LegSpec::Rtp(rtp) => {
            codecs(&rtp.codecs)?;
            let Some(remote) = &rtp.remote else { return Ok(()) };
            require(is_reachable(&remote.rtp) && is_reachable(&remote.rtcp), "an RTP address nobody can have")
        }
        LegSpec::Service(_) => Ok(()),
    }
}

fn codecs(codecs: &[Codec]) -> Result<(), RelayError> {
    require(codecs.len() <= MAX_CODECS, "too many codecs")?;
    require(
        codecs.iter().all(|codec| codec.receive < 128 && codec.send < 128 && codec.clock_rate >= 1_000),
        "a codec's payload type or clock",
    )
}

fn is_reachable(address: &SocketAddr) -> bool {
    let ip = address.ip();
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast()
}

fn require(holds: bool, what: &str) -> Result<(), RelayError> {
    if holds { Ok(()) } else { Err(invalid(what)) }
}

fn invalid(reason: &str) -> RelayError {
    RelayError::Invalid { reason: reason.to_owned() }
}

const MAX_CODECS: usize = 32;
const MAX_FINGERPRINTS: usize = 8;
