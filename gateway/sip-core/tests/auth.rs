//! Digest logins as they look on the wire.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use sip_core::auth::client::{self, Credentials, NoAnswer};
use sip_core::auth::server::{self, Realm, Refusal, Verdict, challenge};
use sip_core::auth::{Algorithm, NonceId, NonceSealer, NonceUses, Salt, Secret, username};
use sip_core::time::UnixMillis;

use Algorithm::{Md5, Sha256, Sha512_256};

#[test] // RFC 2617 §3.5; RFC 7616 §3.9.1; RFC 7616 §3.9.2 with the response of erratum 4897
fn the_vectors_of_the_rfcs() {
    let dir = ("GET", "/dir/index.html");
    let rfc2617 = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
                   nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
    let mufasa = person("Mufasa", "testrealm@host.com", "Circle Of Life");
    let answer = mufasa.answers(&[rfc2617], dir, "0a4f113b").unwrap();
    assert!(answer.contains("response=\"6629fae49393a05397450978507c4ef1\""), "{answer}");
    assert!(answer.ends_with("opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""), "{answer}");

    let rfc7616 = |algorithm| {
        format!(
            "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
             opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        )
    };
    let mufasa = person("Mufasa", "http-auth@example.org", "Circle of Life");
    let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
    for (algorithm, response) in [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ] {
        let answer = mufasa.answers(&[&rfc7616(algorithm)], dir, cnonce).unwrap();
        assert!(answer.contains(&format!("response=\"{response}\"")), "{answer}");
    }

    let sha512 = "Digest realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, \
                  nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\", charset=UTF-8, userhash=true";
    let doe = person("Jäsøn Doe", "api@example.org", "Secret, or not?");
    let answer =
        doe.answers(&[sha512], ("GET", "/doe.json"), "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v").unwrap();
    let response = "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5";
    assert!(answer.contains(response), "{answer}");
}

#[test] // RFC 3261 §22.4; RFC 8760 §2.4
fn a_phone_is_challenged_and_logs_in() {
    let server = Server::new();
    let challenges = server.challenge(START);
    assert_eq!(challenges.len(), 3);
    for (challenge, algorithm) in challenges.iter().zip(["SHA-512-256", "SHA-256", "MD5"]) {
        assert!(challenge.contains(&format!("algorithm={algorithm}, qop=\"auth\"")), "{challenge}");
        assert!(challenge.starts_with("Digest realm=\"example.com\", nonce=\""), "{challenge}");
        assert!(!challenge.contains("stale"));
    }
    for one in &challenges {
        let authorization = alice().answers(&[one], REGISTER, "c1").unwrap();
        assert_eq!(username(&authorization).unwrap(), "alice");
        let Verdict::Accepted { username, nc, .. } = server.judges(&authorization, START) else {
            panic!("{authorization}")
        };
        assert_eq!((username.as_str(), nc), ("alice", 1));
    }
}

#[test] // RFC 7616 §3.4: the count is for the uses of the binding to compare
fn every_use_of_a_nonce_is_told() {
    let server = Server::new();
    let challenges = server.challenge(START);
    let uses = [1, 2, 0xA0].map(|nc| {
        let authorization = alice().answers_with(&[&challenges[0]], REGISTER, "c", nc).unwrap();
        accepted(&server.judges(&authorization, START)).unwrap()
    });
    assert_eq!(uses.map(|(_, nc)| nc), [1, 2, 0xA0]);
    assert!(uses.iter().all(|(id, _)| *id == uses[0].0), "one nonce, one name");
}

#[test] // RFC 7616 §3.4, §5.5
fn a_use_is_taken_once_and_none_of_an_earlier_nonce_after_one_of_a_later() {
    let server = Server::new();
    let use_of = |challenges: &[String], nc| {
        let authorization = alice().answers_with(&[&challenges[0]], REGISTER, "c", nc).unwrap();
        accepted(&server.judges(&authorization, START)).unwrap()
    };
    let (first, second, third) = (server.challenge(START), server.challenge(START), server.challenge(START));
    let mut uses = NonceUses::default();
    let mut takes = |challenges: &[String], nc| {
        let (nonce, nc) = use_of(challenges, nc);
        uses.accept(nonce, nc)
    };
    assert!(takes(&first, 1));
    assert!(!takes(&first, 1), "a replay");
    assert!(takes(&first, 5), "counts may be left out");
    assert!(!takes(&first, 4), "and never come after");
    assert!(takes(&third, 1), "a later nonce");
    assert!(!takes(&third, 1));
    for earlier in [&first, &second] {
        assert!(!takes(earlier, 9), "costs a challenge more");
    }
    assert!(takes(&third, u32::MAX));
    assert!(!takes(&third, u32::MAX));
}

#[test] // what is known of a nonce is no more than this, however many challenges there were
fn the_uses_of_a_connection_are_some_bytes() {
    assert!(size_of::<NonceUses>() <= 64);
}

#[test]
fn no_two_challenges_share_a_nonce_and_every_one_is_long() {
    let server = Server::new();
    let mut nonces: Vec<String> = (0..60).map(|_| nonce(&server.challenge(START)[0]).to_owned()).collect();
    assert!(nonces.iter().all(|nonce| nonce.len() >= 22));
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), 60);
}

