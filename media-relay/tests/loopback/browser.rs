//! A browser stand-in: the `webrtc` crate, an implementation that shares no code with the relay.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use bytes::Bytes;
use relay_api::turn::Credentials;
use relay_api::{Direction, DtlsRole, Fingerprint, LegDescription, LegSpec, WebRtcLeg, WebRtcRemote};
use rtc::interceptor::Registry;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::interceptor_registry::configure_rtcp_reports;
use rtc::peer_connection::configuration::media_engine::{
    MIME_TYPE_PCMU, MIME_TYPE_TELEPHONE_EVENT, MediaEngine,
};
use rtc::peer_connection::configuration::{
    RTCConfiguration, RTCConfigurationBuilder, RTCIceServer, RTCIceTransportPolicy,
};
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use tokio::sync::mpsc;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState,
    RTCPeerConnectionState, SettingEngine, SettingEngineBuilder, SrtpProtectionProfile,
};

pub struct Browser {
    connection: Arc<dyn PeerConnection>,
    track: Arc<TrackLocalStaticRTP>,
    offer: String,
    connected: mpsc::Receiver<()>,
    heard: mpsc::UnboundedReceiver<Heard>,
    sequence: AtomicU16,
}

/// A packet as the browser got it.
#[derive(Debug)]
pub struct Heard {
    pub payload_type: u8,
    pub payload: Bytes,
}

struct Handler {
    gathered: mpsc::Sender<()>,
    connected: mpsc::Sender<()>,
    heard: mpsc::UnboundedSender<Heard>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            _ = self.gathered.try_send(());
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        if state == RTCPeerConnectionState::Connected {
            _ = self.connected.try_send(());
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let heard = self.heard.clone();
        tokio::spawn(async move {
            while let Some(event) = track.poll().await {
                if let TrackRemoteEvent::OnRtpPacket(packet) = event {
                    _ = heard
                        .send(Heard { payload_type: packet.header.payload_type, payload: packet.payload });
                }
            }
        });
    }
}

impl Browser {
    /// A browser with a microphone that has made its offer.
    pub async fn new() -> Self {
        Self::at(LOCALHOST).await
    }

    /// The same at another address and port of this machine.
    pub async fn at(address: &'static str) -> Self {
        Self::with(RTCConfigurationBuilder::new().build(), SettingEngine::default(), address).await
    }

    /// The same for one that knows a single SRTP profile.
    pub async fn of_profile(profile: SrtpProtectionProfile) -> Self {
        let settings = SettingEngineBuilder::new().with_srtp_protection_profiles(vec![profile]).build();
        Self::with(RTCConfigurationBuilder::new().build(), settings, LOCALHOST).await
    }

    /// The same for one that has no way but a TURN server, reached by UDP.
    pub async fn behind(turn: SocketAddr, credentials: &Credentials) -> Self {
        let server = RTCIceServer {
            urls: vec![format!("turn:{turn}?transport=udp")],
            username: credentials.username.clone(),
            credential: credentials.password.clone(),
        };
        let configuration = RTCConfigurationBuilder::new()
            .with_ice_servers(vec![server])
            .with_ice_transport_policy(RTCIceTransportPolicy::Relay)
            .build();
        let browser = Self::with(configuration, SettingEngine::default(), LOCALHOST).await;
        let mut candidates = browser.offer.lines().filter(|line| line.starts_with("a=candidate:")).peekable();
        assert!(candidates.peek().is_some() && candidates.all(|line| line.contains("typ relay")));
        browser
    }

