//! Words that take memory only once they are written.
//!
//! Arrays of aligned structs would say the same, but memory of such an alignment is zeroed by writing, and so takes
//! 187 bytes for each record that may ever come.

use core::ops::Range;

#[cfg(not(loom))]
use zerocopy::FromZeros;

use crate::sync::AtomicU64;

/// Words, zero in the beginning, that are used in chunks of one length.
pub(super) struct Words {
    words: Box<[AtomicU64]>,
    /// The word at which the first chunk begins: the first of a cache line, or of a huge page if there is more
    /// than one.
    start: usize,
}

const CACHE_LINE: usize = 64;
/// Bytes of a huge page of `x86_64`, and of `AArch64` with pages of 4 KiB. Elsewhere it is just an alignment.
const HUGE_PAGE: usize = 2 << 20;

impl Words {
    pub(super) fn new(len: usize) -> Self {
        let alignment = if size_of::<AtomicU64>() * len < HUGE_PAGE {
            CACHE_LINE
        } else {
            HUGE_PAGE
        };
        let spare_len = alignment / size_of::<AtomicU64>();
        let words = unused_words(len + spare_len);
        let start = words.as_ptr().align_offset(alignment);
        Self {
            start: if start < spare_len { start } else { 0 },
            words,
        }
    }

    /// Returns the addresses of the memory.
    pub(super) fn memory(&self) -> Range<usize> {
        let Range { start, end } = self.words.as_ptr_range();
        start.addr()..end.addr()
    }

    /// Returns a chunk of `LEN` words; there may be some behind the last one that was asked for.
    #[inline]
    pub(super) fn chunk<const LEN: usize>(&self, index: usize) -> Option<&[AtomicU64; LEN]> {
        // Not by `as_chunks`, which divides by a length that may be no power of two.
        self.words.get(self.start + index * LEN..)?.first_chunk()
    }
}

/// Returns words that take memory only once they are used: what the allocator has from the kernel is zero
/// already.
#[cfg(not(loom))]
fn unused_words(count: usize) -> Box<[AtomicU64]> {
    let zeroed = <[AtomicU64]>::new_box_zeroed_with_elems(count);
    // Asked again in the usual way, which ends the program when there is no memory.
    zeroed.unwrap_or_else(|_no_memory| (0..count).map(|_| AtomicU64::new(0)).collect())
}

#[cfg(loom)]
fn unused_words(count: usize) -> Box<[AtomicU64]> {
    (0..count).map(|_| AtomicU64::new(0)).collect()
}
