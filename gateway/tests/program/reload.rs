//! SIGHUP: certificates, users and secrets change under a call that goes on.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use daemon::certificate::Certificate;
use daemon::tls;
use relay_api::turn::Secret;
use rustls::RootCertStore;
use rustls::pki_types::ServerName;
use sip_core::message::Status;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::phone::Phone;
use super::pool::under_way;
use super::program::{Gateway, free_port};

const OLD: &str = "north-north-north";
const NEW: &str = "south-south-south";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificate_users_and_turn_secret_change_under_a_call_and_a_mistake_changes_nothing() {
    let (turn, turns) = (free_port(), free_port());
    let folder = TempDir::new().unwrap();
    let secrets = folder.path().join("secrets");
    fs::write(&secrets, OLD).unwrap();
    let gateway = Gateway::with_relay_and_log(
        "udp",
        &format!(
            "[relay]\nbrowser_port = 0\nrtp_ports = [32620, 32639]\nworkers = 2\n[turn]\ntcp = [\"{turn}\"]\ntls = [\"{turns}\"]\n\
             urls = [\"turn:{turn}?transport=tcp\"]\nsecrets_file = {secrets:?}\nrelayed_ports = [32640, 32659]\n"
        ),
        "filter = \"info\"",
    );
    let state = gateway.folder().join("var");
    let old = tls::authorities(&state.join("self-signed.pem")).unwrap();
    assert!(trusts(&old, gateway.wss).await && trusts(&old, turns).await);
    let phone = Phone::register(gateway.ws, "alice").await;
    let (answering, mut caller) = under_way(&gateway, phone, 1).await;

    let new = another_certificate(&state);
    fs::write(&secrets, NEW).unwrap();
    fs::write(gateway.folder().join("users"), "alice:secret\nbob:changed\ncarol:secret\n").unwrap();
    assert!(trusts(&old, gateway.wss).await, "nobody said that it is to be read");
    reload(&gateway, "read again").await;
    for at in [gateway.wss, turns] {
        assert!(trusts(&new, at).await && !trusts(&old, at).await, "{at}");
    }
    assert!(lets_in(turn, NEW) && !lets_in(turn, OLD));
    let mut bob = Phone::connect(gateway.ws, "bob").await;
    assert_eq!(bob.log_in("secret").await, Status::UNAUTHORIZED);
    let carol = Phone::register(gateway.ws, "carol").await;
    let told = carol.heard.lines().find_map(|line| line.strip_prefix("X-ICE-Server: ")).unwrap();
    let told: serde_json::Value = serde_json::from_str(told).unwrap();
    let user = told["username"].as_str().unwrap();
    assert_eq!(told["credential"], Secret::new(NEW).unwrap().password(user.as_bytes()));

    another_certificate(&state);
    fs::write(&secrets, "short").unwrap();
    reload(&gateway, "line 1: a secret needs").await;
    let good = fs::read_to_string(gateway.config()).unwrap();
    fs::write(&secrets, OLD).unwrap();
    fs::write(gateway.config(), good.replace("[limits]", "[limits]\ncolour = 1")).unwrap();
    reload(&gateway, "limits.colour").await;
    fs::write(gateway.config(), "").unwrap();
    reload(&gateway, "sets no key").await;
    fs::write(gateway.config(), &good).unwrap();
    let users = fs::read(gateway.folder().join("users")).unwrap();
    fs::write(gateway.folder().join("users"), "# alice:secret\n").unwrap();
    reload(&gateway, "names no user").await;
    fs::write(gateway.folder().join("users"), users).unwrap();
    assert!(trusts(&new, gateway.wss).await && lets_in(turn, NEW), "what was in force stays");
    let restart = good.replace("messages_per_second = 10000", "messages_per_second = 9000");
    fs::write(gateway.config(), restart).unwrap();
    reload(&gateway, "counts only after a restart keys=\"limits\"").await;
    assert!(!trusts(&new, gateway.wss).await && lets_in(turn, OLD));

    let newest = another_certificate(folder.path());
    let of_its_own = format!(
        "[turn]\ncertificate_file = {:?}\nkey_file = {:?}",
        folder.path().join("self-signed.pem"),
        folder.path().join("self-signed.key")
    );
    fs::write(gateway.config(), good.replace("[turn]", &of_its_own)).unwrap();
    gateway.signal("-HUP");
    while !trusts(&newest, turns).await {}
    assert!(!trusts(&newest, gateway.wss).await, "of TURN alone");

    assert_eq!(
        caller.wait().await.unwrap().code(),
        Some(0),
        "the call of the beginning was hung up by its caller"
    );
    assert_eq!(answering.await.unwrap().1, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // RFC 5280 §4.1.2.5
async fn a_certificate_that_is_over_stops_no_start_and_takes_no_good_one_s_place() {
    let folder = TempDir::new().unwrap();
    let (chain, key) = (folder.path().join("chain"), folder.path().join("key"));
    let today = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 86_400;
    let writes = |first: u64, last: u64| {
        let day = |n: u64| (UNIX_EPOCH + std::time::Duration::from_secs(n * 86_400)).into();
        let mut params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (day(first), day(last));
        let pair = rcgen::KeyPair::generate().unwrap();
        fs::write(&chain, params.self_signed(&pair).unwrap().pem()).unwrap();
        fs::write(&key, pair.serialize_pem()).unwrap();
        tls::authorities(&chain).unwrap()
    };
    writes(today - 90, today - 2);
    let gateway = Gateway::with_relay_and_log(
        "udp",
        &format!(
            "[relay]\nbrowser_port = 0\nrtp_ports = [31350, 31351]\nworkers = 1\n[tls]\ncertificate_file = {chain:?}\nkey_file = {key:?}\n"
        ),
        "filter = \"info\"",
    );
    let over = "alarm: tls.certificate_file = ";
    assert!(gateway.log().contains(over), "{}", gateway.log());
    Phone::register(gateway.ws, "alice").await;

    // Another one that is over changes nothing for the worse, and users count.
    writes(today - 90, today - 3);
    fs::write(gateway.folder().join("users"), "alice:secret\ncarol:secret\n").unwrap();
    reload(&gateway, "expired 3 days ago").await;
    while !gateway.log().contains("were read again") {}
    Phone::register(gateway.ws, "carol").await;

    let good = writes(today - 2, today + 90);
    gateway.signal("-HUP");
    while !trusts(&good, gateway.wss).await {}
    for (first, last) in [(today - 90, today - 4), (today + 3, today + 90)] {
        let refusals = gateway.log().matches("the one in use is good and stays").count();
        writes(first, last);
        gateway.signal("-HUP");
        while gateway.log().matches("the one in use is good and stays").count() == refusals {
            tokio::task::yield_now().await;
        }
        assert!(trusts(&good, gateway.wss).await);
    }
    assert!(gateway.log().contains("the new configuration is refused: tls.certificate_file"));
}

/// Sends SIGHUP and waits until the log has this.
async fn reload(gateway: &Gateway, line: &str) {
    gateway.signal("-HUP");
    while !gateway.log().contains(line) {
        tokio::task::yield_now().await;
    }
}

/// Who would trust it.
fn another_certificate(state: &Path) -> RootCertStore {
    let made = TempDir::new().unwrap();
    Certificate::self_signed(made.path(), &[]).unwrap();
    for name in ["self-signed.pem", "self-signed.key"] {
        fs::copy(made.path().join(name), state.join(name)).unwrap();
    }
    tls::authorities(&state.join("self-signed.pem")).unwrap()
}

/// Whether a client that trusts these would go on after the handshake.
async fn trusts(roots: &RootCertStore, at: SocketAddr) -> bool {
    let client = tls::client(roots.clone()).unwrap();
    let socket = TcpStream::connect(at).await.unwrap();
    TlsConnector::from(client).connect(ServerName::from(at.ip()), socket).await.is_ok()
}

/// Whether Debian's TURN client gets an allocation with this secret.
fn lets_in(at: SocketAddr, secret: &str) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let credentials = Secret::new(secret).unwrap().issue("alice", now + 600);
    let output = Command::new("turnutils_uclient")
        .args(["-t", "-c", "-X", "-n", "0", "-m", "1", "-e", "127.0.0.1", "-p", &at.port().to_string()])
        .args(["-u", &credentials.username, "-w", &credentials.password, "127.0.0.1"])
        .output()
        .expect("package coturn");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    !said.contains("401") && !said.contains("Unauthorized") && !said.contains("Cannot complete Allocation")
}
