//! Calls through the relay's program, from the generator's side.
#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../../media-relay/tests/built/mod.rs"]
mod built;

use std::process::Command;

use serde_json::Value;

#[test]
fn calls_are_heard_and_leave_no_session_and_no_port() {
    let loadtest = env!("CARGO_BIN_EXE_loadtest");
    let relay = built::media_relay(loadtest);
    let mut command = Command::new(loadtest);
    command.args(["soak", "--calls", "3", "--duration", "1", "--json", "--relay"]).arg(relay);
    let output = command.output().unwrap();
    let result: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let left = &result["left"];
    assert_eq!((left["sessions"].as_u64(), left["descriptors"].as_i64()), (Some(0), Some(0)), "{result}");
    let (sent, lost) = (result["sent"].as_u64().unwrap(), result["lost"].as_u64().unwrap());
    assert!(sent > 0 && lost < sent, "{result}");
}
