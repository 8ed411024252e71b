//! Who may register.

use sip_core::auth::Secret;

/// Knows the users' secrets.
pub trait Users: Send + Sync + 'static {
    /// The secret of a user name, exactly as written; `None` for an unknown one.
    fn secret(&self, name: &str) -> Option<Secret>;
}
