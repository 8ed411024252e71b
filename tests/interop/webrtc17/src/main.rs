//! A browser stand-in made of `webrtc` 0.17: `webrtc17 PROFILE`. It prints its offer, a line `.`, reads the answer until the
//! end of its input, speaks a tone of 440 Hz, and prints `heard` when it has heard 50 frames of the trunk.

use std::error::Error;
use std::f64::consts::TAU;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, stdin};
use tokio::sync::mpsc;
use tokio::time::interval;
use webrtc::api::APIBuilder;
use webrtc::api::media_engine::{MIME_TYPE_PCMU, MediaEngine};
use webrtc::api::setting_engine::SettingEngine;
use webrtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use webrtc::peer_connection::RTCPeerConnection;
use webrtc::peer_connection::configuration::RTCConfiguration;
use webrtc::peer_connection::sdp::session_description::RTCSessionDescription;
use webrtc::rtp::header::Header;
use webrtc::rtp::packet::Packet;
use webrtc::rtp_transceiver::rtp_codec::{RTCRtpCodecCapability, RTCRtpCodecParameters, RTPCodecType};
use webrtc::track::track_local::TrackLocalWriter;
use webrtc::track::track_local::track_local_static_rtp::TrackLocalStaticRTP;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let profile = profile(&std::env::args().nth(1).ok_or("webrtc17 PROFILE")?)?;
    let connection = connection(profile).await?;
    let microphone = Arc::new(TrackLocalStaticRTP::new(pcmu(), "audio".into(), "stream".into()));
    connection.add_track(Arc::clone(&microphone) as _).await?;
    let mut heard = heard(&connection);

    let offer = connection.create_offer(None).await?;
    let mut gathered = connection.gathering_complete_promise().await;
    connection.set_local_description(offer).await?;
    _ = gathered.recv().await;
    let offer = connection.local_description().await.ok_or("no offer")?;
    println!("{}.", offer.sdp);
    let mut answer = String::new();
    stdin().read_to_string(&mut answer).await?;
    connection.set_remote_description(RTCSessionDescription::answer(answer)?).await?;

    let (mut frames, mut pace, mut number) = (0, interval(Duration::from_millis(20)), 0_u16);
    loop {
        tokio::select! {
            _ = pace.tick() => {
                microphone.write_rtp(&frame(number)).await?;
                number = number.wrapping_add(1);
            }
            packet = heard.recv() => {
                frames += u32::from(is_trunk(&packet.ok_or("the track ended")?.payload));
                if frames == 50 {
                    println!("heard");
                }
            }
        }
    }
}

async fn connection(profile: SrtpProtectionProfile) -> Result<RTCPeerConnection, Box<dyn Error>> {
    let mut engine = MediaEngine::default();
    let codec = RTCRtpCodecParameters { capability: pcmu(), payload_type: 0, ..Default::default() };
    engine.register_codec(codec, RTPCodecType::Audio)?;
    let mut settings = SettingEngine::default();
    settings.set_srtp_protection_profiles(vec![profile]);
    settings.set_include_loopback_candidate(true);
    let api = APIBuilder::new().with_media_engine(engine).with_setting_engine(settings).build();
    Ok(api.new_peer_connection(RTCConfiguration::default()).await?)
}

/// The packets of the track that the answer brings.
fn heard(connection: &RTCPeerConnection) -> mpsc::Receiver<Packet> {
    let (sender, receiver) = mpsc::channel(100);
    connection.on_track(Box::new(move |track, _, _| {
        let sender = sender.clone();
        tokio::spawn(async move {
            while let Ok((packet, _)) = track.read_rtp().await {
                if sender.send(packet).await.is_err() {
                    return;
                }
            }
        });
        Box::pin(async {})
    }));
    receiver
}

fn pcmu() -> RTCRtpCodecCapability {
    RTCRtpCodecCapability {
        mime_type: MIME_TYPE_PCMU.to_owned(),
        clock_rate: 8_000,
        channels: 1,
        ..Default::default()
    }
}

fn profile(name: &str) -> Result<SrtpProtectionProfile, String> {
    match name {
        "SRTP_AEAD_AES_256_GCM" => Ok(SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm),
        "SRTP_AEAD_AES_128_GCM" => Ok(SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm),
        "SRTP_AES128_CM_SHA1_80" => Ok(SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80),
        _ => Err(format!("no such profile: {name}")),
    }
}

/// 20 ms of 440 Hz.
fn frame(number: u16) -> Packet {
    let start = u32::from(number) * SAMPLES;
    let sample = |at: u32| encode((f64::from(start + at) * 440.0 * TAU / 8_000.0).sin() * 12_000.0);
    let header =
        Header { version: 2, sequence_number: number, timestamp: start, ssrc: 7, ..Default::default() };
    Packet { header, payload: (0..SAMPLES).map(sample).collect() }
}

/// ITU-T G.711, µ-law.
fn encode(sample: f64) -> u8 {
    let magnitude = (sample.abs() as i32).min(32_635) + 132;
    let segment = (magnitude >> 7).ilog2();
    let sign = if sample < 0.0 { 0x80 } else { 0 };
    !(sign | (segment << 4) as u8 | ((magnitude >> (segment + 3)) & 0x0F) as u8)
}

/// The trunk's 1,000 Hz: eight samples are its period, so that each frame repeats them exactly.
fn is_trunk(payload: &[u8]) -> bool {
    let period = &payload[..8.min(payload.len())];
    payload.len() == SAMPLES as usize
        && period.iter().any(|code| code & 0x70 != 0x70)
        && payload.chunks(8).all(|chunk| chunk.iter().zip(period).all(|(a, b)| a.abs_diff(*b) <= 1))
}

const SAMPLES: u32 = 160;
