#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;

/// RFC 5769 §2.1, password `VOkJxbRl1RmTxUk/WvJxBt`.
const SAMPLE_REQUEST: &[u8] =
    b"\x00\x01\x00\x58\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
    \x80\x22\x00\x10STUN test client\
    \x00\x24\x00\x04\x6e\x00\x01\xff\
    \x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36\
    \x00\x06\x00\x09evtj:h6vY\x20\x20\x20\
    \x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49\xc1\xb5\x71\xa2\
    \x80\x28\x00\x04\xe5\x7a\x3b\xcf";

/// RFC 5769 §2.2, mapped address 192.0.2.1:32853.
const SAMPLE_RESPONSE_V4: &[u8] =
    b"\x01\x01\x00\x3c\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
    \x80\x22\x00\x0btest vector\x20\
    \x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43\
    \x00\x08\x00\x14\x2b\x91\xf5\x99\xfd\x9e\x90\xc3\x8c\x74\x89\xf9\x2a\xf9\xba\x53\xf0\x6b\xe7\xd7\
    \x80\x28\x00\x04\xc0\x7d\x4c\x96";

/// RFC 5769 §2.3, mapped address [2001:db8:1234:5678:11:2233:4455:6677]:32853.
const SAMPLE_RESPONSE_V6: &[u8] =
    b"\x01\x01\x00\x48\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
    \x80\x22\x00\x0btest vector\x20\
    \x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9\
    \x00\x08\x00\x14\xa3\x82\x95\x4e\x4b\xe6\x7b\xf1\x17\x84\xc9\x7c\x82\x92\xc2\x75\xbf\xe3\xed\x41\
    \x80\x28\x00\x04\xc8\xfb\x0b\x4c";

const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

#[test] // RFC 5769 §2.1
fn the_sample_request_is_read_and_authentic() {
    let request = Request::parse(SAMPLE_REQUEST).unwrap();
    assert_eq!(request.username, b"evtj:h6vY");
    assert!(request.controlled && !request.use_candidate);
    assert_eq!(request.unknown_attribute, None);
    assert!(request.is_authentic(&Key::new(PASSWORD)));
    assert!(!request.is_authentic(&Key::new("another password 123456")));
}

#[test] // RFC 5769 §2.2 and §2.3: the vectors carry SOFTWARE, ours do not, so each attribute is compared alone
fn responses_hold_the_attributes_of_the_samples() {
    let key = Key::new(PASSWORD);
    let request = Request::parse(SAMPLE_REQUEST).unwrap();
    for (sample, mapped) in [
        (SAMPLE_RESPONSE_V4, "192.0.2.1:32853"),
        (SAMPLE_RESPONSE_V6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853"),
    ] {
        let mut writer_out = [0; MESSAGE_SIZE];
        let mut writer = Writer::new(&mut writer_out, BINDING_SUCCESS, request.transaction);
        // With the sample's SOFTWARE (padded by a blank there) the whole message must come out.
        writer.push(&sample[HEADER..HEADER + 16]);
        writer.xor_address(XOR_MAPPED_ADDRESS, mapped.parse().unwrap());
        let length = writer.finish(&key);
        assert_eq!(&writer_out[..length], sample);

        let mut out = [0; MESSAGE_SIZE];
        let length = request.accept(mapped.parse().unwrap(), &key, &mut out);
        assert_eq!(&out[..2], &[1, 1]);
        assert_eq!(usize::from(out[3]) + HEADER, length);
        assert!(out[..length].windows(8).any(|window| window == &sample[36..44]));
    }
}

#[test] // RFC 8489 §14.7
fn a_wrong_or_missing_fingerprint_is_no_request() {
    let mut forged = SAMPLE_REQUEST.to_vec();
    *forged.last_mut().unwrap() ^= 1;
    assert!(Request::parse(&forged).is_none());
    let mut without = SAMPLE_REQUEST[..SAMPLE_REQUEST.len() - 8].to_vec();
    without[3] -= 8;
    assert!(Request::parse(&without).is_none());
}

#[test] // RFC 8489 §14.5: an attacker may append, but nothing appended is believed
fn attributes_behind_the_integrity_are_ignored() {
    let key = Key::new(PASSWORD);
    let mut out = SAMPLE_REQUEST[..SAMPLE_REQUEST.len() - 8].to_vec();
    out.extend_from_slice(&[0x00, 0x25, 0, 0]); // USE-CANDIDATE
    out[3] = (out.len() - HEADER + 8) as u8;
    let crc = crc32fast::hash(&out) ^ FINGERPRINT_XOR;
    out.extend_from_slice(&[0x80, 0x28, 0, 4]);
    out.extend_from_slice(&crc.to_be_bytes());
    let request = Request::parse(&out).unwrap();
    assert!(request.is_authentic(&key) && !request.use_candidate);
}

#[test]
fn truncated_or_changed_requests_never_authenticate() {
    let key = Key::new(PASSWORD);
    for length in 0..SAMPLE_REQUEST.len() {
        assert!(Request::parse(&SAMPLE_REQUEST[..length]).is_none());
    }
    for at in 0..SAMPLE_REQUEST.len() {
        for bit in 0..8 {
            let mut changed = SAMPLE_REQUEST.to_vec();
            changed[at] ^= 1 << bit;
            assert!(Request::parse(&changed).is_none_or(|request| !request.is_authentic(&key)), "{at}.{bit}");
        }
    }
}

#[test] // RFC 8489 §6.3.1.1, RFC 8445 §7.3.1.1
fn refusals_carry_code_and_attribute() {
    let key = Key::new(PASSWORD);
    let request = Request::parse(SAMPLE_REQUEST).unwrap();
    let mut out = [0; MESSAGE_SIZE];
    let length = request.refuse(Refusal::UnknownAttribute(0x7777), &key, &mut out);
    assert_eq!(&out[..2], &[0x01, 0x11]);
    assert_eq!(&out[20..36], &[0, 9, 0, 4, 0, 0, 4, 20, 0, 10, 0, 2, 0x77, 0x77, 0, 0]);
    assert_eq!(usize::from(out[3]) + HEADER, length);
    request.refuse(Refusal::RoleConflict, &key, &mut out);
    assert_eq!(&out[20..28], &[0, 9, 0, 4, 0, 0, 4, 87]);
}
