//! Users and their passwords in a file of `name:password` lines.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use arc_swap::ArcSwap;
use sip_core::auth::Secret;

use crate::ports::users::Users;

/// Users as their file had them when it was last read.
pub struct UsersFile(ArcSwap<HashMap<String, Secret>>);

/// Why the file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum UsersFileError {
    /// Not there, or not readable.
    #[error("{}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others may read it.
    #[error("{}: others can read the passwords: run `chmod 600 {}`", .path.display(), .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// No line names a user.
    #[error(
        "{}: names no user, so nobody could register: write a line `name:password` for each", .path.display()
    )]
    Nobody {
        /// The file.
        path: PathBuf,
    },
    /// A line is not `name:password`.
    #[error("{}, line {line}: {what}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What was expected.
        what: &'static str,
    },
}

impl UsersFile {
    /// Reads the file.
    ///
    /// # Errors
    /// If it can't be read, can be read by others, names nobody, or has a line that is not `name:password`.
    pub fn read(path: &Path) -> Result<Self, UsersFileError> {
        let unreadable = |source| UsersFileError::Unreadable { path: path.into(), source };
        let mode = fs::metadata(path).map_err(unreadable)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(UsersFileError::Exposed { path: path.into() });
        }
        let text = daemon::text::read(path).map_err(unreadable)?;
        let mut secrets = HashMap::new();
        for (i, line) in
            text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
        {
            let wrong = |what| UsersFileError::Line { path: path.into(), line: i + 1, what };
            let (name, password) = line.split_once(':').ok_or_else(|| wrong("expected name:password"))?;
            if !is_user_name(name) {
                return Err(wrong("expected a name of letters, digits and -_.+"));
            }
            if password.is_empty() {
                return Err(wrong("expected a password behind the colon"));
            }
            if password.trim() != password {
                return Err(wrong("a blank at the edge of the password: remove it, nobody types it"));
            }
            if secrets.insert(name.to_string(), Secret::password(password)).is_some() {
                return Err(wrong("this user has a line already"));
            }
        }
        if secrets.is_empty() {
            return Err(UsersFileError::Nobody { path: path.into() });
        }
        Ok(Self(ArcSwap::from_pointee(secrets)))
    }

    /// From now on the other one's users count.
    pub fn replace(&self, new: &Self) {
        self.0.store(new.0.load_full());
    }
}

impl Users for UsersFile {
    fn secret(&self, name: &str) -> Option<Secret> {
        self.0.load().get(name).cloned()
    }
}

/// Names that need no escape in a SIP URI (RFC 3261 §25.1 `unreserved`, less the marks nobody uses).
fn is_user_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+".contains(&b))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn users(content: &[u8]) -> Result<UsersFile, UsersFileError> {
        // Nobody else may read it.
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        UsersFile::read(file.path())
    }

    #[test]
    fn what_editors_add_to_a_file_of_users_is_passed_over() {
        let file =
            users("\u{FEFF}alice:secret\r\n \t\r\n# bob:secret\r\ncarol:two words\r\n".as_bytes()).unwrap();
        assert!(file.secret("alice").is_some() && file.secret("carol").is_some());
        assert!(file.secret("bob").is_none());
        let utf16: Vec<u8> = "\u{FEFF}alice:secret".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let error = users(&utf16).err().unwrap().to_string();
        assert!(error.contains("save it as UTF-8"), "{error}");
    }

    #[test]
    fn what_nobody_could_type_is_refused_by_its_line() {
        for (content, said) in [
            ("alice:secret \n", "a blank at the edge of the password"),
            ("alice: secret\n", "a blank at the edge of the password"),
            (" alice:secret\n", "expected a name"),
            ("alice:\n", "expected a password"),
            ("\u{FEFF}\u{FEFF}alice:secret\n", "expected a name"),
        ] {
            let error = users(content.as_bytes()).err().unwrap().to_string();
            assert!(error.contains("line 1") && error.contains(said), "{content:?}: {error}");
        }
    }
}
