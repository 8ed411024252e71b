//! The relay's configuration as an operator meets it.

use std::path::Path;

use daemon::config::{self, Mistakes};
use media_relay::program::Settings;

fn mistakes(text: &str) -> Vec<String> {
    let Mistakes(list) = config::parse::<Settings>(text, Path::new("/etc")).unwrap_err();
    list.into_iter().map(|mistake| mistake.key).collect()
}

#[test]
fn nothing_at_all_serves_this_machine_only() {
    let settings: Settings = config::parse("", Path::new("")).unwrap();
    assert!(settings.control.listen.ip().is_loopback());
    assert!(settings.media.browser_address.advertised.is_loopback());
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
        rtp_ports = [3, 1]
        [turm]
    "#;
    let expected = [
        "control.colour",
        "media.rtp_ports",
        "turm",
        "control",
        "control.client_ca_file",
        "control.orphaned_after",
        "media.browser_port",
        "media.max_sessions",
    ];
    assert_eq!(mistakes(text), expected);
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
