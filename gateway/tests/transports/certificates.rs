//! Whose certificates are taken and which are shown, towards trunks and from them: RFC 5922 §7, RFC 5924.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use daemon::certificate::Certificate;
use daemon::tls;
use gateway::adapters::peer_certificate::{Names, PeerCertificate, Trust, Whose};
use gateway::adapters::{DialSettings, Kind, Limits, TrunkTls};
use gateway::ports::transport::{
    Destination, Edge, Otherwise, SendError, StreamProtocol, StreamTarget, Transport,
};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use rustls::client::ResolvesClientCert;
use rustls::pki_types::ServerName;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;

use crate::recorder::{Heard, Lab};
use crate::tcp::options;

#[tokio::test] // RFC 5922 §7.1: URIs first, and names for DNS only where there are none
async fn a_certificate_names_a_sip_domain_or_a_host() {
    let all = ["URI:sip:pbx.example", "URI:sip:PBX.example:5061", "DNS:pbx.example"];
    for san in all {
        assert!(Dialled::with(&[san]).gets_through().await, "{san}");
    }
    assert!(Dialled::with(&["URI:sip:pbx.example", "DNS:sbc.example"]).gets_through().await);
    for san in
        ["URI:sip:other.example", "URI:sip:alice@pbx.example", "URI:https://pbx.example/", "DNS:example"]
    {
        assert!(!Dialled::with(&[san]).gets_through().await, "{san}");
    }
    assert!(!Dialled::with(&["URI:sip:other.example", "DNS:pbx.example"]).gets_through().await);
    assert!(Dialled::with(&["URI:https://pbx.example/", "DNS:pbx.example"]).gets_through().await);
}

#[tokio::test]
async fn names_that_are_configured_for_the_certificate_stand_instead_of_the_host() {
    let listed = |names: &[&str]| Names::Listed(names.iter().map(|name| server_name(name)).collect());
    let host_only =
        Dialled { names: listed(&["sbc.example", "pbx.example"]), ..Dialled::with(&["DNS:sbc.example"]) };
    assert!(host_only.gets_through().await);
    let other = Dialled { names: listed(&["sbc.example"]), ..Dialled::with(&["DNS:pbx.example"]) };
    assert!(!other.gets_through().await);
    let address = Dialled { names: listed(&["192.0.2.7"]), ..Dialled::with(&["IP:192.0.2.7"]) };
    assert!(address.gets_through().await);
}

#[tokio::test] // RFC 5924 §4; public authorities sign for servers alone
async fn a_peer_of_either_side_may_have_any_purpose_of_a_sip_peer() {
    let sip_domain = ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 5, 5, 7, 3, 20]);
    let purposes = [
        (vec![], true),
        (vec![ExtendedKeyUsagePurpose::ServerAuth], true),
        (vec![ExtendedKeyUsagePurpose::ClientAuth], true),
        (vec![ExtendedKeyUsagePurpose::CodeSigning, sip_domain], true),
        (vec![ExtendedKeyUsagePurpose::Any], true),
        (vec![ExtendedKeyUsagePurpose::CodeSigning], false),
    ];
    for (purposes, is_good) in purposes {
        let dialled = Dialled { purposes: purposes.clone(), ..Dialled::with(&["DNS:pbx.example"]) };
        assert_eq!(dialled.gets_through().await, is_good, "it is dialled: {purposes:?}");
        let accepted = Accepted { purposes: purposes.clone(), ..Accepted::with(&["DNS:pbx.example"]) };
        assert_eq!(accepted.gets_through().await, is_good, "it dials: {purposes:?}");
    }
}

