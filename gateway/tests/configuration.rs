//! The configuration as an operator meets it.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

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
        media_timeout = "0s"
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
        "trunk[pbx].cidrs",
        "trunk[pbx].codecs",
        "relay.media_timeout",
    ];
    assert_eq!(mistakes(text), expected);
}

#[test] // RFC 1035 §2.3.4, RFC 3261 §25.1
fn hosts_that_cannot_be_looked_up_are_refused() {
    let trunk =
        |host: &str| format!("[[trunk]]\nname = \"pbx\"\naddress = \"{host}\"\ncidrs = [\"192.0.2.0/24\"]");
    let (label, long) = ("a".repeat(64), "a.".repeat(127) + "a");
    for host in ["pbx..example", ".pbx", ".", "192.0.2.300", "1.2.3", &label, &long, "pbx:0x1", "ä.example"]
    {
        assert_eq!(mistakes(&trunk(host)), ["trunk[pbx].address"], "{host}");
    }
    for host in
        ["my_pbx", "_x.a_b_", "pbx.example.com.", "pbx.example.com.:5070", "3com.example", "pbx-1:5060"]
    {
        config::parse::<Settings>(&trunk(host), Path::new("")).unwrap();
    }
}

#[test] // RFC 5922 §7
fn what_a_trunk_is_judged_by_and_shown_is_there_and_of_use() {
    let trunk = |transport: &str, lines: &str| {
        format!(
            "[listen]\nsip_tls = \"127.0.0.1:5061\"\n[[trunk]]\nname = \"pbx\"\naddress = \"192.0.2.1\"\n\
             cidrs = [\"192.0.2.0/24\"]\ntransport = \"{transport}\"\n{lines}\n"
        )
    };
    assert_eq!(mistakes(&trunk("tls", "")), ["trunk[pbx].ca_file"]);
    assert_eq!(mistakes(&trunk("udp", "requires_certificate = true")), ["trunk[pbx].ca_file"]);
    let (ca, chain, key) = ("ca_file = \"ca.pem\"", "certificate_file = \"c\"", "key_file = \"k\"");
    for half in [chain, key] {
        assert_eq!(mistakes(&trunk("tls", &format!("{ca}\n{half}"))), ["trunk[pbx].certificate_file"]);
    }
    assert_eq!(mistakes(&trunk("tcp", ca)), ["trunk[pbx].ca_file"], "of no use");
    assert_eq!(
        mistakes(&trunk("udp", &format!("{chain}\n{key}"))),
        ["trunk[pbx].certificate_file"],
        "of no use"
    );
    let names = "certificate_names = [\"sbc.example\", \"not a name\"]";
    assert_eq!(mistakes(&trunk("tls", &format!("{ca}\n{names}"))), ["trunk[pbx].certificate_names"]);
    let without =
        trunk("udp", &format!("{ca}\nrequires_certificate = true")).replace("127.0.0.1:5061", "off");
    assert_eq!(mistakes(&without), ["trunk[pbx].requires_certificate"]);
    let good = trunk("tls", &format!("{ca}\n{chain}\n{key}\nrequires_certificate = true"));
    let settings = config::parse::<Settings>(&good, Path::new("/etc/gateway")).unwrap();
    assert_eq!(settings.trunks[0].ca_file.as_deref(), Some(Path::new("/etc/gateway/ca.pem")));
    let for_all = format!("{}[tls]\ntrunk_ca_file = \"all.pem\"\n", trunk("tls", ""));
    config::parse::<Settings>(&for_all, Path::new("")).unwrap();
}

#[test]
fn headers_pass_in_a_direction_and_the_key_without_one_says_what_to_write() {
    let text = "[calls]\npass_headers = [\"X-Note\"]";
    let error = config::parse::<Settings>(text, Path::new("")).unwrap_err().to_string();
    assert!(error.starts_with("calls.pass_headers = [\"X-Note\"]: "), "{error}");
    assert!(
        error.contains("pass_headers_from_trunk") && error.contains("pass_headers_from_browser"),
        "{error}"
    );

    let settings: Settings = config::parse("", Path::new("")).unwrap();
    assert_eq!(settings.calls.pass_headers_from_trunk, ["X-Genesys-CallUUID"]);
    assert!(settings.calls.pass_headers_from_browser.is_empty(), "a user could forge it");
}

