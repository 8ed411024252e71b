//! How many files and sockets the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Reader;

/// Takes all that the system lets us: the soft limit (`RLIMIT_NOFILE`) is a courtesy to programs that use `select`.
pub fn take_all() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where that is forbidden, what there is has to be enough.
    _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Warns at `key` if the hard limit is too low for what it and `others` allow.
pub fn look(reader: &mut Reader, key: &str, needed: u64, others: &str) {
    if let Some(allowed) = getrlimit(Resource::Nofile).maximum.filter(|allowed| *allowed < needed) {
        reader.warning(
            key,
            format!(
                "with {others} this may take {needed} descriptors, and {allowed} are allowed here: raise the hard limit \
                 (LimitNOFILE of systemd, ulimit -Hn), or lower these keys"
            ),
        );
    }
}
