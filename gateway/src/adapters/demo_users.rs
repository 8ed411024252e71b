//! Two users for a first try, made on the first start.

use std::path::PathBuf;

use daemon::state_folder::{StateFolder, StateFolderError};
use zeroize::Zeroizing;

/// A demo user whose password was just made.
pub struct DemoUser {
    /// To sign in with.
    pub name: &'static str,
    /// Shown once.
    pub password: Zeroizing<String>,
}

/// Where they are kept.
pub fn file(state: &StateFolder) -> PathBuf {
    state.file(FILE)
}

/// Makes the file.
///
/// # Errors
/// If it can't be written, or is there already.
pub fn make(state: &StateFolder, random: impl Fn(&mut [u8])) -> Result<Vec<DemoUser>, StateFolderError> {
    let users = NAMES.map(|name| DemoUser { name, password: password(&random) });
    let mut text = Zeroizing::new(String::from(
        "# Demo users, made on the first start. Delete this file for new passwords.\n",
    ));
    for user in &users {
        text.push_str(&format!("{}:{}\n", user.name, user.password.as_str()));
    }
    state.write_new(FILE, text.as_bytes())?;
    Ok(users.into())
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

/// Its name in the state folder.
pub const FILE: &str = "demo-users";
const NAMES: [&str; 2] = ["alice", "bob"];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::cell::Cell;

    use super::*;
    use crate::adapters::users_file::UsersFile;

    #[test]
    fn demo_users_with_passwords_of_their_own_are_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::open(folder.path()).unwrap();
        let next = Cell::new(0);
        let count = |bytes: &mut [u8]| bytes.fill_with(|| next.replace((next.get() + 1) % 256) as u8);
        let made = make(&state, count).unwrap();
        assert_eq!(made.len(), 2);
        assert_ne!(made[0].password, made[1].password);
        assert_eq!(made[0].password.len(), 19);
        assert!(make(&state, count).is_err());
        assert!(UsersFile::read(&file(&state)).is_ok());
    }
}
