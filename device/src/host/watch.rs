//! News of the host's interfaces and addresses.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use rustix::io::Errno;

/// Hears of changes of interfaces and addresses. Readable when something has changed.
#[derive(Debug)]
pub struct HostWatch {
    socket: Socket,
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
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, GROUPS))?;
        socket.set_non_blocking(true)?;
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
            let mut buffer = Vec::with_capacity(8192);
            match self.socket.recv(&mut buffer, 0) {
                // Messages were lost, which only means that something changed.
                Err(error) if Errno::from_io_error(&error) == Some(Errno::NOBUFS) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
    }
}

impl AsFd for HostWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
