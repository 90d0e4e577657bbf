//! In which network namespace a socket is: one that another process has made need not be in ours.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, socket};

use crate::sys::udp::netns_cookie;

/// Tells whether a socket belongs to the network namespace of this process, as far as the kernel tells that.
pub(crate) fn is_here(there: BorrowedFd<'_>) -> io::Result<bool> {
    let own = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    match (netns_cookie(there), netns_cookie(own.as_fd())) {
        (Ok(there), Ok(here)) => Ok(there == here),
        // Before Linux 5.14.
        (Err(error), _) if Errno::from_io_error(&error) == Some(Errno::NOPROTOOPT) => Ok(true),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}
