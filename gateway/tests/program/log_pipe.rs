//! Standard error is a pipe that nobody reads.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, PipeWriter, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use sip_core::message::Status;

use crate::phone::Phone;
use crate::program::{Gateway, Shape};

const RELAY: &str = "[relay]\nbrowser_port = 0\nrtp_ports = [32690, 32693]\nworkers = 1\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_nobody_reads_holds_up_nothing_and_tells_later_what_is_missing() {
    let (reader, writer) = io::pipe().unwrap();
    fill(&writer);
    let log = "filter = \"info,gateway=debug\"";
    let shape = Shape { sections: RELAY, log, stderr: Some(&writer), ..Shape::default() };
    let mut gateway = Gateway::launch(&shape);
    drop(writer);
    let mut alice = Phone::register(gateway.ws, "alice").await;
    let mut bob = Phone::connect(gateway.ws, "bob").await;
    for _ in 0..200 {
        assert_ne!(bob.log_in("wrong").await, Status::OK);
    }
    while gateway.metric(DROPPED) == 0.0 {
        for _ in 0..1_000 {
            bob.send_text("no SIP, and a line in the log").await;
        }
        alice.is_served().await;
    }
    assert!(gateway.ask("/livez").contains("alive"));
    alice.call("echo").await;

    let mut lines = BufReader::new(reader).lines().map(|line| line.unwrap());
    assert!(lines.any(|line| line.contains("lines of the log were dropped")));
    drop(lines);
    gateway.terminate();
    assert!(gateway.ended().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_nobody_reads_does_not_keep_the_program_from_its_end() {
    let (_reader, writer) = io::pipe().unwrap();
    fill(&writer);
    let log = "filter = \"info\"";
    let mut gateway =
        Gateway::launch(&Shape { sections: RELAY, log, stderr: Some(&writer), ..Shape::default() });
    gateway.terminate();
    assert!(gateway.ended().success());
}

/// Until not one byte more has room. The pipe is opened once more for it, since not to wait is a property of what is opened,
/// which the program would share.
fn fill(pipe: &PipeWriter) {
    let path = format!("/proc/self/fd/{}", pipe.as_raw_fd());
    let mut pipe = OpenOptions::new().write(true).custom_flags(O_NONBLOCK).open(path).unwrap();
    while pipe.write(b"\n").is_ok() {}
}

const DROPPED: &str = "gateway_log_lines_dropped_total";
/// Linux.
const O_NONBLOCK: i32 = 0o4000;
