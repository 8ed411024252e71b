//! From a peer's [`Description`] to its [`RemoteAudio`]: which stream we take, and whether we can.

use std::net::{IpAddr, SocketAddr};

use relay_api::{Direction, Fingerprint};

use super::audio::{Format, IceParameters, Profile, RemoteAudio};
use super::codec::CodecName;
use super::description::{Address, Description, Media, Number, Payload, Transport};
use super::error::{SdpError, Unacceptable};
use super::fmtp;
use super::layout::Protocol;

/// The m-line of an offer we take: the one in use if it still fits, else the first that fits.
///
/// # Errors
/// None fits: for what could not be read of one, if that may be why.
pub(super) fn choose(
    offer: &Description<'_>,
    profile: Profile,
    in_use: Option<usize>,
) -> Result<usize, SdpError> {
    let fits = |at: &usize| offer.media.get(*at).is_some_and(|media| fits(media, profile));
    in_use.filter(fits).or_else(|| (0..offer.media.len()).find(fits)).ok_or_else(|| {
        let mut sound = offer.media.iter().filter(|media| media.kind == "audio");
        let flaw = sound.find_map(|media| media.flaws.any());
        flaw.map_or(SdpError::NotAcceptable(Unacceptable::NoAudio), SdpError::from)
    })
}

/// Reads one stream of a description.
pub(super) fn read(
    description: &Description<'_>,
    at: usize,
    profile: Profile,
    our_session: u64,
) -> Result<RemoteAudio, SdpError> {
    let media = description.media.get(at).ok_or(SdpError::NotAcceptable(Unacceptable::NoAudio))?;
    if let Some(flaw) = media.flaws.line {
        return Err(flaw.into());
    }
    let mut audio = common(description, media, profile, our_session);
    if !audio.rejected {
        if media.kind != "audio" || Protocol::of(media.protocol, profile).is_none() {
            return Err(SdpError::NotAcceptable(Unacceptable::NoAudio));
        }
        match profile {
            Profile::WebRtc => secured(&mut audio, description, media)?,
            Profile::PlainRtp => read_plain(&mut audio, description, media)?,
        }
    }
    Ok(audio)
}

fn fits(media: &Media<'_>, profile: Profile) -> bool {
    media.kind == "audio"
        && (media.port != 0 || media.bundle_only)
        && Protocol::of(media.protocol, profile).is_some()
        && !media.formats.is_empty()
}

