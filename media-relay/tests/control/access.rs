//! Who gets in.

use crate::client::{exchange, request};
use crate::lab::Lab;

#[tokio::test]
async fn without_a_token_of_the_file_nothing_is_answered() {
    let (old, new) = ("o".repeat(32), "n".repeat(48));
    let lab = Lab::with_tokens(25_250..=25_259, &format!("{old}\n{new}\n")).await;
    let ask = |authorization: String| {
        let text = request("GET", "/v1/status", &authorization, "");
        async move { exchange(lab.at, &text).await }
    };
    for token in [&old, &new] {
        assert_eq!(ask(format!("Authorization: Bearer {token}\r\n")).await.status, 200);
    }
    let wrong = [
        String::new(),
        "Authorization: Bearer\r\n".into(),
        format!("Authorization: Basic {old}\r\n"),
        format!("Authorization: Bearer {}\r\n", &old[1..]),
        format!("Authorization: Bearer {old}{new}\r\n"),
        format!("Authorization: Bearer {}\r\n", "x".repeat(8_000)),
    ];
    for authorization in wrong {
        let refused = ask(authorization.clone()).await;
        assert_eq!((refused.status, refused.error().as_str()), (401, "unauthorized"), "{authorization}");
        assert!(refused.head.contains("www-authenticate: bearer"));
    }
}

#[tokio::test] // whatever is asked for: also what is not there, and bodies are not read
async fn who_is_refused_learns_nothing_about_what_there_is() {
    let lab = Lab::with_tokens(25_260..=25_269, &"t".repeat(32)).await;
    let mut answers = Vec::new();
    for (method, path, body) in [
        ("GET", "/v1/status", ""),
        ("GET", "/v1/sessions/ghost", ""),
        ("GET", "/nowhere", ""),
        ("PATCH", "/v1/status", ""),
        ("PUT", "/v1/sessions/call", "{}"),
        ("GET", "/v1/events", ""),
    ] {
        let answer = exchange(lab.at, &request(method, path, "", body)).await;
        answers.push((answer.status, answer.body));
    }
    answers.dedup();
    assert_eq!(answers, [(401, r#"{"error":"unauthorized"}"#.to_owned())]);
}
