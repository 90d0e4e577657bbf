//! How many learned entries each port has, for the fair share of a full table.
//!
//! A count belongs to a port's index, not to a snapshot: a worker on an older snapshot may evict the
//! entry of a port that it does not know yet. Every insertion adds one at the index of its target
//! and every removal of that entry takes it back, so a count is back at zero when a port has been
//! purged, whatever the order of events.
//!
//! An addition that finds zero is followed by one to the number of owners, a removal that leaves zero
//! by a subtraction from it. The additions to a count are acquire and release, so that the second
//! happens after the first and the number of owners does not go below zero.

use std::sync::OnceLock;

use tapweave_net::PortNo;

use crate::sync::{AtomicU32, Ordering};

/// Counts of one chunk. Chunks keep the cost of a switch with few ports low; loom, which tracks every
/// atomic, gets one small chunk.
const CHUNK_LEN: usize = if cfg!(loom) { 4 } else { 1024 };
const CHUNKS: usize = if cfg!(loom) {
    1
} else {
    (PortNo::MAX_INDEX as usize + 1) / CHUNK_LEN
};

/// A count for each port index of a switch.
pub(crate) struct OwnedCounts {
    chunks: Box<[OnceLock<Box<[AtomicU32]>>]>,
}

impl OwnedCounts {
    /// Returns counts without room for any port.
    pub(crate) fn new() -> Self {
        Self {
            chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect(),
        }
    }

    /// Makes room for `port`: the control side does, before any worker hears of the port.
    pub(crate) fn make_room(&self, port: PortNo) {
        if let Some(chunk) = self.chunks.get(port.index() / CHUNK_LEN) {
            chunk.get_or_init(|| (0..CHUNK_LEN).map(|_| AtomicU32::new(0)).collect());
        }
    }

    /// Returns the count of `port`.
    pub(super) fn of(&self, port: PortNo) -> u32 {
        self.counter(port)
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Adds one and tells whether it is the first.
    pub(super) fn add(&self, port: PortNo) -> bool {
        self.counter(port)
            .is_some_and(|count| count.fetch_add(1, Ordering::AcqRel) == 0)
    }

    /// Takes one away and tells whether it was the last.
    pub(super) fn remove(&self, port: PortNo) -> bool {
        self.counter(port)
            .is_some_and(|count| count.fetch_sub(1, Ordering::AcqRel) == 1)
    }

    fn counter(&self, port: PortNo) -> Option<&AtomicU32> {
        let chunk = self.chunks.get(port.index() / CHUNK_LEN)?.get()?;
        chunk.get(port.index() % CHUNK_LEN)
    }
}