/// What both profiles say alike.
fn common(
    description: &Description<'_>,
    media: &Media<'_>,
    profile: Profile,
    our_session: u64,
) -> RemoteAudio {
    let rejected = media.port == 0 && !media.bundle_only;
    let formats: &[Payload<'_>] = if rejected { &[] } else { &media.formats };
    let direction = media.direction.or(description.direction).unwrap_or_default();
    RemoteAudio {
        profile,
        formats: formats.iter().map(format).collect(),
        direction,
        rtp: None,
        rtcp: None,
        rtcp_mux: media.rtcp_mux,
        ice: None,
        fingerprints: Vec::new(),
        setup: None,
        ptime: media.ptime,
        held: rejected || !direction.receives(),
        rejected,
        origin_id: description.origin.id.to_string(),
        origin_version: description.origin.version.to_string(),
        echoed: description.origin.id == Number::Value(our_session),
    }
}

fn format(payload: &Payload<'_>) -> Format {
    let codec = CodecName::of_name(payload.name);
    Format {
        name: codec.map(CodecName::as_str).unwrap_or(payload.name).to_owned(),
        clock_rate: payload.clock_rate,
        channels: payload.channels,
        payload_type: payload.payload_type,
        fmtp: codec.zip(payload.fmtp).and_then(|(codec, parameters)| fmtp::known(codec, parameters)),
    }
}

/// What stands under the m-line must be readable; what stands before it, where it is the only one.
fn secured(
    audio: &mut RemoteAudio,
    description: &Description<'_>,
    media: &Media<'_>,
) -> Result<(), SdpError> {
    if let Some(flaw) = media.flaws.transport {
        return Err(flaw.into());
    }
    let default = description.flaws.transport;
    read_webrtc(audio, description, media).map_err(|lack| default.map_or(lack, SdpError::from))
}

/// RFC 8829 §5.8: without ICE credentials, a fingerprint and rtcp-mux there is no way to send a browser anything.
fn read_webrtc(
    audio: &mut RemoteAudio,
    description: &Description<'_>,
    media: &Media<'_>,
) -> Result<(), SdpError> {
    let shared = bundled_with(description, media);
    let levels = [Some(&media.transport), shared, Some(&description.transport)];
    // RFC 8839 §5.4: what stands before the m-lines is the default of each by itself.
    let ufrag = levels.into_iter().flatten().find_map(|level| level.ufrag);
    let password = levels.into_iter().flatten().find_map(|level| level.password);
    let (ufrag, password) =
        ufrag.zip(password).ok_or(SdpError::NotAcceptable(Unacceptable::NoIceCredentials))?;
    if description.ice_lite {
        return Err(SdpError::NotAcceptable(Unacceptable::BothIceLite));
    }
    audio.ice = Some(IceParameters { ufrag: ufrag.to_owned(), password: password.to_owned(), lite: false });
    audio.fingerprints = fingerprints(levels);
    audio.setup = levels.into_iter().flatten().find_map(|level| level.setup);
    if audio.fingerprints.is_empty() {
        return Err(SdpError::NotAcceptable(Unacceptable::NoFingerprint));
    }
    if audio.setup.is_none() {
        return Err(SdpError::NotAcceptable(Unacceptable::NoDtlsRole));
    }
    if !media.rtcp_mux && shared.is_none() {
        return Err(SdpError::NotAcceptable(Unacceptable::NoRtcpMux));
    }
    audio.rtcp_mux = true;
    Ok(())
}

/// RFC 9143 §7.1: a bundle-only stream uses the transport of the first stream of its group.
fn bundled_with<'d, 'a>(description: &'d Description<'a>, media: &Media<'a>) -> Option<&'d Transport<'a>> {
    let mid = media.mid.filter(|_| media.bundle_only)?;
    let tagged = description.bundle.first().filter(|_| description.bundle.contains(&mid))?;
    let shared = description.media.iter().find(|media| media.mid == Some(tagged))?;
    Some(&shared.transport)
}

/// RFC 8122 §5: those under the m-line replace those before it.
fn fingerprints(levels: [Option<&Transport<'_>>; 3]) -> Vec<Fingerprint> {
    let level = levels.into_iter().flatten().find(|level| !level.fingerprints.is_empty());
    let pairs = level.map_or(&[][..], |level| &level.fingerprints);
    pairs
        .iter()
        .map(|(algorithm, value)| Fingerprint {
            algorithm: algorithm.to_ascii_lowercase(),
            value: value.to_ascii_uppercase(),
        })
        .collect()
}

/// RFC 3264 §5.1: address and port are where the peer receives.
fn read_plain(
    audio: &mut RemoteAudio,
    description: &Description<'_>,
    media: &Media<'_>,
) -> Result<(), SdpError> {
    let ip = usable(connection(description, media)?)?;
    if ip.is_unspecified() {
        // RFC 3264 §8.4: the hold of RFC 2543; neither RTP nor RTCP may be sent there.
        audio.direction = Direction::of(audio.direction.sends(), false);
        audio.held = true;
        return Ok(());
    }
    audio.rtp = Some(SocketAddr::new(ip, media.port));
    audio.rtcp = rtcp(media, ip)?;
    Ok(())
}

/// A `c=` that can't be read is not the same as none: sound would go to a place that was not meant.
fn connection<'a>(description: &Description<'a>, media: &Media<'a>) -> Result<Address<'a>, SdpError> {
    let own = media.flaws.connection.map_or(Ok(media.connection), Err)?;
    let default = || description.flaws.connection.map_or(Ok(description.connection), Err);
    let address = own.map_or_else(default, |address| Ok(Some(address)))?;
    address.ok_or(SdpError::NotAcceptable(Unacceptable::NoAddress))
}

/// RFC 3605, else the port above RTP's (RFC 3550 §11).
fn rtcp(media: &Media<'_>, ip: IpAddr) -> Result<Option<SocketAddr>, SdpError> {
    let Some(rtcp) = &media.rtcp else {
        return Ok(media.port.checked_add(1).map(|port| SocketAddr::new(ip, port)));
    };
    let ip = rtcp.address.map_or(Ok(ip), usable)?;
    Ok(Some(SocketAddr::new(ip, rtcp.port)).filter(|_| rtcp.port != 0 && !ip.is_unspecified()))
}

/// One host, named by a literal.
fn usable(address: Address<'_>) -> Result<IpAddr, SdpError> {
    match address {
        Address::Name(_) => Err(SdpError::NotAcceptable(Unacceptable::HostName)),
        Address::Ip(ip) if ip.is_multicast() => Err(SdpError::NotAcceptable(Unacceptable::Multicast)),
        Address::Ip(IpAddr::V4(ip)) if ip.is_broadcast() => {
            Err(SdpError::NotAcceptable(Unacceptable::Broadcast))
        }
        Address::Ip(ip) => Ok(ip),
    }
}
