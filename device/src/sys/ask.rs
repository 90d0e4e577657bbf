//! Requests that have no argument and answer by a number or a new descriptor.

use std::ffi::{c_int, c_void};
use std::ptr;

use rustix::ioctl::{Ioctl, IoctlOutput, Opcode};

/// A request without argument that answers by its return value.
pub(super) struct Ask<const OPCODE: Opcode>;

// SAFETY: the requests that this is used for ignore the argument, so a null pointer will do, write nothing to
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