#[test] // RFC 7616 §3.3 `stale`: the password was right, so the phone need not ask its user
fn an_old_nonce_is_stale_and_only_for_those_who_know_the_secret() {
    let server = Server::new();
    let authorization = alice().answers(&[&server.challenge(START)[2]], REGISTER, "c").unwrap();
    let late = START.plus(LIFETIME).plus(Duration::from_millis(1));
    assert!(accepted(&server.judges(&authorization, START.plus(LIFETIME))).is_some());
    assert_eq!(server.judges(&authorization, late), Verdict::Stale);
    let wrong =
        person("alice", "example.com", "guess").answers(&[&server.challenge(START)[2]], REGISTER, "c");
    assert_eq!(server.judges(&wrong.unwrap(), late), Verdict::Refused(Refusal::Response));
}

#[test] // another node's clock may be ahead by a minute
fn nonces_from_the_near_future_are_taken() {
    let server = Server::new();
    let authorization = alice().answers(&[&server.challenge(START)[0]], REGISTER, "c").unwrap();
    let before = |seconds: u64| UnixMillis(START.0 - seconds * 1000);
    assert!(accepted(&server.judges(&authorization, before(60))).is_some());
    assert_eq!(server.judges(&authorization, before(61)), Verdict::Stale);
}

#[test]
fn a_nonce_is_good_on_every_node_with_the_key_and_for_its_binding_alone() {
    let (server, twin) = (Server::new(), Server::new());
    let authorization = alice().answers(&[&server.challenge(START)[0]], REGISTER, "c").unwrap();
    assert!(accepted(&twin.judges(&authorization, START)).is_some());

    let stranger = Server { sealer: NonceSealer::new(&[8; 32]), ..Server::new() };
    assert_eq!(stranger.judges(&authorization, START), Verdict::Stale, "as after a change of keys");
    let elsewhere = Server { binding: b"192.0.2.9", ..Server::new() };
    assert_eq!(elsewhere.judges(&authorization, START), Verdict::Stale);

    // Every single character of the nonce counts.
    let own = nonce(&server.challenge(START)[0]).to_owned();
    for at in 0..own.len() {
        let other = if own[at..].starts_with('A') { "B" } else { "A" };
        let forged = format!("{}{other}{}", &own[..at], &own[at + 1..]);
        let challenge = format!("Digest realm=\"example.com\", nonce=\"{forged}\", qop=\"auth\"");
        let authorization = alice().answers(&[&challenge], REGISTER, "c").unwrap();
        assert_eq!(server.judges(&authorization, START), Verdict::Stale, "{at}");
    }
}

#[test]
fn an_unknown_user_and_a_wrong_password_look_alike() {
    let server = Server::new();
    let challenges = server.challenge(START);
    let mallory = person("mallory", "example.com", "x").answers(&[&challenges[0]], REGISTER, "c").unwrap();
    let wrong = person("alice", "example.com", "x").answers(&[&challenges[0]], REGISTER, "c").unwrap();
    assert_eq!(server.judges_as(&mallory, None, START), server.judges(&wrong, START));
    assert_eq!(server.judges(&wrong, START), Verdict::Refused(Refusal::Response));
}

