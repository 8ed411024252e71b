//! What TLS the listeners of browsers and trunks speak: 1.2 and 1.3, AEAD with ephemeral keys, no renegotiation.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use daemon::certificate::Certificate;
use daemon::tls;
use gateway::adapters::{Kind, Limits, TrunkTls};
use gateway::ports::transport::Edge;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::recorder::{Lab, soon, web};

/// A listener of each kind that speaks TLS.
fn listeners(lab: &Lab) -> (TempDir, [SocketAddr; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::self_signed(folder.path(), &[]).unwrap();
    let tls = tls::server(certificate.clone(), None, &[tls::HTTP]).unwrap();
    let browsers = Kind::Wss { web: web(), tls, turn: None };
    let trunks =
        Kind::Tls(TrunkTls { by_network: Vec::new(), others: tls::server(certificate, None, &[]).unwrap() });
    let at = [
        lab.listen(Edge::Browser, browsers, patient(Limits::browser())),
        lab.listen(Edge::Trunk, trunks, patient(Limits::trunk())),
    ];
    (folder, at)
}

/// Nobody is closed for want of time.
fn patient(limits: Limits) -> Limits {
    Limits { handshake: Duration::from_secs(3_600), ..limits }
}

#[tokio::test]
async fn ephemeral_keys_with_aead_are_taken() {
    let lab = Lab::new();
    let (_folder, listeners) = listeners(&lab);
    for at in listeners {
        for suite in [ECDHE_ECDSA_AES128_GCM, ECDHE_ECDSA_AES256_GCM, ECDHE_ECDSA_CHACHA20] {
            assert_eq!(answer(at, TLS_1_2, &[suite]).await, Answer::ServerHello, "{suite:04x}");
        }
    }
}

#[tokio::test] // RFC 8996
async fn tls_1_0_and_1_1_are_refused() {
    let lab = Lab::new();
    let (_folder, listeners) = listeners(&lab);
    for at in listeners {
        for version in [SSL_3, TLS_1_0, TLS_1_1] {
            let suites = [ECDHE_ECDSA_AES128_GCM, ECDHE_ECDSA_AES128_CBC, RSA_AES128_CBC];
            assert_eq!(answer(at, version, &suites).await, Answer::Alert(PROTOCOL_VERSION), "{version:04x}");
        }
    }
}

#[tokio::test] // RFC 9325 §4.2
async fn suites_without_aead_or_without_ephemeral_keys_are_refused() {
    let lab = Lab::new();
    let (_folder, listeners) = listeners(&lab);
    let weak = [
        ECDHE_ECDSA_AES128_CBC,
        ECDHE_RSA_AES128_CBC,
        RSA_AES128_CBC,
        RSA_AES128_GCM,
        RSA_3DES,
        RSA_RC4,
        RSA_NULL,
        DH_ANON_AES128_CBC,
        EXPORT_RC4,
    ];
    for at in listeners {
        for suite in weak {
            assert_eq!(answer(at, TLS_1_2, &[suite]).await, Answer::Alert(HANDSHAKE_FAILURE), "{suite:04x}");
        }
        assert_eq!(answer(at, TLS_1_2, &weak).await, Answer::Alert(HANDSHAKE_FAILURE));
    }
}

#[tokio::test] // RFC 8446 §5.1: a message may be cut into records
async fn a_client_hello_that_goes_on_and_on_is_closed() {
    let lab = Lab::new();
    let (_folder, listeners) = listeners(&lab);
    let message = [&[1, 0, 0xFF, 0xF0, 3, 3][..], &[1; 64_900]].concat();
    let record = |part: &[u8]| [&[22, 3, 1][..], &(part.len() as u16).to_be_bytes(), part].concat();
    let hello: Vec<u8> = message.chunks(4_000).flat_map(record).collect();
    for at in listeners {
        let mut stream = TcpStream::connect(at).await.unwrap();
        // A reset is an end, too.
        let _ = stream.write_all(&hello).await;
        let _ = soon(stream.read_to_end(&mut Vec::new())).await;
    }
}

/// On the trunks' listener the question stays unanswered until we have something to send; the library is the same.
#[tokio::test] // RFC 5246 §7.2.2: no_renegotiation
async fn nobody_renegotiates() {
    let lab = Lab::new();
    let (_folder, [browsers, _]) = listeners(&lab);
    let mut client = Command::new("openssl")
        .args(["s_client", "-tls1_2", "-connect", &browsers.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("openssl is there: apt-get install openssl");
    let mut stdin = client.stdin.take().unwrap();
    stdin.write_all(b"R\n").await.unwrap();
    let output = soon(client.wait_with_output()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("RENEGOTIATING") && said.contains("no renegotiation"), "{said}");
}

/// How a server begins its answer.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    ServerHello,
    Alert(u8),
}

async fn answer(at: SocketAddr, version: u16, suites: &[u16]) -> Answer {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(&client_hello(version, suites)).await.unwrap();
    let mut record = [0; 7];
    soon(stream.read_exact(&mut record)).await.unwrap();
    match record {
        [HANDSHAKE, _, _, _, _, SERVER_HELLO, _] => Answer::ServerHello,
        [ALERT, _, _, _, _, FATAL, why] => Answer::Alert(why),
        other => panic!("{other:?}"),
    }
}

/// RFC 5246 §7.4.1.2, with the extensions that a server of today wants to see.
fn client_hello(version: u16, suites: &[u16]) -> Vec<u8> {
    let groups = extension(10, &with_length(&words(&[0x0017, 0x001d])));
    let signatures = extension(13, &with_length(&words(&[0x0403, 0x0503, 0x0804, 0x0401])));
    let points = extension(11, &[1, 0]);
    let mut body = version.to_be_bytes().to_vec();
    body.extend([7; 32]);
    body.push(0);
    body.extend(with_length(&words(suites)));
    body.extend([1, 0]);
    body.extend(with_length(&[groups, signatures, points].concat()));
    let mut message = vec![1, 0];
    message.extend(with_length(&body));
    let mut record = vec![HANDSHAKE, 3, 1];
    record.extend(with_length(&message));
    record
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [kind.to_be_bytes().to_vec(), with_length(content)].concat()
}

fn with_length(bytes: &[u8]) -> Vec<u8> {
    [u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec(), bytes.to_vec()].concat()
}

fn words(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

const HANDSHAKE: u8 = 22;
const SERVER_HELLO: u8 = 2;
const ALERT: u8 = 21;
const FATAL: u8 = 2;
const HANDSHAKE_FAILURE: u8 = 40;
const PROTOCOL_VERSION: u8 = 70;

const SSL_3: u16 = 0x0300;
const TLS_1_0: u16 = 0x0301;
const TLS_1_1: u16 = 0x0302;
const TLS_1_2: u16 = 0x0303;

const ECDHE_ECDSA_AES128_GCM: u16 = 0xc02b;
const ECDHE_ECDSA_AES256_GCM: u16 = 0xc02c;
const ECDHE_ECDSA_CHACHA20: u16 = 0xcca9;
const ECDHE_ECDSA_AES128_CBC: u16 = 0xc009;
const ECDHE_RSA_AES128_CBC: u16 = 0xc013;
const RSA_AES128_CBC: u16 = 0x002f;
const RSA_AES128_GCM: u16 = 0x009c;
const RSA_3DES: u16 = 0x000a;
const RSA_RC4: u16 = 0x0005;
const RSA_NULL: u16 = 0x0002;
const DH_ANON_AES128_CBC: u16 = 0x0034;
const EXPORT_RC4: u16 = 0x0003;
