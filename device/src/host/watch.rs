//! News of the host's interfaces and addresses.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketFlags, recv};

use crate::rtnl::open_socket;

/// Hears of changes of interfaces and addresses. Readable when something has changed.
#[derive(Debug)]
pub struct HostWatch {
    socket: OwnedFd,
}

/// The multicast groups `RTNLGRP_LINK`, `RTNLGRP_IPV4_IFADDR` and `RTNLGRP_IPV6_IFADDR`, each as a bit.
const GROUPS: u32 = 1 << 0 | 1 << 4 | 1 << 8;

impl HostWatch {
    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub fn new() -> io::Result<Self> {
        let socket = open_socket(SocketFlags::NONBLOCK, GROUPS)?;
        Ok(Self { socket })
    }

    /// Takes note of all changes until now. What changed is asked for anew, so that no message has to
    /// be understood and none can be missed.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub fn drain(&self) -> io::Result<()> {
        loop {
            // The kernel drops the rest of a message that is longer.
            match recv(&self.socket, &mut [0; 16], RecvFlags::empty()) {
                Err(Errno::AGAIN) => return Ok(()),
                // That messages were lost only means that something changed.
                Ok(_) | Err(Errno::INTR | Errno::NOBUFS) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for HostWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
