//! Huge pages for what is read at random.

use std::io;
use std::ops::Range;

use crate::sys::pages;

/// Bytes of a huge page of `x86_64`, and of `AArch64` with pages of 4 KiB.
const HUGE_PAGE: usize = 2 << 20;

/// Has the kernel back the memory at these addresses with huge pages, as far as whole ones lie in it: of each, all
/// is taken when the first byte is used. Nothing happens where the operator allows none
/// (`/sys/kernel/mm/transparent_hugepage/enabled` is `never`).
///
/// # Errors
///
/// What `madvise` says: [`io::ErrorKind::InvalidInput`] where the kernel is built without them, and
/// [`io::ErrorKind::OutOfMemory`] where nothing is mapped.
pub fn advise_huge_pages(memory: Range<usize>) -> io::Result<()> {
    let start = memory.start.next_multiple_of(HUGE_PAGE);
    let end = memory.end - memory.end % HUGE_PAGE;
    if start < end {
        pages::advise_huge(start, end - start)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_stays_what_it_was() {
        let memory = vec![7_u8; 3 * HUGE_PAGE];
        let start = memory.as_ptr().addr();
        // A kernel may have none.
        let _advised = advise_huge_pages(start..start + memory.len());
        assert!(memory.iter().all(|&byte| byte == 7));
        advise_huge_pages(start..start + 1).unwrap();
    }
}
