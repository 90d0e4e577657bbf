//! Questions about a namespace descriptor (`include/uapi/linux/nsfs.h`, `man 2 ioctl_ns`).

use std::ffi::c_int;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};

use rustix::ioctl::{Opcode, ioctl, opcode};

use super::ask::Ask;

const NS_GET_USERNS: Opcode = opcode::none(0xb7, 1);
const NS_GET_NSTYPE: Opcode = opcode::none(0xb7, 3);

/// Returns the `CLONE_NEW*` flag of a namespace; `ENOTTY` when `namespace` is not one.
pub(crate) fn kind(namespace: BorrowedFd<'_>) -> io::Result<c_int> {
    // SAFETY: `NS_GET_NSTYPE` takes no argument; other kinds of file refuse it.
    Ok(unsafe { ioctl(namespace, Ask::<NS_GET_NSTYPE>) }?)
}

/// Returns the user namespace that owns `namespace`; `EPERM` when it lies outside of the caller's.
pub(crate) fn owner(namespace: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: `NS_GET_USERNS` takes no argument; other kinds of file refuse it.
    let fd = unsafe { ioctl(namespace, Ask::<NS_GET_USERNS>) }?;
    // SAFETY: on success the kernel has just opened `fd` for this caller; nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
