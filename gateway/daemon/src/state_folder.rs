//! What a program keeps on disk, readable by its owner only.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// A folder of the program's own.
#[derive(Debug)]
pub struct StateFolder(PathBuf);

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

    /// Writes a file that is not there yet, readable by its owner only.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write_new(&self, name: &str, bytes: &[u8]) -> Result<(), StateFolderError> {
        let path = self.file(name);
        write_private(&path, bytes).map_err(|source| StateFolderError { path, source })
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(bytes)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

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
}
