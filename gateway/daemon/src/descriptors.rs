//! How many files and sockets the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Takes all that the system lets us: the soft limit (`RLIMIT_NOFILE`) is a courtesy to programs that use `select`. How many
/// that is; none is no limit.
pub fn take_all() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(_) => current,
    }
}

/// Takes all, and says so if that may be too few.
pub fn provide(needed: u64, keys: &str) {
    if let Some(allowed) = take_all().filter(|allowed| *allowed < needed) {
        tracing::warn!(
            allowed,
            needed,
            "too few descriptors for {keys}: raise the hard limit (LimitNOFILE of systemd, ulimit -Hn), or lower these keys"
        );
    }
}
