//! The configuration as an operator meets it.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use daemon::config::{self, Mistakes};
use gateway::config::Settings;

fn mistakes(text: &str) -> Vec<String> {
    let Mistakes(list) = config::parse::<Settings>(text, Path::new("/etc/gateway")).unwrap_err();
    list.into_iter().map(|mistake| mistake.key).collect()
}

#[test]
fn nothing_at_all_is_a_good_configuration() {
    let settings = config::parse::<Settings>("", Path::new("")).unwrap();
    assert_eq!(settings.listen.wss.unwrap().port(), 8443);
    assert!(settings.trunks.is_empty());
}

#[test]
fn every_mistake_is_reported_at_once() {
    let text = r#"
        [listen]
        wss = "localhost"
        sip_udp = "0.0.0.0:5060"
        colour = "blue"
        [limits]
        calls = "many"
        [relay]
        rtp_ports = [40001, 3]
        browser_address = "0.0.0.0"
        [[trunk]]
        name = "pbx"
        address = "192.0.2.1"
        codecs = ["PCMU", "MP3"]
        [nonsense]
        key = 1
    "#;
    let expected = [
        "relay.browser_address",
        "relay.rtp_ports",
        "listen.wss",
        "listen.colour",
        "limits.calls",
        "nonsense",
        "listen.sip_udp",
        "trunk[0].cidrs",
        "trunk[0].codecs",
    ];
    assert_eq!(mistakes(text), expected);
}

#[test]
fn a_pool_needs_relays_that_can_be_told_apart_and_reached_in_secret() {
    let relay = |name: &str, rest: &str| format!("[[relay.pool]]\nname = \"{name}\"\n{rest}\n");
    let pool = |relays: &str| format!("[relay]\nkind = \"pool\"\n{relays}");
    assert_eq!(mistakes(&pool("")), ["relay.kind"]);
    let local = "url = \"http://127.0.0.1:8180\"";
    assert_eq!(mistakes(&relay("a", local)), ["relay.pool"], "of an embedded relay");
    assert_eq!(mistakes(&pool(&(relay("a", local) + &relay("a", local)))), ["relay.pool[1].name"]);
    for url in
        ["http://192.0.2.7:8180", "https://relay.example.com", "ftp://relay", "relay:8180", "http://[::1]/v1"]
    {
        assert_eq!(mistakes(&pool(&relay("a", &format!("url = \"{url}\"")))), ["relay.pool[0].url"], "{url}");
    }
    let unknown = format!("{local}\ncolour = \"blue\"");
    assert_eq!(mistakes(&pool(&relay("a", &unknown))), ["relay.pool[0].colour"]);
    let (chain, key) = ("certificate_file = \"c\"", "key_file = \"k\"");
    for lines in [format!("{local}\n{chain}"), format!("{local}\n{key}"), format!("{local}\n{chain}\n{key}")]
    {
        assert_eq!(mistakes(&pool(&relay("a", &lines))), ["relay.pool[0]"], "{lines}");
    }
    let text = pool(&relay("a", "url = \"https://relay.example.com:8180\"\nca_file = \"ca.pem\""));
    let settings: Settings = config::parse(&text, Path::new("/etc")).unwrap();
    assert_eq!(settings.relay_pool[0].ca_file.as_deref(), Some(Path::new("/etc/ca.pem")));
}

#[test]
fn turn_is_told_to_browsers_by_those_who_have_it() {
    let mistakes = |turn: &str, rest: &str| mistakes(&format!("[turn]\n{turn}\n{rest}"));
    let (tcp, urls) = ("tcp = [\"127.0.0.1:3478\"]", "urls = [\"turn:127.0.0.1?transport=tcp\"]");
    assert_eq!(mistakes(tcp, ""), ["turn.urls"]);
    assert_eq!(mistakes(urls, ""), ["turn.urls"], "nobody listens");
    assert_eq!(
        mistakes(&format!("{tcp}\nurls = [\"stun:127.0.0.1\", \"turn:\"]"), ""),
        ["turn.urls", "turn.urls"]
    );
    let both = format!("{tcp}\n{urls}");
    assert_eq!(mistakes(&format!("{both}\nrelayed_ports = [40000, 40999]"), ""), ["turn.relayed_ports"]);
    assert_eq!(mistakes(&format!("{both}\nlifetime = \"11m\""), ""), ["turn.lifetime"]);
    assert_eq!(
        mistakes(&format!("{both}\nlifetime = \"5m\""), ""),
        ["turn.lifetime"],
        "shorter than registrations"
    );
    assert_eq!(mistakes(&format!("{both}\ncolour = 1"), ""), ["turn.colour"]);
    assert_eq!(mistakes("on_wss = true", ""), ["turn.urls"]);
    let on_wss = format!("on_wss = true\n{urls}");
    assert_eq!(mistakes(&on_wss, "[listen]\nwss = \"off\""), ["turn.on_wss"]);
    assert_eq!(mistakes(&format!("{on_wss}\nrelayed_ports = [40000, 40999]"), ""), ["turn.relayed_ports"]);
    let pool = "[relay]\nkind = \"pool\"\n[[relay.pool]]\nname = \"a\"\nurl = \"http://127.0.0.1:8180\"";
    assert_eq!(mistakes(urls, pool), ["turn.secrets_file"]);
    assert_eq!(mistakes(&both, pool), ["turn"]);
    assert_eq!(mistakes(&on_wss, pool), ["turn"]);
    for (turn, rest) in [(both, ""), (on_wss, ""), (format!("{urls}\nsecrets_file = \"s\""), pool)] {
        let text = format!("[turn]\n{turn}\n{rest}");
        let settings = config::parse::<Settings>(&text, Path::new("/etc")).unwrap();
        assert_eq!(settings.turn_clients.urls.len(), 1);
    }
}

#[test]
fn a_listener_can_be_switched_off() {
    let settings = config::parse::<Settings>("[listen]\nsip_tcp = \"off\"", Path::new("")).unwrap();
    assert_eq!(settings.listen.sip_tcp, None);
}

#[test]
fn a_trunk_needs_the_listener_of_its_transport() {
    let text = "[listen]\nsip_udp = \"off\"\n[[trunk]]\nname = \"a\"\naddress = \"192.0.2.1\"\ncidrs = [\"192.0.2.1/32\"]";
    assert_eq!(mistakes(text), ["trunk[0].transport"]);
}

#[test]
fn paths_are_relative_to_the_file() {
    let settings = config::parse::<Settings>("[users]\nfile = \"users\"", Path::new("/etc/gateway")).unwrap();
    assert_eq!(settings.users.file.unwrap(), Path::new("/etc/gateway/users"));
}

#[test]
fn text_that_is_not_toml_is_one_clear_mistake() {
    assert_eq!(mistakes("[listen\nwss = 1").len(), 1);
}

#[test]
fn the_reference_in_docs_is_the_one_the_program_prints() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let text = std::fs::read_to_string(file).unwrap();
    let printed = config::reference::<Settings>();
    assert!(
        text.ends_with(&printed),
        "docs/configuration.md is not what `gateway reference` prints: put its output behind the introduction"
    );
}