#[tokio::test] // as `openssl req -x509` makes them, and as PBXs do
async fn a_certificate_of_its_own_is_taken_if_it_is_the_configured_one() {
    for is_ca in [IsCa::NoCa, IsCa::ExplicitNoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let own =
            |sans: &[&str], whose| Dialled { signer: Signer::Itself(is_ca), whose, ..Dialled::with(sans) };
        assert!(own(&["DNS:pbx.example"], Whose::EveryTrunk).gets_through().await, "{is_ca:?}");
        assert!(
            !own(&["DNS:other.example"], Whose::EveryTrunk).gets_through().await,
            "of another trunk perhaps"
        );
        assert!(
            own(&["DNS:other.example"], Whose::OneTrunk).gets_through().await,
            "{is_ca:?}: known by itself"
        );
        let stranger = Dialled {
            signer: Signer::Unknown,
            whose: Whose::OneTrunk,
            ..Dialled::with(&["DNS:pbx.example"])
        };
        assert!(!stranger.gets_through().await);
    }
}

#[tokio::test]
async fn dates_count_unless_the_certificate_itself_is_configured() {
    let late = (2000, 2001);
    let expired = Dialled { years: late, ..Dialled::with(&["DNS:pbx.example"]) };
    assert!(!expired.gets_through().await);
    let future = Dialled { years: (2999, 3000), ..Dialled::with(&["DNS:pbx.example"]) };
    assert!(!future.gets_through().await);
    let pinned = Dialled {
        years: late,
        signer: Signer::Itself(IsCa::NoCa),
        whose: Whose::OneTrunk,
        ..Dialled::with(&[])
    };
    assert!(pinned.gets_through().await);
}