#[test]
fn a_pool_needs_relays_that_can_be_told_apart_and_reached_in_secret() {
    let relay = |name: &str, rest: &str| format!("[[relay.pool]]\nname = \"{name}\"\n{rest}\n");
    let pool = |relays: &str| format!("[relay]\nkind = \"pool\"\n{relays}");
    assert_eq!(mistakes(&pool("")), ["relay.kind"]);
    let local = "url = \"http://127.0.0.1:8180\"";
    assert_eq!(mistakes(&relay("a", local)), ["relay.pool"], "of an embedded relay");
    assert_eq!(mistakes(&pool(&(relay("a", local) + &relay("a", local)))), ["relay.pool[a].name"]);
    for url in
        ["http://192.0.2.7:8180", "https://relay.example.com", "ftp://relay", "relay:8180", "http://[::1]/v1"]
    {
        assert_eq!(mistakes(&pool(&relay("a", &format!("url = \"{url}\"")))), ["relay.pool[a].url"], "{url}");
    }
    let unknown = format!("{local}\ncolour = \"blue\"");
    assert_eq!(mistakes(&pool(&relay("a", &unknown))), ["relay.pool[a].colour"]);
    let (chain, key) = ("certificate_file = \"c\"", "key_file = \"k\"");
    let authorities = "ca_file = \"ca.pem\"";
    let unprotected = format!("url = \"http://192.0.2.7:8180\"\nunprotected = true\n{authorities}");
    for lines in [
        format!("{local}\n{chain}"),
        format!("{local}\n{key}"),
        format!("{local}\n{chain}\n{key}"),
        format!("{local}\n{authorities}"),
        format!("{local}\n{authorities}\n{chain}\n{key}"),
        unprotected,
    ] {
        assert_eq!(mistakes(&pool(&relay("a", &lines))), ["relay.pool[a]"], "{lines}");
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
    let interface = "[relay]\nworkers = 1\n[[relay.interface]]\nname = \"a\"\naddress = \"127.0.0.2\"\nports = [50998, 50999]";
    assert_eq!(mistakes(&both, interface), ["turn.relayed_ports"], "of an interface");
    let udp = both.replace("tcp = [\"127.0.0.1:3478\"]", "udp = [\"0.0.0.0:3478\"]");
    assert_eq!(mistakes(&udp, ""), ["turn.udp"], "the browsers' port");
    assert_eq!(mistakes(&format!("{both}\nlifetime = \"11m\""), ""), ["turn.lifetime"]);
    assert_eq!(
        mistakes(&format!("{both}\nlifetime = \"5m\""), ""),
        ["turn.lifetime"],
        "shorter than registrations"
    );
    assert_eq!(mistakes(&format!("{both}\ncolour = 1"), ""), ["turn.colour"]);
    assert_eq!(mistakes("on_wss = true", ""), ["turn.urls"]);
    assert_eq!(mistakes(&format!("on_wss = true\n{urls}"), ""), ["turn.urls"], "none of TLS");
    let on_wss = "on_wss = true\nurls = [\"turns:localhost:8443\"]".to_owned();
    let certificate = "certificate_file = \"c\"\nkey_file = \"k\"";
    assert_eq!(mistakes(&format!("{on_wss}\n{certificate}"), ""), ["turn.certificate_file"], "never shown");
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
fn one_address_or_a_list_of_them_says_where_the_relay_is() {
    let relay = |keys: &str| {
        let text = format!("[relay]\n{keys}\n");
        config::parse::<Settings>(&text, Path::new("")).map(|settings| settings.relay_addressing)
    };
    let one = relay("browser_address = \"10.0.0.7/203.0.113.7\"").unwrap();
    let listeners = one.config(Duration::ZERO, 1, None).browser;
    assert_eq!((listeners.len(), listeners[0].bind.to_string()), (1, "10.0.0.7:3478".into()));
    assert_eq!(listeners[0].advertised, [IpAddr::from([203, 0, 113, 7])]);

    let keys = "browser_address = [\"::1\", \"10.0.0.7/203.0.113.7\", \"10.0.0.7\"]";
    let listeners = relay(keys).unwrap().config(Duration::ZERO, 1, None).browser;
    assert_eq!(listeners.len(), 2, "a bound address is bound once");
    assert_eq!(listeners[1].advertised, [IpAddr::from([203, 0, 113, 7]), IpAddr::from([10, 0, 0, 7])]);

    for wrong in
        ["[]", "\"0.0.0.0\"", "\"10.0.0.7/::\"", "\"224.0.0.1\"", "[\"::1\", \"::1\"]", "\"10.0.0.7/::1\""]
    {
        for key in ["browser_address", "rtp_address"] {
            let Mistakes(list) = relay(&format!("{key} = {wrong}")).unwrap_err();
            assert_eq!(list[0].key, format!("relay.{key}"), "{wrong}");
        }
    }
}

/// Firefox makes no candidate pair with loopback; who configures loopback alone means it.
#[test]
fn left_to_itself_the_relay_tells_browsers_an_address_of_this_machine_beside_loopback() {
    let listeners = |text: &str| {
        let settings = config::parse::<Settings>(text, Path::new("")).unwrap();
        settings.relay_addressing.config(Duration::ZERO, 1, None).browser
    };
    let automatic = listeners("");
    assert_eq!(automatic[0].advertised, [IpAddr::from([127, 0, 0, 1])]);
    assert!(automatic.len() <= 2, "at most one beside it: {automatic:?}");
    for listener in &automatic {
        assert_eq!(listener.advertised, [listener.bind.ip()], "what is told is what is bound");
        // An address of this machine, or it could not be bound.
        std::net::UdpSocket::bind((listener.bind.ip(), 0)).unwrap();
    }
    let beside = automatic.get(1).map(|listener| listener.bind.ip());
    assert!(beside.is_none_or(|ip| !ip.is_loopback()));
    assert_eq!(listeners("[relay]\nbrowser_address = \"auto\"").len(), automatic.len());
    assert_eq!(listeners("[relay]\nbrowser_address = \"127.0.0.1\"").len(), 1);
}

#[test]
fn addresses_and_ports_that_get_into_each_others_way_are_told_all_at_once() {
    let text = r#"
        [relay]
        browser_address = ["0.0.0.0/192.0.2.7", "10.0.0.7"]
        browser_port = 40000
        rtp_address = ["10.0.0.7", "10.0.0.8"]
        workers = 1
        [[relay.interface]]
        name = "default"
        address = "192.0.2.7"
        networks = ["192.0.2.0/24", "2001:db8::/32"]
        [[relay.interface]]
        name = "inside"
        address = "10.0.0.7"
        ports = [49998, 50001]
        [[relay.interface]]
        name = "inside"
        address = ["10.0.0.9", "10.0.0.10"]
        networks = ["192.0.2.77/24"]
    "#;
    let expected = [
        "relay.browser_address",
        "relay.rtp_address",
        "relay.interface[default].name",
        "relay.interface[default].networks",
        "relay.interface[inside].name",
        "relay.interface[inside].address",
        "relay.interface[inside].networks",
        "relay.interface[inside].ports",
        "relay.browser_port",
        "relay.browser_port",
    ];
    assert_eq!(mistakes(text), expected);
    let few = "[relay]\nrtp_ports = [40000, 40003]\nworkers = 3";
    assert_eq!(mistakes(few), ["relay.rtp_ports"], "a pair for each worker");
    let interface = "[[relay.interface]]\nname = \"a\"\naddress = \"127.0.0.2\"";
    assert_eq!(mistakes(&format!("{few}\n{interface}")), ["relay.rtp_ports"; 2], "of both");
    let few = format!("[relay]\nworkers = 3\n{interface}\nports = [50000, 50003]");
    assert_eq!(mistakes(&few), ["relay.interface[a].ports"]);
    assert_eq!(
        mistakes("[relay]\nbrowser_port = 65534\nworkers = 3"),
        ["relay.browser_port"],
        "a port for each"
    );
    assert!(config::parse::<Settings>("[relay]\nbrowser_port = 65533\nworkers = 3", Path::new("")).is_ok());
}

#[test]
fn a_trunk_is_in_reach_of_a_listener_and_of_an_interface() {
    let trunk = |keys: &str, relay: &str| {
        mistakes(&format!("{relay}[[trunk]]\nname = \"a\"\ncidrs = [\"::/0\", \"0.0.0.0/0\"]\n{keys}\n"))
    };
    let both = "[listen]\nsip_udp = \"[::]:5060\"\nadvertised = [\"192.0.2.7\", \"2001:db8::7\"]\n";
    let six = "address = \"[2001:db8::9]:5070\"";
    assert_eq!(trunk(six, ""), ["trunk[a].address"; 2], "neither SIP nor sound");
    assert_eq!(trunk(six, both), ["trunk[a].address"], "no sound");
    let relay = format!("{both}[relay]\nrtp_address = [\"127.0.0.1\", \"2001:db8::7\"]\n");
    assert!(
        config::parse::<Settings>(
            &format!("{relay}[[trunk]]\nname = \"a\"\ncidrs = [\"::/0\", \"0.0.0.0/0\"]\n{six}\n"),
            Path::new("")
        )
        .is_ok()
    );
    let four = "address = \"192.0.2.1\"\n";
    assert_eq!(trunk(&format!("{four}relay_interface = \"x\""), ""), ["trunk[a].relay_interface"]);
    assert_eq!(
        trunk(&format!("{four}backup_addresses = [\"[2001:db8::9]\"]"), both),
        ["trunk[a].backup_addresses"]
    );
    for wrong in
        ["2001:db8::9", "a b", "sip:pbx.example.com", "user@pbx.example.com", "pbx.example.com:70000", ""]
    {
        assert_eq!(trunk(&format!("address = {wrong:?}"), both), ["trunk[a].address"], "{wrong:?}");
    }
    for own in ["[\"::1\"]", "[\"127.0.0.1\", \"::1\"]"] {
        let keys = format!("{four}advertised = {own}");
        assert_eq!(trunk(&keys, ""), ["trunk[a].advertised"], "of a family that the listener has not");
    }
    let other = "[listen]\nadvertised = [\"2001:db8::7\"]\n";
    assert_eq!(trunk(four, other), ["trunk[a]"], "nothing to tell it");
    assert_eq!(trunk(&format!("{four}advertised = [\"0.0.0.0\"]"), ""), ["trunk[a].advertised"]);
    let pool = "[relay]\nkind = \"pool\"\n[[relay.pool]]\nname = \"a\"\nurl = \"http://127.0.0.1:8180\"\n";
    let named = format!(
        "{pool}[[trunk]]\nname = \"a\"\ncidrs = [\"::/0\", \"0.0.0.0/0\"]\n{four}relay_interface = \"x\"\n"
    );
    assert!(config::parse::<Settings>(&named, Path::new("")).is_ok(), "the relays know their interfaces");
    assert_eq!(
        mistakes(&format!("{pool}[[relay.interface]]\nname = \"x\"\naddress = \"::1\"\n")),
        ["relay.interface"]
    );
}

#[test]
fn a_trunk_s_own_addresses_are_in_its_networks() {
    let trunk =
        |rest: &str| mistakes(&format!("[[trunk]]\nname = \"a\"\ncidrs = [\"192.0.2.0/28\"]\n{rest}\n"));
    assert_eq!(trunk("address = \"192.0.2.16:5070\""), ["trunk[a].address"]);
    let backups = "address = \"192.0.2.1\"\nbackup_addresses = [\"pbx.example.com\", \"192.0.2.99\"]";
    assert_eq!(trunk(backups), ["trunk[a].backup_addresses"], "what a name stands for is seen at the start");
}

#[test]
fn a_proxy_protocol_needs_somebody_who_speaks_it() {
    let listen = |rest: &str| mistakes(&format!("[listen]\n{rest}\n"));
    assert_eq!(listen("proxy_protocol = [\"wss\"]"), ["listen.proxy_protocol"]);
    assert_eq!(
        listen("proxies = [\"10.0.0.0/8\"]\nproxy_protocol = [\"sip_udp\"]"),
        ["listen.proxy_protocol"]
    );
    let text = "[listen]\nproxies = [\"10.0.0.0/8\"]\nproxy_protocol = [\"wss\", \"sip_tls\"]";
    assert!(config::parse::<Settings>(text, Path::new("")).is_ok());
}

#[test]
fn a_trunk_is_told_its_own_address_or_the_common_one_of_each_family() {
    let told = |listen: &str, trunk: &str| {
        let text = format!(
            "[listen]\n{listen}\n[[trunk]]\nname = \"a\"\naddress = \"pbx.example.com\"\ncidrs = [\"::/0\", \"0.0.0.0/0\"]\n{trunk}\n"
        );
        let settings = config::parse::<Settings>(&text, Path::new("")).unwrap();
        let told = settings.trunks[0].told(&settings.listen);
        told.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(told("", ""), ["127.0.0.1:5060"]);
    let both = "sip_udp = \"[::]:5070\"\nadvertised = [\"192.0.2.7\", \"2001:db8::7\"]";
    assert_eq!(told(both, ""), ["192.0.2.7:5070", "[2001:db8::7]:5070"]);
    assert_eq!(told(both, "advertised = \"10.0.0.7\""), ["10.0.0.7:5070"]);
    let one = "sip_udp = \"10.0.0.7:5060\"\nadvertised = [\"192.0.2.7\", \"2001:db8::7\"]";
    assert_eq!(told(one, ""), ["192.0.2.7:5060"]);
}

#[test]
fn the_examples_in_docs_are_good_configurations() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/networks.md");
    let text = std::fs::read_to_string(file).unwrap();
    let examples = text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let (mut gateways, mut relays) = (0, 0);
    for example in examples {
        let mistakes = match example.lines().next() {
            Some("# gateway.toml") => {
                gateways += 1;
                config::parse::<Settings>(example, Path::new("")).err()
            }
            Some("# relay.toml") => {
                relays += 1;
                config::parse::<media_relay::program::Settings>(example, Path::new("")).err()
            }
            other => panic!("whose configuration is {other:?}?"),
        };
        assert_eq!(mistakes, None, "{example}");
    }
    assert!(gateways >= 5 && relays >= 1);
}

#[test]
fn two_listeners_are_never_on_one_port() {
    let taken = |listen: &str, rest: &str| mistakes(&format!("[listen]\n{listen}\n{rest}"));
    assert_eq!(taken("wss = \"127.0.0.1:9090\"", ""), ["admin.listen"]);
    assert_eq!(taken("ws = \"0.0.0.0:8443\"", ""), ["listen.ws"], "every address is that one too");
    assert_eq!(taken("sip_tls = \"127.0.0.1:5060\"", ""), ["listen.sip_tls"]);
    assert_eq!(taken("sip_udp = \"127.0.0.1:3478\"", ""), ["listen.sip_udp"], "the browsers'");
    let amid_sound = config::parse::<Settings>("[listen]\nsip_udp = \"127.0.0.1:40500\"\n", Path::new(""));
    assert!(amid_sound.is_ok(), "the trunks' sound goes by the others");
    let turn = "[turn]\nurls = [\"turn:127.0.0.1\"]\n";
    assert_eq!(taken("", &format!("{turn}tcp = [\"127.0.0.1:5060\"]")), ["turn.tcp"]);
    assert_eq!(taken("", &format!("{turn}udp = [\"127.0.0.1:5060\"]")), ["turn.udp"]);
    let good = "[listen]\nwss = \"127.0.0.2:9090\"\nws = \"127.0.0.1:0\"\nsip_tls = \"127.0.0.1:0\"\n";
    assert!(
        config::parse::<Settings>(good, Path::new("")).is_ok(),
        "of other addresses, or whatever is free"
    );
}

#[test]
fn a_message_says_key_value_and_what_is_expected() {
    let Mistakes(list) = config::parse::<Settings>(
        "[listen]\nwss = \"nowhere\"\nporrt = \"a secret in the wrong place\"\n[tls]\npage = \"x\"\n\
         [log]\nfilter = \"no=such=filter\"\n[limits]\ncalls = \"many\"\n",
        Path::new(""),
    )
    .unwrap_err();
    let said: Vec<String> = list.iter().map(ToString::to_string).collect();
    for (start, words) in [
        ("listen.wss = \"nowhere\": expected", "such as \"127.0.0.1:5060\""),
        ("listen.porrt: is not a known key", "see docs/configuration.md"),
        ("tls.page: is not a known key", "did you mean \"page\" of [browser]?"),
        ("log.filter = \"no=such=filter\": ", "expected such as"),
        ("limits.calls = \"many\": ", "expected a whole number"),
    ] {
        assert!(
            said.iter().any(|one| one.starts_with(start) && one.contains(words)),
            "{start}…{words}: {said:#?}"
        );
    }
    assert!(said.iter().all(|one| !one.contains("secret")), "{said:#?}");
}

#[test] // RFC 6454 §6.2
fn an_origin_is_what_a_browser_says() {
    let origins = |list: &[&str]| {
        let text = format!("[browser]\norigins = {list:?}\n");
        config::parse::<Settings>(&text, Path::new("")).map(|settings| settings.browser.origins)
    };
    let good =
        ["https://x.example", "http://10.0.0.7:8080", "https://[2001:db8::7]:8443", "capacitor://localhost"];
    assert_eq!(origins(&good).unwrap(), good);
    for (wrong, way_out) in [
        ("https://x.example/", "\"https://x.example\""),
        ("https://x.example/phone?a#b", "\"https://x.example\""),
        ("x.example", "\"https://x.example\""),
        ("https://X.Example", "\"https://x.example\""),
        ("https://x.example:443", "\"https://x.example\""),
        ("http://x.example:80", "\"http://x.example\""),
        ("*", "name each page"),
        ("https://*.x.example", "name each page"),
        ("null", "expected one"),
        ("https://", "expected one"),
        ("https://a@x.example", "expected one"),
        ("https://bücher.example", "expected one"),
    ] {
        let Mistakes(list) = origins(&["https://good.example", wrong]).unwrap_err();
        assert_eq!(list.len(), 1, "{wrong}");
        assert_eq!(list[0].key, "browser.origins");
        assert!(list[0].what.contains(way_out) && list[0].what.contains(wrong), "{wrong}: {}", list[0].what);
    }
    let Mistakes(list) = origins(&["https://x.example/", "x.example", "*"]).unwrap_err();
    assert_eq!(list.len(), 3, "all at once");
}

#[test]
fn the_page_is_found_wherever_the_file_is_and_a_folder_that_is_given_is_beside_it() {
    let given = config::parse::<Settings>("[browser]\npage = \"page\"", Path::new("/etc/gateway")).unwrap();
    assert_eq!(given.browser.page.places(), [Path::new("/etc/gateway/page")]);
    assert_eq!(given.browser.page.folder(), None);
    let places = config::parse::<Settings>("", Path::new("/etc/gateway")).unwrap().browser.page.places();
    assert!(
        places.iter().all(|place| place.is_absolute() && !place.starts_with("/etc/gateway")),
        "{places:?}"
    );
    assert!(places.contains(&std::env::current_dir().unwrap().join("gateway/web/dist")), "{places:?}");
}

#[test]
fn a_listener_can_be_switched_off() {
    let settings = config::parse::<Settings>("[listen]\nsip_tcp = \"off\"", Path::new("")).unwrap();
    assert_eq!(settings.listen.sip_tcp, None);
}

#[test]
fn a_trunk_needs_the_listener_of_its_transport() {
    let text = "[listen]\nsip_udp = \"off\"\n[[trunk]]\nname = \"a\"\naddress = \"192.0.2.1\"\ncidrs = [\"192.0.2.1/32\"]";
    assert_eq!(mistakes(text), ["trunk[a].transport"]);
}

#[test] // RFC 4291 §2.5.5.2
fn a_trunk_in_ipv6_clothes_is_one_of_ipv4() {
    let text = |prefix: u8| {
        format!(
            "[listen]\nsip_udp = \"192.0.2.9:5060\"\n[[trunk]]\nname = \"a\"\naddress = \"[::ffff:192.0.2.1]\"\n\
             cidrs = [\"::ffff:192.0.2.0/{prefix}\", \"192.0.2.1/32\"]"
        )
    };
    for (mapped, bare) in [(120, "192.0.2.0/24"), (96, "192.0.2.0/0"), (95, "::ffff:192.0.2.0/95")] {
        let settings = config::parse::<Settings>(&text(mapped), Path::new("")).unwrap();
        assert_eq!(settings.trunks[0].cidrs[0], bare.parse().unwrap());
    }
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
