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
    let mistakes = answer["mistakes"].as_array().unwrap();
    assert_eq!(mistakes.len(), KEYS.len());
    assert!(mistakes.iter().all(|mistake| KEYS.contains(&mistake["key"].as_str().unwrap())), "{answer}");
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
    let (_folder, config) = written("[log]\njson = true");
    let output = gateway(&["check"], &config);
    assert_eq!((output.status.code(), stdout(&output).trim()), (Some(0), "The configuration is good."));
    let output = gateway(&["check", "--json"], &config);
    assert_eq!(stdout(&output).trim(), r#"{"mistakes":[],"ok":true}"#);
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