#[test]
fn what_a_header_must_say() {
    let server = Server::new();
    let good = alice().answers(&[&server.challenge(START)[2]], REGISTER, "c").unwrap();
    assert!(accepted(&server.judges(&good, START)).is_some());
    let nonce_text = nonce(&good).to_owned();
    for (from, to, refusal) in [
        ("qop=auth,", "", Refusal::Malformed),
        ("qop=auth,", "qop=auth-int,", Refusal::Malformed),
        ("nc=00000001", "nc=1", Refusal::Malformed),
        ("nc=00000001", "nc=+0000001", Refusal::Malformed),
        ("nc=00000001", "nc=00000000", Refusal::Malformed),
        ("nc=00000001", "nc=0000000g", Refusal::Malformed),
        ("cnonce=\"c\", ", "", Refusal::Malformed),
        ("cnonce=\"c\"", "cnonce=\"\"", Refusal::Malformed),
        ("username=\"alice\", ", "", Refusal::Malformed),
        ("username=\"alice\"", "username*=UTF-8''alice", Refusal::Malformed),
        ("uri=\"sip:example.com\", ", "", Refusal::Malformed),
        ("uri=\"sip:example.com\"", "uri=\"sip:evil.example\"", Refusal::Uri),
        ("uri=\"sip:example.com\"", "uri=\"sips:example.com\"", Refusal::Uri),
        ("realm=\"example.com\", ", "", Refusal::Malformed),
        ("realm=\"example.com\"", "realm=\"other\"", Refusal::Realm),
        ("realm=\"example.com\"", "realm=\"example.com\", realm=\"example.com\"", Refusal::Malformed),
        ("algorithm=MD5", "algorithm=MD5-sess", Refusal::Algorithm),
        ("algorithm=MD5", "algorithm=SHA-256", Refusal::Response),
        ("algorithm=MD5", "algorithm=MD5, userhash=true", Refusal::Malformed),
        ("Digest ", "Basic ", Refusal::Malformed),
        ("Digest ", "Digest", Refusal::Malformed),
        ("Digest ", "Digest ;", Refusal::Malformed),
        ("response=\"", "response=\"0", Refusal::Response),
        (", nc=", " nc=", Refusal::Malformed),
    ] {
        assert!(good.contains(from), "{from}");
        let verdict = server.judges(&good.replacen(from, to, 1), START);
        assert_eq!(verdict, Verdict::Refused(refusal), "{from} -> {to}");
    }
    let other_method = server::verify(
        &server.sealer,
        &server.realm(),
        &good,
        ("INVITE", "sip:example.com"),
        Some(&Secret::password("open sesame")),
        START,
    );
    assert_eq!(other_method, Verdict::Refused(Refusal::Response));
    // Equivalent spellings of the same URI, and of the same header, are the same (RFC 3261 §19.1.4, RFC 7616 §3.5).
    let equivalent = format!("uri=\"{}\"", REGISTER.1);
    assert!(good.contains(&equivalent) && good.contains(&nonce_text));
    let spaced = good
        .replace("Digest ", "DIGEST  ")
        .replace(", nonce", " ,, NONCE")
        .replace("qop=auth", "qop = \"auth\"");
    assert!(accepted(&server.judges(&spaced, START)).is_some(), "{spaced}");
}

#[test]
fn an_algorithm_that_is_not_configured_is_refused() {
    let strict = Server { algorithms: &[Sha256], ..Server::new() };
    let challenge = format!(
        "Digest realm=\"example.com\", qop=\"auth\", nonce=\"{}\"",
        nonce(&strict.challenge(START)[0])
    );
    let downgraded = alice().answers(&[&challenge], REGISTER, "c").unwrap();
    assert_eq!(strict.judges(&downgraded, START), Verdict::Refused(Refusal::Algorithm));
}

#[test] // RFC 3261 §25.1, quoted-string; §22.4: unq()
fn escaped_quotes_and_commas_in_names_survive() {
    let server = Server { name: "a \"quoted\", realm\\", ..Server::new() };
    let odd = person("al\"ice, \\ the 1st", server.name, "open sesame");
    let challenges = server.challenge(START);
    let authorization = odd.answers(&[&challenges[0]], REGISTER, "c\"c").unwrap();
    assert_eq!(username(&authorization).unwrap(), "al\"ice, \\ the 1st");
    assert!(accepted(&server.judges(&authorization, START)).is_some(), "{authorization}");
}

#[test] // RFC 7616 §3.4.2
fn hashes_stand_for_the_password() {
    let server = Server::new();
    // MD5 of alice:example.com:open sesame.
    let kept = |algorithm, answer: &str| {
        let hash = match algorithm {
            Md5 => "7a6f498f50d864f4c4b7a4ab9d3f878c",
            Sha256 | Sha512_256 => "",
        };
        server.judges_as(answer, Some(&Secret::ha1([(algorithm, hash.to_uppercase())])), START)
    };
    let challenges = server.challenge(START);
    let md5 = alice().answers(&[&challenges[2]], REGISTER, "c").unwrap();
    assert!(accepted(&kept(Md5, &md5)).is_some());
    let sha = alice().answers(&[&challenges[1]], REGISTER, "c").unwrap();
    assert_eq!(kept(Md5, &sha), Verdict::Refused(Refusal::Response), "no hash of that kind is kept");
}

