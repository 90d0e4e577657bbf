//! What kind of pages the kernel backs memory with.

use std::io;
use std::ptr;

use rustix::mm::{Advice, madvise};

/// Asks for huge pages at `len` addresses from `start` on; both are multiples of the page size.
pub(crate) fn advise_huge(start: usize, len: usize) -> io::Result<()> {
    let start = ptr::without_provenance_mut(start);
    // SAFETY: this advice changes neither what any memory holds nor who may use it, only how the kernel maps
    // it, so it is harmless for every range of addresses; the kernel checks whether something is mapped
    // there and does not read through the pointer, nor does anything else.
    unsafe { madvise(start, len, Advice::LinuxHugepage) }?;
    Ok(())
}
