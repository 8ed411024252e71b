//! HTTP by hand: one request a connection, so that nothing is hidden by a library.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// The body.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The word of an error.
    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap().to_owned()
    }

    pub fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_lowercase(), body: body.to_owned() }
    }
}

/// A request with these header lines besides (each with its line end) and this body.
pub fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
}

/// Sends text and reads until the other side closes.
pub async fn exchange(at: SocketAddr, text: &str) -> Answer {
    let mut stream = TcpStream::connect(at).await.unwrap();
    // The answer may come, and the connection end, before all is sent.
    let _ = stream.write_all(text.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    Answer::parse(&String::from_utf8(answer).unwrap())
}

/// The stream of events.
pub struct Stream(BufReader<TcpStream>);

impl Stream {
    pub async fn open(at: SocketAddr, query: &str) -> Self {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(request("GET", &format!("/v1/events{query}"), "", "").as_bytes()).await.unwrap();
        Self(BufReader::new(stream))
    }

    /// The next line of JSON; lines of HTTP are passed over. `None` at the end.
    pub async fn line(&mut self) -> Option<Value> {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).await.unwrap() == 0 {
                return None;
            }
            if line.starts_with('{') {
                return Some(serde_json::from_str(&line).unwrap());
            }
        }
    }
}
