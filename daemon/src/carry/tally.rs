//! How much of what an earlier daemon has left is there again.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts things that were carried over.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    restored: AtomicU64,
    not_restored: AtomicU64,
}

impl Tally {
    /// Counts things that have come in, and things that were looked at and have not.
    pub(crate) fn count(&self, restored: usize, not_restored: usize) {
        self.restored.fetch_add(restored as u64, Ordering::Relaxed);
        let not_restored = not_restored as u64;
        self.not_restored.fetch_add(not_restored, Ordering::Relaxed);
    }

    /// Counts things that had come in and are not there any more.
    pub(crate) fn withdraw(&self, things: usize) {
        self.restored.fetch_sub(things as u64, Ordering::Relaxed);
    }

    /// Returns how many things have come in.
    pub(crate) fn restored(&self) -> u64 {
        self.restored.load(Ordering::Relaxed)
    }

    /// Returns how many have not.
    pub(crate) fn not_restored(&self) -> u64 {
        self.not_restored.load(Ordering::Relaxed)
    }
}
