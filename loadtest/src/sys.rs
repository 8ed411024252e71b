//! The system calls the standard library does not offer.
#![expect(
    unsafe_code,
    reason = "setrlimit, kill, prctl and recvmsg with control data have no safe wrapper in std"
)]

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

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

/// Lets the sleeps of this thread end when they should, not up to 50 µs later (prctl(2), PR_SET_TIMERSLACK).
pub fn wake_in_time() {
    // SAFETY: takes integers.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };
}

/// Asks the kernel to note when each datagram arrives (socket(7), SO_TIMESTAMPNS).
///
/// # Errors
/// What the operating system says.
pub fn stamp_arrivals(socket: &UdpSocket) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the option takes an int, which outlives the call.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPNS,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads one datagram without waiting: its length, and when it arrived, since 1970. `None` if there is none.
pub fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Option<(usize, Duration)> {
    let mut control = [0_u64; 8];
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: all zeros is a valid msghdr; its pointers are to `part`, `buffer` and `control`, which outlive the call; the
    // control data is read as far as the kernel says it has written, at the alignment that `u64` gives.
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control);
        let length = libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT);
        let length = usize::try_from(length).ok()?;
        let mut arrived = Duration::ZERO;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        if !header.is_null() && (*header).cmsg_type == libc::SCM_TIMESTAMPNS {
            let time = libc::CMSG_DATA(header).cast::<libc::timespec>().read_unaligned();
            arrived = Duration::new(time.tv_sec as u64, time.tv_nsec as u32);
        }
        Some((length, arrived))
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
