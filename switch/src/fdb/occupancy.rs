//! How full a table is and what a port's fair share of it is.
//!
//! The share is what the static entries leave of the limit, divided by the ports that own learned
//! entries. Once the table is full, a port at or above its share can only replace its own entries,
//! and a port below it takes from one that is above. If none were above while one is below, the
//! entries would add up to less than the limit and the table would not be full; so there is always
//! something to take, and no port can push the others below their share.
//!
//! The counts are exact once all threads are idle. While they run, a share may be computed from counts
//! a moment apart; that can shift who loses one entry, never the limit.

use core::sync::atomic::AtomicU64;
use std::sync::Arc;

use tapweave_net::PortNo;

use super::entry::{FdbOrigin, FdbUsage};
use super::owners::OwnedCounts;
use crate::sync::{AtomicU32, AtomicUsize, Ordering};

/// The counts of one table. Written at insertions and removals only, and kept off the cache lines that
/// lookups read.
#[repr(align(128))]
pub(super) struct Occupancy {
    limit: u32,
    used: AtomicU32,
    static_count: AtomicU32,
    /// Ports of the table that own learned entries.
    owner_count: AtomicU32,
    owned: Arc<OwnedCounts>,
    hand: AtomicUsize,
    /// Entries that came or went. Not loom's: nothing depends on when it is seen.
    changes: AtomicU64,
}

impl Occupancy {
    pub(super) fn new(limit: u32, owned: Arc<OwnedCounts>) -> Self {
        Self {
            limit,
            used: AtomicU32::new(0),
            static_count: AtomicU32::new(0),
            owner_count: AtomicU32::new(0),
            owned,
            hand: AtomicUsize::new(0),
            changes: AtomicU64::new(0),
        }
    }

    /// Takes room for one more entry. `false` when the table is at its limit.
    pub(super) fn reserve(&self) -> bool {
        let before = self.used.fetch_add(1, Ordering::Relaxed);
        if before >= self.limit {
            self.release();
        }
        before < self.limit
    }

    /// Gives room back.
    pub(super) fn release(&self) {
        self.used.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts an entry that has come to `port`.
    pub(super) fn arrived(&self, origin: FdbOrigin, port: PortNo) {
        self.count_change();
        match origin {
            FdbOrigin::Static => {
                self.static_count.fetch_add(1, Ordering::Relaxed);
            }
            FdbOrigin::Learned | FdbOrigin::Sticky => {
                if self.owned.add(port) {
                    self.owner_count.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// Counts an entry that has left `port`.
    pub(super) fn left(&self, origin: FdbOrigin, port: PortNo) {
        self.count_change();
        match origin {
            FdbOrigin::Static => {
                self.static_count.fetch_sub(1, Ordering::Relaxed);
            }
            FdbOrigin::Learned | FdbOrigin::Sticky => {
                if self.owned.remove(port) {
                    self.owner_count.fetch_sub(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// Returns how often an entry came or went.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    fn count_change(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns what `port` may take when it wants a place in a full table.
    pub(super) fn claimant(&self, port: PortNo) -> Claimant<'_> {
        let is_new_owner = self.owned.of(port) == 0;
        let owners = self.owner_count.load(Ordering::Relaxed);
        let owners = owners.saturating_add(u32::from(is_new_owner));
        let learnable = self
            .limit
            .saturating_sub(self.static_count.load(Ordering::Relaxed));
        Claimant {
            port,
            share: (learnable / owners.max(1)).max(1),
            owned: &self.owned,
        }
    }

    /// Returns how many learned entries `port` has.
    pub(super) fn owned_by(&self, port: PortNo) -> u32 {
        self.owned.of(port)
    }

    /// Returns where the hand of the eviction stands and moves it on by `step`.
    pub(super) fn advance_hand(&self, step: usize) -> usize {
        self.hand.fetch_add(step, Ordering::Relaxed)
    }

    pub(super) fn usage(&self) -> FdbUsage {
        FdbUsage {
            // A reservation that is about to be given back may stand above the limit for a moment.
            used: self.used.load(Ordering::Relaxed).min(self.limit),
            static_count: self.static_count.load(Ordering::Relaxed),
            limit: self.limit,
        }
    }
}

/// A port that wants a place in a full table.
pub(super) struct Claimant<'a> {
    port: PortNo,
    share: u32,
    owned: &'a OwnedCounts,
}

impl Claimant<'_> {
    /// Tells how willingly a learned entry of `owner` gives way to the claimant: `None` never, else the
    /// larger the sooner.
    pub(super) fn priority_over(&self, owner: PortNo) -> Option<u32> {
        let owned = self.owned.of(owner);
        let may = if self.owned.of(self.port) >= self.share {
            owner == self.port
        } else {
            owned > self.share
        };
        may.then_some(owned)
    }
}