#[test]
fn names_are_read_before_anything_is_believed() {
    for wrong in [
        "",
        "Digest",
        "Digest ",
        "Bearer abc",
        "Digest username=\"\"",
        "Digest username=\"alice",
        "Digest username",
    ] {
        assert!(username(wrong).is_err(), "{wrong}");
    }
    assert!(
        username(&format!("Digest username=\"alice\"{}", ", x=1".repeat(32))).is_err(),
        "32 parameters at most"
    );
    let many = (0..40).map(|number| format!(", x{number}=1")).collect::<String>();
    assert!(username(&format!("Digest username=\"alice\"{many}")).is_err());
}

#[test] // RFC 8760 §2.4; SECURITY: credentials only to the configured realm
fn our_side_answers_its_own_realm_with_the_strongest_algorithm() {
    let challenges = Server::new().challenge(START);
    let reversed: Vec<&str> = challenges.iter().rev().map(String::as_str).collect();
    assert!(alice().answers(&reversed, REGISTER, "c").unwrap().contains("algorithm=SHA-512-256"));

    let evil = person("alice", "other.example", "open sesame");
    assert_eq!(evil.answers(&reversed, REGISTER, "c"), Err(NoAnswer::Realm));
    assert_eq!(alice().answers(&["Basic realm=\"example.com\""], REGISTER, "c"), Err(NoAnswer::Realm));
    for unusable in ["algorithm=MD5-sess, qop=\"auth\"", "qop=\"auth-int\"", "algorithm=MD5"] {
        let challenge = format!("Digest realm=\"example.com\", nonce=\"n\", {unusable}");
        assert_eq!(alice().answers(&[&challenge], REGISTER, "c"), Err(NoAnswer::Algorithm), "{unusable}");
    }
}

const START: UnixMillis = UnixMillis(1_790_000_000_000);
const LIFETIME: Duration = Duration::from_secs(300);
const REGISTER: (&str, &str) = ("REGISTER", "sip:example.com");

struct Server {
    sealer: NonceSealer,
    name: &'static str,
    algorithms: &'static [Algorithm],
    binding: &'static [u8],
    uses: std::cell::RefCell<NonceUses>,
}

impl Server {
    fn new() -> Self {
        Self {
            sealer: NonceSealer::new(&[7; 32]),
            name: "example.com",
            algorithms: &Algorithm::ALL,
            binding: b"",
            uses: std::cell::RefCell::default(),
        }
    }

    fn realm(&self) -> Realm<'_> {
        Realm { name: self.name, algorithms: self.algorithms, binding: self.binding, lifetime: LIFETIME }
    }

    fn challenge(&self, now: UnixMillis) -> Vec<String> {
        let number = self.uses.borrow_mut().next_challenge();
        let chance = number.wrapping_mul(0x9E37_79B1);
        challenge(&self.sealer, &self.realm(), Salt { number, chance }, false, now)
    }

    fn judges(&self, authorization: &str, now: UnixMillis) -> Verdict {
        self.judges_as(authorization, Some(&Secret::password("open sesame")), now)
    }

    fn judges_as(&self, authorization: &str, secret: Option<&Secret>, now: UnixMillis) -> Verdict {
        server::verify(&self.sealer, &self.realm(), authorization, REGISTER, secret, now)
    }
}

struct Person {
    username: &'static str,
    realm: &'static str,
    secret: Secret,
}

fn person(username: &'static str, realm: &'static str, password: &str) -> Person {
    Person { username, realm, secret: Secret::password(password) }
}

fn alice() -> Person {
    person("alice", "example.com", "open sesame")
}

impl Person {
    fn answers(&self, challenges: &[&str], request: (&str, &str), cnonce: &str) -> Result<String, NoAnswer> {
        client::answer(challenges.iter().copied(), &self.credentials(), request, 1, cnonce)
    }

    fn answers_with(
        &self,
        challenges: &[&str],
        request: (&str, &str),
        cnonce: &str,
        nc: u32,
    ) -> Result<String, NoAnswer> {
        client::answer(challenges.iter().copied(), &self.credentials(), request, nc, cnonce)
    }

    fn credentials(&self) -> Credentials<'_> {
        Credentials { username: self.username, realm: self.realm, secret: &self.secret }
    }
}

fn accepted(verdict: &Verdict) -> Option<(NonceId, u32)> {
    match verdict {
        Verdict::Accepted { nonce_id, nc, .. } => Some((*nonce_id, *nc)),
        Verdict::Stale | Verdict::Refused(_) => None,
    }
}

fn nonce(header: &str) -> &str {
    header.split_once("nonce=\"").unwrap().1.split_once('"').unwrap().0
}
