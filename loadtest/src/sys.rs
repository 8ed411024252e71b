//! The system calls the standard library does not offer.
#![expect(
    unsafe_code,
    reason = "setrlimit, kill and prctl have no safe wrapper in std; all take plain integers"
)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Raises the limit of open descriptors to the most this process may have, and returns it.
///
/// # Errors
/// What the operating system says.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a valid pointer to a structure of their type and keep none.
    let done = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 && {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) == 0
        }
    };
    if done { Ok(limit.rlim_cur) } else { Err(io::Error::last_os_error()) }
}

/// What is sent to a child.
#[derive(Debug, Clone, Copy)]
pub enum Signal {
    /// End in order.
    Terminate,
    /// End now.
    Kill,
}

/// Signals one process by its id; one that has ended is no error.
pub fn signal(pid: u32, signal: Signal) {
    let Ok(pid @ 2..) = libc::pid_t::try_from(pid) else { return };
    let number = match signal {
        Signal::Terminate => libc::SIGTERM,
        Signal::Kill => libc::SIGKILL,
    };
    // SAFETY: takes two integers; `pid` is above 1, so that it names one process, no group and not init.
    unsafe { libc::kill(pid, number) };
}

/// Makes a child end with SIGTERM when the thread that starts it ends, however that comes about (prctl(2), PR_SET_PDEATHSIG).
pub fn end_with_parent(command: &mut Command) {
    // SAFETY: between fork and exec only prctl is called, which is async-signal-safe and takes integers.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    #[test]
    fn the_limit_can_be_raised_to_its_own_maximum() {
        let limit = super::raise_descriptor_limit().unwrap();
        assert_eq!(super::raise_descriptor_limit().unwrap(), limit);
    }
}
