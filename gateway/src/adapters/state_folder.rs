//! What a node keeps on disk: its sealing keys and the demo users. Readable by its owner only.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// A folder of the node's own.
pub struct StateFolder(PathBuf);

/// A demo user whose password was just made.
pub struct DemoUser {
    /// To sign in with.
    pub name: &'static str,
    /// Shown once.
    pub password: Zeroizing<String>,
}

/// Why the folder is of no use.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}; set state.folder to a folder that this user may write", .path.display())]
pub struct StateFolderError {
    path: PathBuf,
    source: io::Error,
}

impl StateFolder {
    /// Opens the folder, made if missing.
    ///
    /// # Errors
    /// If it can't be made.
    pub fn open(path: &Path) -> Result<Self, StateFolderError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|source| StateFolderError { path: path.into(), source })?;
        Ok(Self(path.into()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A key of this name, made of `random` if there is none yet.
    ///
    /// # Errors
    /// If it can't be read or written.
    pub fn key(
        &self,
        name: &str,
        random: impl FnOnce(&mut [u8]),
    ) -> Result<Zeroizing<[u8; 32]>, StateFolderError> {
        let path = self.file(name);
        let failed = |source| StateFolderError { path: path.clone(), source };
        match fs::read(&path).map(Zeroizing::new) {
            Ok(bytes) => match <[u8; 32]>::try_from(bytes.as_slice()) {
                Ok(key) => Ok(Zeroizing::new(key)),
                Err(_) => Err(failed(io::Error::other(
                    "expected a key of 32 bytes: delete the file to make a new one",
                ))),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut key = Zeroizing::new([0; 32]);
                random(key.as_mut_slice());
                write_private(&path, key.as_slice()).map_err(failed)?;
                Ok(key)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// The file of the demo users, and their passwords if they were made just now.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn demo_users(
        &self,
        random: impl Fn(&mut [u8]),
    ) -> Result<(PathBuf, Vec<DemoUser>), StateFolderError> {
        let path = self.file("demo-users");
        if path.exists() {
            return Ok((path, Vec::new()));
        }
        let users = DEMO_USERS.map(|name| DemoUser { name, password: password(&random) });
        let mut text = Zeroizing::new(String::from(
            "# Demo users, made on the first start. Delete this file for new passwords.\n",
        ));
        for user in &users {
            text.push_str(&format!("{}:{}\n", user.name, user.password.as_str()));
        }
        write_private(&path, text.as_bytes())
            .map_err(|source| StateFolderError { path: path.clone(), source })?;
        Ok((path, users.into()))
    }
}

/// Four groups of four letters and digits without look-alikes: 79 bits, and still to be typed on a phone.
fn password(random: &impl Fn(&mut [u8])) -> Zeroizing<String> {
    const ALPHABET: &[u8; 31] = b"abcdefghjkmnpqrstuvwxyz23456789";
    let mut password = Zeroizing::new(String::new());
    while password.len() < 19 {
        if password.len() % 5 == 4 {
            password.push('-');
        }
        let mut byte = [0; 1];
        random(&mut byte);
        // Only multiples of the alphabet's size are taken: every character is as likely.
        if usize::from(byte[0]) < ALPHABET.len() * 8 {
            password.push(ALPHABET[usize::from(byte[0]) % ALPHABET.len()].into());
        }
    }
    password
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(bytes)
}

const DEMO_USERS: [&str; 2] = ["alice", "bob"];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::cell::Cell;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_was_made_is_found_again_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::open(&folder.path().join("var")).unwrap();
        let key = state.key("sealing-key", |bytes| bytes.fill(7)).unwrap();
        assert_eq!(state.key("sealing-key", |_| panic!("there is one already")).unwrap(), key);
        let mode = fs::metadata(state.file("sealing-key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn passwords_of_demo_users_are_shown_once() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::open(folder.path()).unwrap();
        let next = Cell::new(0);
        let count = |bytes: &mut [u8]| bytes.fill_with(|| next.replace((next.get() + 1) % 256) as u8);
        let (path, made) = state.demo_users(count).unwrap();
        assert_eq!(made.len(), 2);
        assert_ne!(made[0].password, made[1].password);
        assert_eq!(made[0].password.len(), 19);
        let (again, shown) = state.demo_users(count).unwrap();
        assert_eq!(again, path);
        assert!(shown.is_empty());
        assert!(crate::adapters::users_file::UsersFile::read(&path).is_ok());
    }
}
