//! Credentials that must not count.

use relay_api::turn::Credentials;

use super::*;

fn code(username: &str, password: &str) -> u16 {
    let mut rig = Rig::new();
    let mut phone = Phone::with(udp(1), username, password);
    let reply = rig.ask(&mut phone, ALLOCATE, &[TRANSPORT_UDP]);
    assert!(reply.code != 401 || (!reply.nonce.is_empty() && !reply.is_signed));
    reply.code
}

fn issued(username: &str) -> u16 {
    code(username, &secret("new").password(username.as_bytes()))
}

#[test]
fn current_names_of_any_known_secret_are_granted() {
    let Credentials { username, password } = secret("old").issue("alice", UNIX + 1);
    assert_eq!(code(&username, &password), 0);
    for username in [format!("{}", UNIX + 600), format!("{}:", UNIX + 1), format!("{}:a:b", UNIX + 86_400)] {
        assert_eq!(issued(&username), 0, "{username}");
    }
}

#[test]
fn expired_misspelt_and_forged_credentials_are_refused_alike() {
    let soon = UNIX + 600;
    let misspelt = [
        format!("{UNIX}:alice"),
        format!("{}:alice", UNIX - 1),
        format!("{}:alice", UNIX + 86_401),
        "0:alice".to_owned(),
        "1:alice".to_owned(),
        "-1:alice".to_owned(),
        format!("-{soon}:alice"),
        format!("+{soon}:alice"),
        format!(" {soon}:alice"),
        format!("{soon} :alice"),
        format!("{soon}.0:alice"),
        format!("{soon}e0:alice"),
        format!("0x{soon:x}:alice"),
        format!("{}:alice", u64::MAX),
        format!("1{}:alice", u64::MAX),
        format!("alice:{soon}"),
        format!(":{soon}"),
        "alice".to_owned(),
        ":".to_owned(),
        String::new(),
        format!("{soon}:{}", "a".repeat(300)),
        format!("{soon}\0:alice"),
    ];
    for username in &misspelt {
        assert_eq!(issued(username), 401, "{username:?}");
    }
    let Credentials { username, password } = secret("new").issue("alice", soon);
    let of_bob = secret("new").issue("bob", soon).password;
    let foreign = secret("foreign").issue("alice", soon).password;
    for forged in ["", &password[..27], &password.to_lowercase(), &of_bob, &foreign, &username, "new"] {
        assert_eq!(code(&username, forged), 401, "{forged:?}");
    }
    assert_eq!(code(&username, &password), 0);
}

#[test] // RFC 8489 §9.2.4
fn half_credentials_and_another_realm_are_refused() {
    let mut rig = Rig::new();
    let mut phone = Phone::new(1, "alice");
    rig.ask(&mut phone, ALLOCATE, &[]);
    let parts: [(u16, Vec<u8>); 3] =
        [(USERNAME, phone.username.clone().into()), (REALM, b"north".to_vec()), (NONCE, phone.nonce.clone())];
    for left_out in 0..3 {
        let kept = parts.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, part)| part);
        assert_eq!(signed(&mut rig, &phone, kept), 400);
    }
    assert_eq!(
        signed(&mut rig, &phone, [&parts[0], &(REALM, b"south".to_vec()), &parts[2]].into_iter()),
        401
    );
    assert_eq!(signed(&mut rig, &phone, parts.iter()), 0);
}

fn signed<'a>(rig: &mut Rig, phone: &Phone, parts: impl Iterator<Item = &'a (u16, Vec<u8>)>) -> u16 {
    let mut out = [0; 512];
    let mut writer = Writer::new(&mut out, ALLOCATE, [200; 12]);
    writer.attribute(TRANSPORT_UDP.0, TRANSPORT_UDP.1);
    for (kind, value) in parts {
        writer.attribute(*kind, value);
    }
    writer.integrity(&phone.key);
    let length = writer.end();
    let answer = rig.receives(phone.client, &out[..length]).unwrap();
    Reply::read(&answer, &out[..length], Some(&phone.key)).code
}

#[test]
fn secrets_can_be_exchanged_and_old_allocations_stay() {
    let mut rig = Rig::new();
    let (mut before, mut after) = (Phone::new(1, "alice"), Phone::new(2, "alice"));
    rig.allocate(&mut before);
    rig.server.set_secrets(vec![secret("newer")]);
    assert_eq!(rig.ask(&mut after, ALLOCATE, &[TRANSPORT_UDP]).code, 401);
    assert_eq!(rig.ask(&mut before, REFRESH, &[]).code, 0);
}

#[test]
fn every_nonce_is_another() {
    let mut rig = Rig::new();
    let nonces: HashSet<Vec<u8>> =
        (0..60).map(|_| rig.ask_once(&mut Phone::new(1, "a"), ALLOCATE, &[TRANSPORT_UDP]).nonce).collect();
    assert!(nonces.len() == 60 && nonces.iter().all(|nonce| nonce.len() >= 22));
}
