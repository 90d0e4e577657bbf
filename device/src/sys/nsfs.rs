//! Questions about a namespace descriptor (`include/uapi/linux/nsfs.h`, `man 2 ioctl_ns`).

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl, opcode};

const NS_GET_USERNS: Opcode = opcode::none(0xb7, 1);
const NS_GET_NSTYPE: Opcode = opcode::none(0xb7, 3);

/// A request without argument that answers by its return value.
struct Ask<const OPCODE: Opcode>;

// SAFETY: the requests of this file ignore the argument, so a null pointer will do, write nothing to
// this process, and answer with a non-negative return value, which is what is handed on.
unsafe impl<const OPCODE: Opcode> Ioctl for Ask<OPCODE> {
    type Output = c_int;

    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        OPCODE
    }

    fn as_ptr(&mut self) -> *mut c_void {
        ptr::null_mut()
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> rustix::io::Result<c_int> {
        Ok(out)
    }
}

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
