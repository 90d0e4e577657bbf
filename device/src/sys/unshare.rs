//! `unshare(2)`.

use rustix::io::Errno;
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Gives the process a network namespace of its own.
pub(crate) fn network() -> Result<(), Errno> {
    // SAFETY: only `CLONE_FILES` could break what other code of the process relies on (that all of
    // its threads share their descriptors); it is not among the flags.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }
}

/// Gives the process a user namespace of its own, and a network namespace that this one owns.
pub(crate) fn user_and_network() -> Result<(), Errno> {
    // SAFETY: as above.
    unsafe { unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNET) }
}
