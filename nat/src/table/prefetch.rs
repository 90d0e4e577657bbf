//! Asking for memory that will be read.
//!
//! `core` has the instruction as an unsafe function of each architecture, and a portable one that is not stable.
//! `safe_arch` is the safe form for `x86_64`; docs/decisions/0006-nat-table.md says why.

use crate::sync::AtomicU64;

/// Has the cache line of a word brought into the first-level cache, and does not wait for it.
#[cfg(all(target_arch = "x86_64", not(loom)))]
#[inline(always)]
pub(super) fn prefetch(word: &AtomicU64) {
    safe_arch::prefetch_t0(word);
}

/// As above where there is no safe form of it: reads the word for the sake of having read it.
#[cfg(not(all(target_arch = "x86_64", not(loom))))]
#[inline]
pub(super) fn prefetch(word: &AtomicU64) {
    core::hint::black_box(word.load(crate::sync::Ordering::Relaxed));
}
