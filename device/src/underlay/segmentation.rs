//! Whether the kernel cuts what is sent into datagrams (`UDP_SEGMENT`), and if not, why.
//!
//! It works until it is refused for the first time, and then not again: what refuses is a device or a
//! policy on the way, and asking it for every message would cost a system call each. The next sender, made
//! when the underlay's address changes, asks anew.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::io::Errno;

use crate::sys::udp::IntOption;

/// What is known of the kernel's readiness to cut. Shared by all workers.
#[derive(Debug)]
pub(super) struct Segmentation {
    /// What was answered instead; zero while it works.
    refusal: AtomicI32,
}

impl Segmentation {
    /// Asks the kernel, which knows the option from Linux 4.18 on.
    pub(super) fn of_kernel(sockets: &[OwnedFd]) -> Self {
        // Setting it to nothing changes nothing.
        let asked = sockets
            .first()
            .map_or(Ok(()), |socket| IntOption::SEGMENT.set(socket.as_fd(), 0));
        let refusal = asked.map_or_else(|error| errno(&error), |()| 0);
        Self {
            refusal: AtomicI32::new(refusal),
        }
    }

    /// Tells whether it was never refused.
    #[inline]
    pub(super) fn is_on(&self) -> bool {
        self.refusal.load(Ordering::Relaxed) == 0
    }

    /// Notes a refusal, and tells whether it is the first.
    #[cold]
    pub(super) fn refuse(&self, error: &io::Error) -> bool {
        let noted =
            self.refusal
                .compare_exchange(0, errno(error), Ordering::Relaxed, Ordering::Relaxed);
        noted.is_ok()
    }

    /// Returns the first refusal.
    pub(super) fn refusal(&self) -> Option<io::Error> {
        let errno = self.refusal.load(Ordering::Relaxed);
        (errno != 0).then(|| io::Error::from_raw_os_error(errno))
    }
}

/// Returns the error's number, never zero.
fn errno(error: &io::Error) -> i32 {
    error
        .raw_os_error()
        .filter(|errno| *errno != 0)
        .unwrap_or_else(|| Errno::IO.raw_os_error())
}