#[tokio::test] // mutual TLS: Teams, CUCM, another gateway
async fn a_trunk_that_asks_for_a_certificate_is_shown_ours() {
    let lab = Files::new();
    let (authority, ours, theirs) = (Authority::new(), ["DNS:gw.example"], ["DNS:pbx.example"]);
    let (ours, theirs) = (authority.issue(&ours, &[]), authority.issue(&theirs, &[]));
    let ca = lab.write("ca", &authority.pem);
    let mut roots = RootCertStore::empty();
    roots.add(authority.der.clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build().unwrap();
    let pbx = tls::server_demanding(lab.certificate("theirs", &theirs), verifier).unwrap();
    for (shown, is_taken) in [(Some(lab.certificate("ours", &ours)), true), (None, false)] {
        let judge = judge(&ca, Whose::OneTrunk, Names::OfHosts(Vec::new()));
        let shown = shown.map(|certificate| certificate as Arc<dyn ResolvesClientCert>);
        let client = tls::client_judging(Arc::new(judge), shown).unwrap();
        assert_eq!(carries(pbx.clone(), client).await, is_taken);
    }
}

#[tokio::test]
async fn a_certificate_is_demanded_from_the_trunk_that_has_to_show_one_and_from_nobody_else() {
    let accepted = || Accepted::with(&["DNS:pbx.example"]);
    assert!(accepted().gets_through().await);
    assert!(!Accepted { shows: Shows::None, ..accepted() }.gets_through().await);
    assert!(!Accepted { shows: Shows::OfAStranger, ..accepted() }.gets_through().await);
    assert!(!Accepted::with(&["DNS:other.example"]).gets_through().await, "it has to bear the trunk's name");
    for shows in [Shows::None, Shows::OfAStranger] {
        assert!(Accepted { demanded_from: "192.0.2.0/24", shows, ..accepted() }.gets_through().await);
    }
}

#[tokio::test]
async fn what_is_trusted_can_be_replaced_and_no_session_outlives_it() {
    let lab = Files::new();
    let (one, two) = (Authority::new(), Authority::new());
    let (of_one, of_two) = (lab.write("one", &one.pem), lab.write("two", &two.pem));
    let names = || Names::OfHosts(Vec::new());
    let judge = Arc::new(judge(&of_one, Whose::OneTrunk, names()));
    let client = tls::client_judging(judge.clone(), None).unwrap();
    let server =
        tls::server(lab.certificate("pbx", &one.issue(&["DNS:pbx.example"], &[])), None, &[]).unwrap();
    assert!(carries(server.clone(), client.clone()).await);
    judge.replace(&self::judge(&of_two, Whose::OneTrunk, names()));
    assert!(!carries(server, client.clone()).await);
    let server =
        tls::server(lab.certificate("pbx", &two.issue(&["DNS:pbx.example"], &[])), None, &[]).unwrap();
    assert!(carries(server, client).await);
}

/// A trunk `pbx.example` that we dial.
struct Dialled {
    sans: Vec<String>,
    purposes: Vec<ExtendedKeyUsagePurpose>,
    years: (i32, i32),
    signer: Signer,
    whose: Whose,
    names: Names,
}

/// Who signed the trunk's certificate.
enum Signer {
    Authority,
    /// Itself, and it is what is configured.
    Itself(IsCa),
    Unknown,
}

impl Dialled {
    fn with(sans: &[&str]) -> Self {
        Self {
            sans: sans.iter().map(ToString::to_string).collect(),
            purposes: Vec::new(),
            years: (2020, 2999),
            signer: Signer::Authority,
            whose: Whose::EveryTrunk,
            names: Names::OfHosts(vec![server_name("of-no-account.example")]),
        }
    }

    /// Does a message get through to it?
    async fn gets_through(self) -> bool {
        let lab = Files::new();
        let authority = Authority::new();
        let sans: Vec<&str> = self.sans.iter().map(String::as_str).collect();
        let mut params = params(&sans, &self.purposes);
        (params.not_before, params.not_after) =
            (rcgen::date_time_ymd(self.years.0, 1, 1), rcgen::date_time_ymd(self.years.1, 1, 1));
        let issued = match &self.signer {
            Signer::Authority => authority.sign(params),
            Signer::Unknown => Authority::new().sign(params),
            Signer::Itself(is_ca) => {
                params.is_ca = *is_ca;
                let key = KeyPair::generate().unwrap();
                Issued { chain: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
            }
        };
        let trusted = match self.signer {
            Signer::Authority | Signer::Unknown => &authority.pem,
            Signer::Itself(_) => &issued.chain,
        };
        let judge = judge(&lab.write("ca", trusted), self.whose, self.names);
        let client = tls::client_judging(Arc::new(judge), None).unwrap();
        let server = tls::server(lab.certificate("pbx", &issued), None, &[]).unwrap();
        carries(server, client).await
    }
}

/// A trunk `pbx.example` that dials us from 127.0.0.1.
struct Accepted {
    sans: Vec<String>,
    purposes: Vec<ExtendedKeyUsagePurpose>,
    shows: Shows,
    /// The networks of the trunk that has to show one.
    demanded_from: &'static str,
}

/// What the trunk shows.
enum Shows {
    OfTheAuthority,
    OfAStranger,
    None,
}

impl Accepted {
    fn with(sans: &[&str]) -> Self {
        Self {
            sans: sans.iter().map(ToString::to_string).collect(),
            purposes: Vec::new(),
            shows: Shows::OfTheAuthority,
            demanded_from: "127.0.0.0/8",
        }
    }

    async fn gets_through(self) -> bool {
        let lab = Files::new();
        let (authority, gateway) = (Authority::new(), Authority::new());
        let sans: Vec<&str> = self.sans.iter().map(String::as_str).collect();
        let shown = match self.shows {
            Shows::OfTheAuthority => Some(authority.issue(&sans, &self.purposes)),
            Shows::OfAStranger => Some(Authority::new().issue(&sans, &self.purposes)),
            Shows::None => None,
        };
        let shown = shown.map(|issued| lab.certificate("shown", &issued) as Arc<dyn ResolvesClientCert>);
        let of_gateway =
            judge(&lab.write("gateway", &gateway.pem), Whose::OneTrunk, Names::OfHosts(Vec::new()));
        let client = tls::client_judging(Arc::new(of_gateway), shown).unwrap();

        let ours = lab.certificate("ours", &gateway.issue(&["DNS:pbx.example"], &[]));
        let names = Names::OfHosts(vec![server_name("pbx.example")]);
        let peers = Arc::new(judge(&lab.write("ca", &authority.pem), Whose::OneTrunk, names));
        let demanding = tls::server_demanding(ours.clone(), peers).unwrap();
        let tls = TrunkTls {
            by_network: vec![(vec![self.demanded_from.parse().unwrap()], demanding)],
            others: tls::server(ours, None, &[]).unwrap(),
        };
        carries_to(tls, client).await
    }
}

/// Does a message reach a listener with this TLS, dialled as `pbx.example`?
async fn carries(server: Arc<ServerConfig>, client: Arc<rustls::ClientConfig>) -> bool {
    carries_to(TrunkTls { by_network: Vec::new(), others: server }, client).await
}

async fn carries_to(tls: TrunkTls, client: Arc<rustls::ClientConfig>) -> bool {
    let mut lab = Lab::new();
    let settings = DialSettings {
        name: "trunks".into(),
        limits: Limits::trunk(),
        connect_within: Duration::from_secs(10),
        local: None,
        tls: [("pbx".into(), client)].into(),
    };
    lab.transports.dial_with(settings, lab.recorder.clone());
    let remote = lab.listen(Edge::Trunk, Kind::Tls(tls), Limits::trunk());
    let to = StreamTarget {
        protocol: StreamProtocol::Tls,
        trunk: "pbx".into(),
        remote,
        server_name: Some("pbx.example".into()),
    };
    let connection = lab.transports.reach(&to, Otherwise::Nothing).unwrap();
    lab.transports.send(&Destination::Connection(connection), options("tls").into()).unwrap();
    loop {
        match lab.next().await {
            Heard::Opened(_) => {}
            Heard::Message(..) => return true,
            // TLS 1.3: the one that dials hears of a refusal after it has done its part of the handshake.
            Heard::Closed(_) | Heard::Unreachable(_, SendError::Unreachable | SendError::Gone) => {
                return false;
            }
            other @ Heard::Unreachable(..) => panic!("{other:?}"),
        }
    }
}

fn judge(file: &std::path::Path, whose: Whose, names: Names) -> PeerCertificate {
    PeerCertificate::new(Trust::read(file, whose).unwrap(), names)
}

fn server_name(name: &str) -> ServerName<'static> {
    ServerName::try_from(name.to_owned()).unwrap()
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// PEM of a chain and its key.
struct Issued {
    chain: String,
    key: String,
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: rustls::pki_types::CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { pem: certificate.pem(), der: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    fn issue(&self, sans: &[&str], purposes: &[ExtendedKeyUsagePurpose]) -> Issued {
        self.sign(params(sans, purposes))
    }

    fn sign(&self, params: CertificateParams) -> Issued {
        let key = KeyPair::generate().unwrap();
        Issued { chain: params.signed_by(&key, &self.issuer).unwrap().pem(), key: key.serialize_pem() }
    }
}

fn params(sans: &[&str], purposes: &[ExtendedKeyUsagePurpose]) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.subject_alt_names = sans
        .iter()
        .map(|san| match san.split_once(':').unwrap() {
            ("URI", uri) => SanType::URI(uri.try_into().unwrap()),
            ("DNS", name) => SanType::DnsName(name.try_into().unwrap()),
            (_, address) => SanType::IpAddress(address.parse().unwrap()),
        })
        .collect();
    params.extended_key_usages = purposes.to_vec();
    params
}

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn certificate(&self, name: &str, issued: &Issued) -> Arc<Certificate> {
        let chain = self.write(&format!("{name}.pem"), &issued.chain);
        Certificate::load(&chain, &self.write(&format!("{name}.key"), &issued.key)).unwrap()
    }
}
