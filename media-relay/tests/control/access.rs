//! Who gets in.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use daemon::certificate::Certificate;
use daemon::tls;
use media_relay::control::{Protection, ProtectionFiles};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::ClientConfig;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::client::{Answer, exchange, request};
use crate::lab::Lab;

#[tokio::test]
async fn without_a_token_of_the_file_nothing_is_answered() {
    let (old, new) = ("o".repeat(32), "n".repeat(48));
    let lab = Lab::with_tokens(25_250..=25_259, &format!("{old}\n{new}\n")).await;
    let ask = |authorization: String| {
        let text = request("GET", "/v1/status", &authorization, "");
        async move { exchange(lab.at, &text).await }
    };
    for token in [&old, &new] {
        assert_eq!(ask(format!("Authorization: Bearer {token}\r\n")).await.status, 200);
    }
    let wrong = [
        String::new(),
        "Authorization: Bearer\r\n".into(),
        format!("Authorization: Basic {old}\r\n"),
        format!("Authorization: Bearer {}\r\n", &old[1..]),
        format!("Authorization: Bearer {old}{new}\r\n"),
        format!("Authorization: Bearer {}\r\n", "x".repeat(8_000)),
    ];
    for authorization in wrong {
        let refused = ask(authorization.clone()).await;
        assert_eq!((refused.status, refused.error().as_str()), (401, "unauthorized"), "{authorization}");
        assert!(refused.head.contains("www-authenticate: bearer"));
    }
}

#[tokio::test] // whatever is asked for: also what is not there, and bodies are not read
async fn who_is_refused_learns_nothing_about_what_there_is() {
    let lab = Lab::with_tokens(25_260..=25_269, &"t".repeat(32)).await;
    let mut answers = Vec::new();
    for (method, path, body) in [
        ("GET", "/v1/status", ""),
        ("GET", "/v1/sessions/ghost", ""),
        ("GET", "/nowhere", ""),
        ("PATCH", "/v1/status", ""),
        ("PUT", "/v1/sessions/call", "{}"),
        ("GET", "/v1/events", ""),
    ] {
        let answer = exchange(lab.at, &request(method, path, "", body)).await;
        answers.push((answer.status, answer.body));
    }
    answers.dedup();
    assert_eq!(answers, [(401, r#"{"error":"unauthorized"}"#.to_owned())]);
}

#[tokio::test]
async fn with_an_authority_only_its_clients_get_in() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    Certificate::self_signed(folder.path(), &[]).unwrap();
    let (authority, member) = client_certificate();
    fs::write(file("ca.pem"), authority).unwrap();
    let (chain, key) = (file("self-signed.pem"), file("self-signed.key"));
    let protection = Protection::read(ProtectionFiles {
        certificate: Some((&chain, &key)),
        client_authorities: Some(&file("ca.pem")),
        tokens: None,
    });
    let lab = Lab::with(25_270..=25_279, 10, protection.unwrap()).await;
    assert_eq!(over_tls(&lab, member, &chain).await.unwrap().status, 200);
    let (_, stranger) = client_certificate();
    assert!(over_tls(&lab, stranger, &chain).await.is_err(), "of another authority");
    let anonymous = tls::client(tls::authorities(&chain).unwrap()).unwrap();
    assert!(ask(&lab, anonymous).await.is_err(), "without a certificate");
}

#[test]
fn every_file_that_is_wrong_is_named_at_once() {
    let missing = Path::new("/nowhere/file");
    let errors = Protection::read(ProtectionFiles {
        certificate: Some((missing, missing)),
        client_authorities: None,
        tokens: Some(Path::new("/nowhere/tokens")),
    });
    let errors: Vec<String> = errors.unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].contains("/nowhere/tokens") && errors[1].contains("/nowhere/file"));
}

type ClientCertificate = (rcgen::Certificate, KeyPair);

/// An authority (PEM), and what it gave to a client.
fn client_certificate() -> (String, ClientCertificate) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let mut params = CertificateParams::new(vec!["gateway".to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    (authority, (params.signed_by(&key, &issuer).unwrap(), key))
}

async fn over_tls(lab: &Lab, (certificate, key): ClientCertificate, chain: &Path) -> std::io::Result<Answer> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(tls::authorities(chain).unwrap())
        .with_client_auth_cert(vec![certificate.der().clone()], key)
        .unwrap();
    ask(lab, Arc::new(config)).await
}

async fn ask(lab: &Lab, config: Arc<ClientConfig>) -> std::io::Result<Answer> {
    let stream = TcpStream::connect(lab.at).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(config).connect(name, stream).await?;
    stream.write_all(request("GET", "/v1/status", "", "").as_bytes()).await?;
    let mut answer = String::new();
    match stream.read_to_string(&mut answer).await {
        // The end of the connection without a word of TLS about it.
        Err(error) if answer.is_empty() => Err(error),
        _ => Ok(Answer::parse(&answer)),
    }
}
