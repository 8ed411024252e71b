//! SIGTERM during a call.

use std::io::Write;

use tempfile::NamedTempFile;

use super::phone::Phone;
use super::program::Gateway;
use super::{sipp, succeeds};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_stopped_hangs_up_on_both_sides() {
    let mut gateway = Gateway::start("udp", 32_100..=32_199);
    let mut phone = Phone::register(gateway.ws, "alice").await;
    let mut scenario = NamedTempFile::new().unwrap();
    scenario.write_all(WAITS_FOR_BYE.as_bytes()).unwrap();
    let (target, port) = (gateway.sip.to_string(), gateway.trunk.port().to_string());
    let scenario = scenario.path().to_str().unwrap().to_owned();
    let mut uac = sipp(&["-sf", &scenario, "-t", "u1", "-s", "alice", "-p", &port, "-m", "1", &target]);
    phone.take_call().await;
    gateway.terminate();
    phone.hung_up().await;
    succeeds(&mut uac).await;
    let status = tokio::task::spawn_blocking(move || gateway.ended()).await.unwrap();
    assert_eq!(status.code(), Some(0), "{status}");
}

/// A caller that is hung up on.
const WAITS_FOR_BYE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<scenario name="waits for BYE">
  <send retrans="500"><![CDATA[
    INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
    From: <sip:sipp@[local_ip]:[local_port]>;tag=[call_number]
    To: <sip:[service]@[remote_ip]:[remote_port]>
    Call-ID: [call_id]
    CSeq: 1 INVITE
    Contact: <sip:sipp@[local_ip]:[local_port]>
    Max-Forwards: 70
    Content-Type: application/sdp
    Content-Length: [len]

    v=0
    o=- 1 1 IN IP[local_ip_type] [local_ip]
    s=-
    c=IN IP[media_ip_type] [media_ip]
    t=0 0
    m=audio [media_port] RTP/AVP 0
    a=rtpmap:0 PCMU/8000
  ]]></send>
  <recv response="100" optional="true"/>
  <recv response="180" optional="true"/>
  <recv response="200" rrs="true"/>
  <send><![CDATA[
    ACK [next_url] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
    From: <sip:sipp@[local_ip]:[local_port]>;tag=[call_number]
    [last_To:]
    Call-ID: [call_id]
    CSeq: 1 ACK
    Max-Forwards: 70
    Content-Length: 0
  ]]></send>
  <recv request="BYE"/>
  <send><![CDATA[
    SIP/2.0 200 OK
    [last_Via:]
    [last_From:]
    [last_To:]
    [last_Call-ID:]
    [last_CSeq:]
    Content-Length: 0
  ]]></send>
</scenario>
"#;
