//! `gateway check`, `health` and `run`: exit codes, and words for people and for programs.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use super::program::{Gateway, free_port};

fn gateway(command: &[&str], config: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gateway")).args(command).arg("--config").arg(config).output().unwrap()
}

fn written(text: &str) -> (TempDir, std::path::PathBuf) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, text).unwrap();
    (folder, file)
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

const WRONG: &str = r#"
    [listen]
    wss = "nowhere"
    [limits]
    calls = 0
    [dialplan]
    trunk = "nobody"
    [nonsense]
    key = 1
"#;
/// The mistakes of [`WRONG`].
const KEYS: [&str; 4] = ["listen.wss", "limits.calls", "dialplan.trunk", "nonsense"];

#[test]
fn check_names_every_mistake_at_once() {
    let (_folder, config) = written(WRONG);
    let output = gateway(&["check"], &config);
    assert_eq!(output.status.code(), Some(78), "EX_CONFIG");
    let text = stdout(&output);
    for key in KEYS {
        assert!(text.contains(key), "{key} in {text}");
    }
    let output = gateway(&["check", "--json"], &config);
    assert_eq!(output.status.code(), Some(78));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["ok"], false);
    let findings = answer["findings"].as_array().unwrap();
    assert_eq!(findings.len(), KEYS.len());
    assert!(findings.iter().all(|one| KEYS.contains(&one["key"].as_str().unwrap())), "{answer}");
    assert!(findings.iter().all(|one| one["severity"] == "error" && one["message"].is_string()), "{answer}");
    let wss = findings.iter().find(|one| one["key"] == "listen.wss").unwrap();
    assert_eq!(wss["value"], "\"nowhere\"");
}

#[test]
fn a_file_that_sets_nothing_is_a_mistake_and_one_with_a_byte_order_mark_is_none() {
    for nothing in ["", "\n\n", "\u{FEFF}", "# wss = \"127.0.0.1:8443\"\n", "[listen]\n# wss = \"off\"\n"] {
        let (_folder, config) = written(nothing);
        for command in ["check", "run"] {
            let output = gateway(&[command], &config);
            assert_eq!(output.status.code(), Some(78), "{command} {nothing:?}");
            let said = stdout(&output) + &String::from_utf8_lossy(&output.stderr);
            assert!(said.contains("sets no key") && said.contains("gateway.toml"), "{said}");
        }
    }
    let (_folder, config) = written("\u{FEFF}[log]\r\njson = true\r\n");
    assert_eq!(gateway(&["check"], &config).status.code(), Some(0));
}

