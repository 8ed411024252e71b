//! Who the phones are.

use crate::random::Tokens;
use crate::sip::digest::Credentials;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Reads `user password` lines; blank lines and lines that start with `#` are skipped.
///
/// # Errors
/// When the file cannot be read, a line has no password, or there is no user.
pub fn from_file(path: &Path) -> Result<Vec<Credentials>, UsersError> {
    let text = fs::read_to_string(path).map_err(|error| UsersError::Read(path.to_owned(), error))?;
    let mut users = Vec::new();
    for (index, line) in
        text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
    {
        let (user, password) =
            line.split_once([' ', '\t', ':']).ok_or_else(|| UsersError::Line(path.to_owned(), index + 1))?;
        users.push(Credentials { user: user.to_owned(), password: password.trim().to_owned() });
    }
    if users.is_empty() { Err(UsersError::Empty(path.to_owned())) } else { Ok(users) }
}

/// Makes `count` users from a template whose `{n}` is replaced by 1, 2 and so on, or `{n:4}` by 0001, 0002; all have the password in the file.
///
/// # Errors
/// When the template has no `{n}` or the file cannot be read or is empty.
pub fn from_template(template: &str, password: &Path, count: usize) -> Result<Vec<Credentials>, UsersError> {
    let text = fs::read_to_string(password).map_err(|error| UsersError::Read(password.to_owned(), error))?;
    let password = text.trim();
    if password.is_empty() {
        return Err(UsersError::Template);
    }
    (1..=count)
        .map(|n| Ok(Credentials { user: expand(template, n)?, password: password.to_owned() }))
        .collect()
}

/// Makes up `count` users with random passwords, for a server that is configured with them.
///
/// # Errors
/// When the operating system gives no random bytes.
pub fn invented(count: usize) -> Result<Vec<Credentials>, UsersError> {
    let mut tokens = Tokens::new().map_err(UsersError::Random)?;
    Ok((1..=count).map(|n| Credentials { user: format!("load{n}"), password: tokens.token() }).collect())
}

/// Why there are no users.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// The file.
    #[error("cannot read {0}: {1}")]
    Read(PathBuf, #[source] io::Error),
    /// A line without a password.
    #[error("{0}, line {1}: expected a user and a password separated by a blank or a colon")]
    Line(PathBuf, usize),
    /// No user at all.
    #[error("{0} names no user")]
    Empty(PathBuf),
    /// No random bytes.
    #[error("cannot make passwords: {0}")]
    Random(#[source] getrandom::Error),
    /// No `{n}`, or no password.
    #[error("a user template holds {{n}}, as in 'load{{n:4}}', and its password file one non-empty line")]
    Template,
}

fn expand(template: &str, n: usize) -> Result<String, UsersError> {
    let (before, rest) = template.split_once("{n").ok_or(UsersError::Template)?;
    let (width, after) = rest.split_once('}').ok_or(UsersError::Template)?;
    let width = match width.strip_prefix(':') {
        Some(width) => width.parse().ok().filter(|width| *width <= 20).ok_or(UsersError::Template)?,
        None if width.is_empty() => 0,
        None => return Err(UsersError::Template),
    };
    Ok(format!("{before}{n:0width$}{after}"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::io::Write;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn users_come_from_lines() {
        let users = from_file(file("# team\nalice:a:b c\n\nbob  hush\n").path()).unwrap();
        let users: Vec<_> = users.iter().map(|user| (user.user.as_str(), user.password.as_str())).collect();
        assert_eq!(users, [("alice", "a:b c"), ("bob", "hush")]);
        assert!(matches!(from_file(file("alice\n").path()), Err(UsersError::Line(_, 1))));
        assert!(matches!(from_file(file("\n").path()), Err(UsersError::Empty(_))));
    }

    #[test]
    fn users_come_from_a_template() {
        let secret = file("hush\n");
        let users = from_template("p{n:3}x", secret.path(), 12).unwrap();
        assert_eq!((users[0].user.as_str(), users[11].user.as_str()), ("p001x", "p012x"));
        assert_eq!(from_template("{n}", secret.path(), 1).unwrap()[0].user, "1");
        for template in ["p", "p{n", "p{n:x}", "p{n:99}", "p{name}"] {
            assert!(from_template(template, secret.path(), 1).is_err(), "{template}");
        }
    }
}
