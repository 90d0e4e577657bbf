//! Leases: keys that end with whoever put them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Names a lease. The text is the store's own; it may be kept to go on with the lease after a restart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(Arc<str>);

impl LeaseId {
    /// Returns the id that a store gave as this text.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Returns its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the id that this crate's own stores give to their `number`th lease.
    pub(crate) fn numbered(number: u64) -> Self {
        Self(number.to_string().into())
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A lease that was granted.
///
/// It ends when it was not kept alive for [`Lease::ttl`], and not before. A store may notice that late:
/// Consul up to after twice the time, the stores of this crate when they are next asked for something,
/// be it by [`Watch::next`](crate::Watch::next). A store that starts again gives every lease its whole time again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lease {
    /// Its name.
    pub id: LeaseId,
    /// How long it lasts without being kept alive; at least what was asked for.
    pub ttl: Duration,
}