#[test]
fn check_is_content_with_a_good_configuration() {
    // So few that every machine has descriptors for them.
    let (_folder, config) = written("[log]\njson = true\n[limits]\nconnections = 100\ncalls = 100");
    let output = gateway(&["check"], &config);
    assert_eq!((output.status.code(), stdout(&output).trim()), (Some(0), "The configuration is good."));
    let output = gateway(&["check", "--json"], &config);
    assert_eq!(stdout(&output).trim(), r#"{"findings":[],"ok":true}"#);
}

#[test]
fn nothing_runs_on_a_wrong_configuration() {
    let (folder, config) = written(WRONG);
    for command in ["run", "health"] {
        let output = gateway(&[command], &config);
        assert_eq!(output.status.code(), Some(78), "{command}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(KEYS.iter().all(|key| text.contains(key)), "{command}: {text}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was made");
}

/// Everything that a file names is missing, odd, or of another.
#[test]
fn check_looks_at_the_files_that_are_named_and_run_says_the_same() {
    let (folder, config) = written(
        r#"
        [listen]
        wss = "nowhere"
        [tls]
        certificate_file = "missing.pem"
        key_file = "missing.key"
        trunk_ca_file = "empty.pem"
        [users]
        file = "users"
        [dialplan]
        tone = "x"
        [turn]
        urls = ["turns:127.0.0.1"]
        tls = ["127.0.0.1:0"]
        certificate_file = "one.pem"
        key_file = "two.key"
        secrets_file = "secrets"
        [[trunk]]
        name = "pbx"
        address = "192.0.2.1"
        cidrs = ["10.0.0.0/33", "10.0.0.0/8", "x"]
        colour = "blue"
        [trunks]
        [browser]
        orgins = []
        "#,
    );
    let file = |name: &str| folder.path().join(name);
    let (one, _) = certificate(20_000, 60_000);
    let (_, two) = certificate(20_000, 60_000);
    for (name, text) in
        [("one.pem", one.as_str()), ("two.key", &two), ("empty.pem", ""), ("secrets", "short\n")]
    {
        std::fs::write(file(name), text).unwrap();
    }
    std::fs::write(file("users"), "alice:secret\n").unwrap();
    std::fs::set_permissions(file("users"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let check = gateway(&["check"], &config);
    assert_eq!(check.status.code(), Some(78));
    let text = stdout(&check);
    for (start, words) in [
        ("listen.wss = \"nowhere\": ", "expected an address with a port"),
        ("tls.certificate_file = \"missing.pem\": ", "missing.pem: "),
        ("tls.key_file = \"missing.key\": ", "missing.key: "),
        ("tls.trunk_ca_file = \"empty.pem\": ", "has no certificate in PEM form"),
        ("users.file = \"users\": ", "chmod 600"),
        ("turn.key_file = \"two.key\": ", "it is not the key of"),
        ("turn.secrets_file = \"secrets\": ", "line 1"),
        ("trunk[pbx].cidrs = [\"10.0.0.0/33\", ", "\"10.0.0.0/33\": expected a network such as"),
        ("trunk[pbx].cidrs = [\"10.0.0.0/33\", ", "\"x\": expected a network such as"),
        ("trunk[pbx].colour: ", "see docs/configuration.md"),
        ("trunks: ", "did you mean \"trunk\"?"),
        ("browser.orgins: ", "did you mean \"origins\"?"),
    ] {
        let line = text.lines().find(|line| line.starts_with(start) && line.contains(words));
        assert!(line.is_some(), "{start}…{words} in:\n{text}");
    }
    let run = gateway(&["run"], &config);
    assert_eq!(run.status.code(), Some(78));
    let told = String::from_utf8(run.stderr).unwrap();
    assert!(text.lines().all(|line| told.lines().any(|other| other == line)), "{told}");
}

#[test]
fn a_number_for_tests_is_no_user_and_no_other_number() {
    let (folder, config) =
        written("[users]\nfile = \"users\"\n[dialplan]\necho = \"alice\"\ntone = \"alice\"\n");
    std::fs::write(folder.path().join("users"), "alice:secret\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(folder.path().join("users"), mode).unwrap();
    let text = stdout(&gateway(&["check"], &config));
    assert!(text.contains("dialplan.tone = \"alice\": is dialplan.echo too"), "{text}");
    assert!(text.contains("dialplan.echo = \"alice\": is a user in"), "{text}");
}

#[test] // RFC 5280 §4.1.2.5
fn a_certificate_that_is_over_or_soon_will_be_is_told() {
    let today =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() / 86_400;
    for (first, last, code, words) in [
        (
            today - 90,
            today - 2,
            78,
            "alarm: tls.certificate_file = \"c\": the certificate expired 2 days ago",
        ),
        (today + 3, today + 90, 78, "alarm: tls.certificate_file = \"c\": the certificate is not valid yet"),
        (
            today - 90,
            today + 6,
            0,
            "warning: tls.certificate_file = \"c\": the certificate expires in 5 days",
        ),
        (today - 90, today + 60, 0, "The configuration is good."),
    ] {
        let (folder, config) = written("[tls]\ncertificate_file = \"c\"\nkey_file = \"k\"\n");
        let (chain, key) = certificate(first, last);
        std::fs::write(folder.path().join("c"), chain).unwrap();
        std::fs::write(folder.path().join("k"), key).unwrap();
        let output = gateway(&["check"], &config);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(stdout(&output).contains(words), "{words} in {output:?}");
    }
}

#[test]
fn check_binds_every_port_if_it_is_asked_to_and_names_those_that_are_taken() {
    let taken: Vec<std::net::TcpListener> =
        (0..2).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let [ws, admin] = [&taken[0], &taken[1]].map(|listener| listener.local_addr().unwrap());
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let browsers = udp.local_addr().unwrap().port();
    let (_folder, config) = written(&format!(
        "[listen]\nwss = \"192.0.2.1:8443\"\nws = \"{ws}\"\nsip_udp = \"off\"\nsip_tcp = \"off\"\n\
         [admin]\nlisten = \"{admin}\"\n[relay]\nbrowser_port = {browsers}\nworkers = 1\nrtp_ports = [33000, 33001]\n"
    ));
    assert_eq!(gateway(&["check"], &config).status.code(), Some(0), "the ports are not asked for");
    let keys = ["listen.wss = ", "listen.ws = ", "admin.listen = ", "relay.browser_port = "];
    let check = gateway(&["check", "--bind"], &config);
    let run = gateway(&["run"], &config);
    for output in [&check, &run] {
        assert_eq!(output.status.code(), Some(1), "a restart may find them free");
    }
    for text in [stdout(&check), String::from_utf8(run.stderr).unwrap()] {
        for key in keys {
            assert!(text.lines().any(|line| line.starts_with(key)), "{key} in {text}");
        }
        assert!(text.contains("is taken; is another program there?"), "{text}");
        assert!(text.contains("no interface of this machine has the address 192.0.2.1"), "{text}");
    }
}

#[test]
fn all_descriptors_are_taken_and_too_few_are_told_of() {
    let (_folder, config) = written("[limits]\nconnections = 50000\n");
    let limited = |limits: &str, command: &str| {
        let script = format!("{limits} && exec \"$0\" {command} --config \"$1\"");
        let mut limited = Command::new("sh");
        limited.args(["-c", &script, env!("CARGO_BIN_EXE_gateway")]).arg(&config);
        limited
    };
    let check = limited("ulimit -n 1000", "check").output().unwrap();
    assert_eq!(check.status.code(), Some(0), "{check:?}");
    let text = stdout(&check);
    let told = |text: &str| {
        let line = text.lines().find(|line| line.contains("warning: limits.connections = 50000: "));
        line.is_some_and(|line| line.contains("1000 are allowed here") && line.contains("LimitNOFILE"))
    };
    assert!(told(&text), "{text}");

    let (ws, folder) = (free_port(), TempDir::new().unwrap());
    std::fs::write(
        &config,
        format!(
            "[limits]\nconnections = 50000\n[listen]\nwss = \"off\"\nws = \"{ws}\"\nsip_udp = \"off\"\nsip_tcp = \"off\"\n\
             [admin]\nlisten = \"off\"\n[relay]\nbrowser_port = 0\n"
        ),
    )
    .unwrap();
    let log = folder.path().join("log");
    let mut child = limited("ulimit -Sn 200 && ulimit -Hn 1000", "run")
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    end(&mut child);
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().skip(3).take(2).collect::<Vec<_>>(), ["1000", "1000"], "soft, hard");
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(told(&log), "{log}");
}

#[test]
fn check_says_first_that_the_configuration_is_bad_whatever_its_ports_are() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let (_folder, config) =
        written(&format!("[listen]\nwss = \"off\"\nws = \"{at}\"\n[limits]\ncalls = 0\n"));
    let output = gateway(&["check", "--bind"], &config);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    assert!(stdout(&output).contains("listen.ws = ") && stdout(&output).contains("limits.calls = "));
}

#[test]
fn a_second_gateway_is_told_that_the_first_one_has_the_ports_of_turn() {
    let (udp, tcp) = (free_port(), free_port());
    let turn = format!(
        "[relay]\nbrowser_port = 0\nworkers = 2\nrtp_ports = [33002, 33005]\n[turn]\nudp = [\"{udp}\"]\ntcp = [\"{tcp}\"]\n\
         urls = [\"turn:{udp}\"]\nrelayed_ports = [33006, 33009]\n"
    );
    let _first = Gateway::with_relay("udp", &turn);
    let (_folder, config) = written(&format!(
        "[listen]\nwss = \"off\"\nsip_udp = \"off\"\nsip_tcp = \"off\"\n[admin]\nlisten = \"off\"\n{turn}"
    ));
    let second = gateway(&["run"], &config);
    assert_eq!(second.status.code(), Some(1), "{second:?}");
    let text = String::from_utf8(second.stderr).unwrap();
    for key in ["turn.udp = ", "turn.tcp = "] {
        assert!(
            text.lines().any(|line| line.starts_with(key) && line.contains("is taken")),
            "{key} in {text}"
        );
    }
}

#[test]
fn run_reads_its_configuration_once() {
    let (folder, config) = written("");
    let ws = free_port();
    let text = format!(
        "[listen]\nwss = \"off\"\nws = \"{ws}\"\nsip_udp = \"off\"\nsip_tcp = \"off\"\n[admin]\nlisten = \"off\"\n\
         [relay]\nbrowser_port = 0\n"
    );
    std::fs::remove_file(&config).unwrap();
    assert!(Command::new("mkfifo").arg(&config).status().unwrap().success());
    let mut child = Command::new(env!("CARGO_BIN_EXE_gateway"))
        .args(["run", "--config"])
        .arg(&config)
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(folder.path().join("log")).unwrap())
        .spawn()
        .unwrap();
    // A pipe gives what was written into it to its first reader alone; the next one would wait.
    std::fs::write(&config, text).unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    end(&mut child);
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(line.starts_with("Test calls"), "{line:?} {log}");
}

#[test]
fn a_trunk_that_leads_nowhere_is_warned_of() {
    let (_folder, config) =
        written("[[trunk]]\nname = \"pbx\"\naddress = \"pbx.invalid\"\ncidrs = [\"192.0.2.1/32\"]\n");
    let output = gateway(&["check"], &config);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(stdout(&output).contains("warning: trunk[pbx].address = \"pbx.invalid\": "), "{output:?}");
}

/// PEM certificate and key, good from one day to another since 1970.
fn certificate(first: u64, last: u64) -> (String, String) {
    let day = |n: u64| std::time::UNIX_EPOCH + std::time::Duration::from_secs(n * 86_400);
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_string()]).unwrap();
    (params.not_before, params.not_after) = (day(first).into(), day(last).into());
    let key = rcgen::KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

#[test]
fn health_asks_the_running_gateway() {
    let mut running = Gateway::start("udp", 32_200..=32_299);
    let output = gateway(&["health"], &running.config());
    assert_eq!((output.status.code(), stdout(&output).trim()), (Some(0), "The gateway is ready."));
    let output = gateway(&["health", "--json"], &running.config());
    assert_eq!(stdout(&output).trim(), r#"{"ready":true,"reason":null}"#);

    running.terminate();
    assert_eq!(running.ended().code(), Some(0), "without calls it just ends");
    let output = gateway(&["health"], &running.config());
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).starts_with("The gateway is not ready: no answer from"), "{output:?}");
}

#[test]
fn the_demo_says_at_each_start_where_its_passwords_are_and_where_it_looked_for_its_page() {
    let (wss, admin) = (free_port(), free_port());
    let (folder, config) = written(&format!(
        "[listen]\nwss = \"{wss}\"\nsip_udp = \"off\"\nsip_tcp = \"off\"\n[admin]\nlisten = \"{admin}\"\n\
         [relay]\nbrowser_port = 0\n[browser]\npage = \"nowhere\"\n"
    ));
    let kept = folder.path().join("var/demo-users").display().to_string();
    for expected in ["(shown this once)", kept.as_str()] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gateway"))
            .args(["run", "--config"])
            .arg(&config)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut told = Vec::new();
        for line in lines {
            told.push(line);
            if told.iter().any(|line| line.contains(expected)) {
                break;
            }
        }
        end(&mut child);
        let told = told.join("\n");
        assert!(told.contains(expected), "{told}");
        assert!(told.contains(&folder.path().join("nowhere").display().to_string()), "{told}");
        assert!(told.contains("browser.page"), "{told}");
    }
}

fn end(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind(free_port()).unwrap();
    let at = taken.local_addr().unwrap();
    let (_folder, config) = written(&format!(
        "[listen]\nwss = \"off\"\nws = \"{at}\"\nsip_udp = \"off\"\nsip_tcp = \"off\"\n\
         [admin]\nlisten = \"off\"\n[relay]\nbrowser_port = 0\n"
    ));
    let output = gateway(&["run"], &config);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("listen.ws") && text.contains(&at.to_string()), "{text}");
}
