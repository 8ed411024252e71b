//! `browser.origins`: pages by their origin.

/// RFC 6454 §6.2, as a browser writes it into the header.
///
/// # Errors
/// What no browser sends, with what it would.
pub(super) fn check(origin: &str) -> Result<(), String> {
    if origin.contains('*') {
        let what = "there are no patterns: name each page that may connect, as \"https://phone.example.com\"";
        return Err(format!("{origin:?} is no origin, {what}"));
    }
    // A page of a file, or in a sandbox, says "null": whoever wrote it.
    let (scheme, rest) = origin.split_once("://").unwrap_or(("https", origin.trim_start_matches("null")));
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let scheme = scheme.to_ascii_lowercase();
    let usual = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => "",
    };
    let told = format!("{scheme}://{}", host.strip_suffix(usual).unwrap_or(&host));
    let is_host = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@');
    match told == origin {
        true if is_host => Ok(()),
        _ if is_host => Err(format!("a browser never says {origin:?}: write {told:?}")),
        _ => Err(format!("{origin:?} is no origin: expected one such as \"https://phone.example.com:8443\"")),
    }
}
