//! What is counted of fragments.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

/// Why a fragment is dropped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum FragmentDrop {
    /// All of its bytes were seen before.
    Duplicate,
    /// Some of its bytes were seen before, or it reaches beyond the last part. Its packet is refused.
    Overlap,
    /// Too many parts are missing before it. Its packet is refused.
    Scattered,
    /// Its packet is refused.
    Refused,
    /// As many bytes are held as may be.
    HeldBytes,
    /// Its first fragment did not come in time.
    Expired,
    /// Its packet gave way to another while it was held.
    Evicted,
    /// Another worker was busy with the same shard.
    Contended,
}

impl FragmentDrop {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Duplicate,
        Self::Overlap,
        Self::Scattered,
        Self::Refused,
        Self::HeldBytes,
        Self::Expired,
        Self::Evicted,
        Self::Contended,
    ];
    /// How many reasons there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Returns the place of the reason in an array of [`FragmentDrop::COUNT`] counters.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Returns the name under which users see the reason; it does not change between releases.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Duplicate => "fragment_duplicate",
            Self::Overlap => "fragment_overlap",
            Self::Scattered => "fragment_scattered",
            Self::Refused => "fragment_refused",
            Self::HeldBytes => "fragment_held_bytes",
            Self::Expired => "fragment_expired",
            Self::Evicted => "fragment_evicted",
            Self::Contended => "fragment_contended",
        }
    }
}

impl fmt::Display for FragmentDrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happened to fragments since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FragmentStats {
    /// Fragments that had to wait for the first one.
    pub held: u64,
    /// Those of them that went on.
    pub released: u64,
    /// Dropped fragments, by [`FragmentDrop::index`].
    pub drops: [u64; FragmentDrop::COUNT],
}

impl FragmentStats {
    /// Returns the dropped fragments of `reason`.
    pub const fn dropped(&self, reason: FragmentDrop) -> u64 {
        self.drops[reason.index()]
    }
}

/// The counts, shared by all workers: fragments are rare, and their state is shared anyway.
#[derive(Debug, Default)]
pub(super) struct Counters {
    held: AtomicU64,
    released: AtomicU64,
    drops: [AtomicU64; FragmentDrop::COUNT],
}

impl Counters {
    pub(super) fn held(&self) {
        self.held.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn released(&self, count: usize) {
        self.released.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self, reason: FragmentDrop, count: usize) {
        self.drops[reason.index()].fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> FragmentStats {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        FragmentStats {
            held: load(&self.held),
            released: load(&self.released),
            drops: self.drops.each_ref().map(load),
        }
    }
}
