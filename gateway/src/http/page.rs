//! The softphone page: a folder of built files, read once at the start.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Method, Response, StatusCode, Uri, header};
use bytes::Bytes;

/// The files of the page by their path, such as `/index.html`.
#[derive(Clone, Debug)]
pub struct Page(Arc<HashMap<String, Bytes>>);

impl Page {
    /// Reads the folder and its subfolders. Without one there is a page that says how to build it. `/gateway.json` tells
    /// the page the domain of the users, which its own address need not be.
    pub fn read(folder: Option<&Path>, domain: &str) -> Self {
        let mut files = HashMap::new();
        let mut room = MAX_BYTES;
        if let Some(folder) = folder {
            read_folder(folder, "", &mut files, &mut room, MAX_DEPTH);
        }
        if !files.contains_key(INDEX) {
            files.insert(INDEX.into(), Bytes::from_static(NOT_BUILT.as_bytes()));
        }
        let about = serde_json::json!({ "domain": domain });
        files.insert(ABOUT.into(), about.to_string().into());
        Self(Arc::new(files))
    }

    /// Serves the files.
    pub fn router(self) -> Router {
        Router::new().fallback(serve).with_state(self)
    }
}

async fn serve(State(Page(files)): State<Page>, method: Method, uri: Uri) -> Response<Body> {
    let path = if uri.path() == "/" { INDEX } else { uri.path() };
    let (status, kind, body) = match (&method, files.get(path)) {
        (&Method::GET, Some(file)) => (StatusCode::OK, content_type(path), Body::from(file.clone())),
        (&Method::HEAD, Some(_)) => (StatusCode::OK, content_type(path), Body::empty()),
        (&Method::GET | &Method::HEAD, None) => {
            (StatusCode::NOT_FOUND, "text/plain", Body::from("no such page\n"))
        }
        _ => (StatusCode::METHOD_NOT_ALLOWED, "text/plain", Body::from("only GET\n")),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in ON_EVERY_ANSWER {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn read_folder(
    folder: &Path,
    prefix: &str,
    files: &mut HashMap<String, Bytes>,
    room: &mut usize,
    depth: usize,
) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = format!("{prefix}/{name}");
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 0 => {
                read_folder(&entry.path(), &path, files, room, depth - 1)
            }
            Ok(kind) if kind.is_file() => match fs::read(entry.path()) {
                Ok(content) if content.len() <= *room => {
                    *room -= content.len();
                    files.insert(path, content.into());
                }
                Ok(_) => tracing::warn!(path, "left out: the page is larger than {MAX_BYTES} bytes"),
                Err(error) => tracing::warn!(path, %error, "left out: not readable"),
            },
            _ => {}
        }
    }
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("json" | "map") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("wav") => "audio/wav",
        _ => "application/octet-stream",
    }
}

const INDEX: &str = "/index.html";
const ABOUT: &str = "/gateway.json";

/// The whole page is kept in memory.
const MAX_BYTES: usize = 16 << 20;

/// Folders inside folders.
const MAX_DEPTH: usize = 4;

const ON_EVERY_ANSWER: [(header::HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; connect-src 'self' ws: wss:; media-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CACHE_CONTROL, "no-cache"),
];

const NOT_BUILT: &str = "<!doctype html><meta charset=utf-8><title>Softphone not built</title>\
<h1>The softphone page is not built</h1>\
<p>The gateway works: SIP over WebSocket is served. To build the page run, in the folder of the sources,\
<pre>npm --prefix gateway/web ci &amp;&amp; npm --prefix gateway/web run build</pre>\
<p>and restart the gateway, or set <code>browser.page</code> to a folder that holds it. Where it was looked for is written \
where the gateway was started.";

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    async fn get(page: &Page, path: &str) -> (StatusCode, String) {
        let response = serve(State(page.clone()), Method::GET, path.parse().unwrap()).await;
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), MAX_BYTES).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_page_that_is_not_built_says_how_to_build_it() {
        let page = Page::read(None, "example.com");
        let (status, body) = get(&page, "/").await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.contains("npm --prefix gateway/web run build"));
    }

    #[tokio::test]
    async fn files_are_served_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("assets")).unwrap();
        fs::write(folder.path().join("index.html"), "page").unwrap();
        fs::write(folder.path().join("assets/app.js"), "code").unwrap();
        let page = Page::read(Some(folder.path()), "example.com");
        assert_eq!(get(&page, "/").await, (StatusCode::OK, "page".into()));
        assert_eq!(get(&page, "/assets/app.js").await, (StatusCode::OK, "code".into()));
        assert_eq!(get(&page, "/../../etc/passwd").await.0, StatusCode::NOT_FOUND);
        assert_eq!(get(&page, "/assets").await.0, StatusCode::NOT_FOUND);
        assert_eq!(get(&page, "/gateway.json").await, (StatusCode::OK, r#"{"domain":"example.com"}"#.into()));
    }
}