    async fn with(configuration: RTCConfiguration, settings: SettingEngine, address: &'static str) -> Self {
        let codec = |mime: &str, clock_rate| RTCRtpCodec {
            mime_type: mime.to_owned(),
            clock_rate,
            channels: 0,
            sdp_fmtp_line: String::new(),
            rtcp_feedback: vec![],
        };
        let pcmu = codec(MIME_TYPE_PCMU, 8_000);
        let mut engine = MediaEngine::default();
        for (rtp_codec, payload_type) in [(pcmu.clone(), 0), (codec(MIME_TYPE_TELEPHONE_EVENT, 8_000), 126)] {
            let parameters = RTCRtpCodecParameters { rtp_codec, payload_type };
            engine.register_codec(parameters, RtpCodecKind::Audio).unwrap();
        }
        let (gathered, mut gathering) = mpsc::channel(1);
        let (connected_sender, connected) = mpsc::channel(1);
        let (heard_sender, heard) = mpsc::unbounded_channel();
        let handler = Handler { gathered, connected: connected_sender, heard: heard_sender };
        let connection = PeerConnectionBuilder::new()
            .with_configuration(configuration)
            .with_setting_engine(settings)
            .with_media_engine(engine)
            .with_interceptor_registry(configure_rtcp_reports(Registry::new()))
            .with_handler(Arc::new(handler))
            .with_udp_addrs(vec![address])
            .build()
            .await
            .unwrap();
        let track = Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
            "stream".into(),
            "microphone".into(),
            "audio".into(),
            RtpCodecKind::Audio,
            vec![RTCRtpEncodingParameters {
                rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(7), ..Default::default() },
                codec: pcmu,
                ..Default::default()
            }],
        )));
        connection.add_track(Arc::clone(&track) as Arc<dyn TrackLocal>).await.unwrap();
        let offer = connection.create_offer(None).await.unwrap();
        connection.set_local_description(offer).await.unwrap();
        gathering.recv().await;
        let offer = connection.local_description().await.unwrap().sdp;
        Self {
            connection: Arc::new(connection),
            track,
            offer,
            connected,
            heard,
            sequence: AtomicU16::new(65_500),
        }
    }

    /// The leg as signalling would describe it.
    pub fn leg(&self, dtls: DtlsRole) -> LegSpec {
        let attribute = |name: &str| {
            let prefix = format!("a={name}:");
            self.offer.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap().trim().to_owned()
        };
        let fingerprint = attribute("fingerprint");
        let (algorithm, value) = fingerprint.split_once(' ').unwrap();
        LegSpec::WebRtc(WebRtcLeg {
            remote: Some(WebRtcRemote {
                ufrag: attribute("ice-ufrag"),
                password: attribute("ice-pwd"),
                fingerprints: vec![Fingerprint { algorithm: algorithm.to_owned(), value: value.to_owned() }],
            }),
            dtls,
            codecs: vec![super::pcmu(), super::events(126)],
            direction: Direction::SendRecv,
        })
    }

    /// Gives the browser the answer that signalling would make of the relay's description.
    pub async fn accept(&self, description: &LegDescription, dtls: DtlsRole) {
        let LegDescription::WebRtc { ufrag, password, candidates, fingerprint } = description else {
            panic!("not a browser's leg")
        };
        let mid = self.offer.lines().find_map(|line| line.strip_prefix("a=mid:")).unwrap().trim();
        let setup = match dtls {
            DtlsRole::Active => "active",
            DtlsRole::Passive => "passive",
        };
        let (ip, port) = (candidates[0].ip(), candidates[0].port());
        let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
        let answer = [
            "v=0".to_owned(),
            format!("o=- 1 1 IN {family} {ip}"),
            "s=-".to_owned(),
            "t=0 0".to_owned(),
            "a=ice-lite".to_owned(),
            format!("a=group:BUNDLE {mid}"),
            format!("m=audio {port} UDP/TLS/RTP/SAVPF 0 126"),
            format!("c=IN {family} {ip}"),
            format!("a=mid:{mid}"),
            format!("a=ice-ufrag:{ufrag}"),
            format!("a=ice-pwd:{password}"),
            format!("a=fingerprint:{} {}", fingerprint.algorithm, fingerprint.value),
            format!("a=setup:{setup}"),
            "a=sendrecv".to_owned(),
            "a=rtcp-mux".to_owned(),
            "a=rtpmap:0 PCMU/8000".to_owned(),
            "a=rtpmap:126 telephone-event/8000".to_owned(),
        ];
        let host = |(at, address): (usize, &SocketAddr)| {
            let (ip, port) = (address.ip(), address.port());
            format!("a=candidate:{} 1 udp {} {ip} {port} typ host", at + 1, 2_130_706_431 - 256 * at)
        };
        let candidates = candidates.iter().enumerate().map(host);
        let lines: Vec<String> =
            answer.into_iter().chain(candidates).chain(["a=end-of-candidates".to_owned()]).collect();
        let answer = lines.join("\r\n") + "\r\n";
        self.connection.set_remote_description(RTCSessionDescription::answer(answer).unwrap()).await.unwrap();
    }

    /// Waits for ICE and DTLS.
    pub async fn connected(&mut self) {
        self.connected.recv().await.unwrap();
    }

    /// Speaks 20 ms.
    pub async fn say(&self, payload: &[u8]) {
        let sequence_number = self.sequence.fetch_add(1, Ordering::Relaxed);
        let header = rtc::rtp::header::Header {
            version: 2,
            sequence_number,
            timestamp: u32::from(sequence_number) * 160,
            ssrc: 7,
            ..Default::default()
        };
        let packet = rtc::rtp::packet::Packet { header, payload: Bytes::copy_from_slice(payload) };
        self.track.write_rtp(packet).await.unwrap();
    }

    /// Speaks 20 ms that are lost on the way.
    pub fn says_in_vain(&self) {
        self.sequence.fetch_add(1, Ordering::Relaxed);
    }

    /// The next packet heard.
    pub async fn hear(&mut self) -> Heard {
        self.heard.recv().await.unwrap()
    }

    pub async fn close(&self) {
        self.connection.close().await.unwrap();
    }
}

/// Any port there.
const LOCALHOST: &str = "127.0.0.1:0";
