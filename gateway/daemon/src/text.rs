//! Text files of people.

use std::io::{self, ErrorKind};
use std::path::Path;

use zeroize::Zeroizing;

/// The file's text, without the byte order mark that some editors write (RFC 3629 §6). It may be secret.
///
/// # Errors
/// The file cannot be read, or is not UTF-8.
pub fn read(file: &Path) -> io::Result<Zeroizing<String>> {
    let bytes = Zeroizing::new(std::fs::read(file)?);
    match std::str::from_utf8(without_mark(&bytes)) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(io::Error::new(ErrorKind::InvalidData, "it is not UTF-8: save it as UTF-8")),
    }
}

/// What follows the byte order mark of UTF-8, if there is one.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}
