//! The relay's configuration as an operator meets it.

use std::path::Path;

use daemon::config::{self, Mistakes};
use media_relay::BrowserAddresses;
use media_relay::program::Settings;

fn mistakes(text: &str) -> Vec<String> {
    let Mistakes(list) = config::parse::<Settings>(text, Path::new("/etc")).unwrap_err();
    list.into_iter().map(|mistake| mistake.key).collect()
}

#[test]
fn nothing_at_all_serves_this_machine_only() {
    let settings: Settings = config::parse("", Path::new("")).unwrap();
    assert!(settings.control.listen.ip().is_loopback());
    assert_eq!(settings.addressing.keys.browser_address, BrowserAddresses::OfThisMachine);
    assert!(settings.addressing.keys.rtp_address.0.iter().all(|one| one.bind.is_loopback()));
}

#[test]
fn a_control_api_that_others_reach_needs_tls_and_asks_who_comes() {
    let open = "[control]\nlisten = \"0.0.0.0:8180\"\n";
    let tls = "certificate_file = \"c\"\nkey_file = \"k\"\n";
    assert_eq!(mistakes(open), ["control.listen"]);
    assert_eq!(mistakes(&format!("{open}token_file = \"t\"\n")), ["control.listen"]);
    assert_eq!(mistakes(&format!("{open}{tls}")), ["control.listen"]);
    for enough in [
        format!("{open}{tls}token_file = \"t\"\n"),
        format!("{open}{tls}client_ca_file = \"a\"\n"),
        format!("{open}unprotected = true\n"),
    ] {
        config::parse::<Settings>(&enough, Path::new("")).unwrap();
    }
}

#[test]
fn every_mistake_is_reported_at_once() {
    let text = r#"
        [control]
        key_file = "k"
        client_ca_file = "a"
        orphaned_after = "1s"
        colour = "blue"
        [media]
        browser_port = 70000
        max_sessions = 0
        timeout = "0s"
        rtp_ports = [3, 1]
        [turm]
    "#;
    let expected = [
        "media.rtp_ports",
        "control.colour",
        "turm",
        "control",
        "control.client_ca_file",
        "control.orphaned_after",
        "media.max_sessions",
        "media.timeout",
        "media.browser_port",
    ];
    assert_eq!(mistakes(text), expected);
}

#[test]
fn interfaces_have_names_addresses_and_networks() {
    let text = r#"
        [media]
        rtp_address = ["192.0.2.7", "2001:db8::7"]
        [[media.interface]]
        name = "inside"
        address = "10.0.0.7/10.0.1.7"
        networks = ["10.0.0.0/8"]
    "#;
    let settings: Settings = config::parse(text, Path::new("")).unwrap();
    let told = |name: Option<&str>, trunk: &str| {
        let address = settings.addressing.address_for(name, trunk.parse().unwrap());
        address.map(|address| address.to_string()).map_err(|error| error.to_string())
    };
    assert_eq!(told(None, "10.9.9.9").unwrap(), "10.0.1.7");
    assert_eq!(told(None, "198.51.100.1").unwrap(), "192.0.2.7");
    assert_eq!(told(None, "2001:db8::1").unwrap(), "2001:db8::7");
    assert_eq!(told(Some("default"), "10.9.9.9").unwrap(), "192.0.2.7");
    assert!(told(Some("inside"), "2001:db8::1").unwrap_err().contains("family"));
    assert_eq!(
        mistakes("[[media.interface]]\nname = \"a\"\ncolour = 1"),
        ["media.interface[a].address", "media.interface[a].colour"]
    );
}

#[test]
fn turn_needs_a_secret_a_certificate_for_tls_and_ports_of_its_own() {
    let mistakes = |text: &str| mistakes(&format!("[turn]\n{text}"));
    let tls = "tls = [\"0.0.0.0:443\"]\nsecrets_file = \"s\"\n";
    assert_eq!(mistakes("udp = [\"127.0.0.1:5349\"]\n"), ["turn.secrets_file"]);
    assert_eq!(mistakes(tls), ["turn.tls"]);
    let certificate = "certificate_file = \"c\"\nkey_file = \"k\"\n";
    let tcp = "tcp = [\"127.0.0.1:5349\"]\nsecrets_file = \"s\"\n";
    assert_eq!(mistakes(&format!("{tcp}{certificate}")), ["turn.certificate_file"]);
    let tls = format!("{tls}{certificate}");
    assert_eq!(mistakes(&format!("{tls}relayed_ports = [49998, 50001]\n")), ["turn.relayed_ports"]);
    assert_eq!(
        mistakes(&format!("{tls}relayed_ports = [3400, 3499]\n")),
        ["turn.relayed_ports"],
        "of browsers"
    );
    assert_eq!(mistakes(&format!("{tls}allocations = 0\n")), ["turn.allocations"]);
    for peers in ["192.0.2.0/28", "192.0.2.0/28:0", "192.0.2.0/28:9-8", "relay:3478", "192.0.2.0/28:1-99999"]
    {
        assert_eq!(mistakes(&format!("{tls}peers = [\"{peers}\"]\n")), ["turn.peers"], "{peers}");
    }
    let good = format!("[turn]\n{tls}peers = [\"192.0.2.0/28:3478-3485\", \"2001:db8::7/128:3478\"]\n");
    let settings: Settings = config::parse(&good, Path::new("/etc")).unwrap();
    assert_eq!(settings.turn.secrets_file.as_deref(), Some(Path::new("/etc/s")));
    let config = settings.turn.config(Vec::new(), None);
    assert_eq!(
        (config.peers[0].ports.clone(), config.peers[1].ports.clone()),
        (3_478..=3_485, 3_478..=3_478)
    );
}

#[test]
fn the_reference_in_docs_is_the_one_the_program_prints() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration-relay.md");
    let text = std::fs::read_to_string(file).unwrap();
    assert!(
        text.ends_with(&config::reference::<Settings>()),
        "docs/configuration-relay.md is not what `media-relay reference` prints: put its output behind the introduction"
    );
}
