//! Revisions: when something changed, in the store's own count.

use std::fmt;

/// A point in the history of a store. Each transaction that changes something has a later one than all
/// before it; the numbers between two may be skipped, and those of two stores do not compare.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(u64);

impl Revision {
    /// The revision of a store in which nothing was ever changed.
    pub const ZERO: Self = Self(0);

    /// Returns the revision of a number, as [`Revision::as_u64`] gives it.
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// Returns its number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// Returns the following revision. There are more than a process can make in its life.
    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.0)
    }
}
