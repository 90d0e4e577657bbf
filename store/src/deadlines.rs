//! When leases end.

use std::collections::BTreeMap;
use std::time::Duration;

use tapweave_net::Timestamp;

use crate::{LeaseId, StoreError};

/// The leases of a store by what remains of them. Kept in memory: a store that starts gives each its
/// whole time again.
#[derive(Debug, Default)]
pub(crate) struct Deadlines(BTreeMap<LeaseId, Deadline>);

#[derive(Clone, Copy, Debug)]
struct Deadline {
    ttl: Duration,
    at: Timestamp,
}

impl Deadlines {
    /// Begins a lease.
    pub(crate) fn insert(&mut self, lease: LeaseId, ttl: Duration, now: Timestamp) {
        let at = now + ttl;
        self.0.insert(lease, Deadline { ttl, at });
    }

    /// Lets a lease begin again.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchLease`].
    pub(crate) fn keep_alive(&mut self, lease: &LeaseId, now: Timestamp) -> Result<(), StoreError> {
        match self.0.get_mut(lease) {
            Some(it) if it.at > now => {
                it.at = now + it.ttl;
                Ok(())
            }
            _ => Err(StoreError::NoSuchLease {
                lease: lease.clone(),
            }),
        }
    }

    /// Forgets a lease.
    pub(crate) fn remove(&mut self, lease: &LeaseId) {
        self.0.remove(lease);
    }

    /// Returns the leases whose time is over.
    pub(crate) fn over(&self, now: Timestamp) -> Vec<LeaseId> {
        let over = self.0.iter().filter(|(_, it)| it.at <= now);
        over.map(|(lease, _)| lease.clone()).collect()
    }
}
