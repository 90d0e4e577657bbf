//! The store in a directory of this host: durable, for one process at a time.
//!
//! # Theory of operation
//!
//! The records are in one file, `store.redb`, a copy-on-write tree: a commit writes new pages beside the
//! old ones, then the root, with checksums over both, and waits for the disk once. Whatever moment a
//! process or a machine ends at, the next start finds the last commit whose checksums hold; one that was
//! acknowledged is always among these.
//!
//! ```text
//! commit ─┐                 ┌─ group.rs ──────────────┐      ┌─ work.rs ───────────────┐
//! commit ─┼─► one of the    │ takes all that waits ───┼─────►│ apply.rs, one write     │
//! grant  ─┘   callers leads │ gives each its answer ◄─┼──────│ transaction, one fsync, │
//!                           └─────────────────────────┘      │ then published at once  │
//! get, range ───────────────────────────────────────────────►│ snapshot                │
//! watch ────────────────────────────────────────────────────►│ history.rs              │
//!                                                            └─────────────────────────┘
//! ```
//!
//! *Group commit.* While the disk works for one caller, others queue up; the next of them takes them all
//! to the disk together. Each is still a transaction of its own: it is compared with what those before it
//! left, has a revision of its own, and fails alone.
//!
//! *Reading* is from the snapshot of the last commit, never from one under way, and waits for no disk.
//! Snapshot and history move on together, so that a range and the watch from its revision fit.
//!
//! *When writing fails*, as on a full disk, the file is opened again: that goes back to the last whole
//! commit, and tells whether it was the one that failed. Until that succeeds, everything is answered by
//! [`StoreError::Unavailable`], and every further write tries again. Only after a failed `fsync` nothing
//! is tried: the kernel may have dropped the pages that it could not write and call the next `fsync` a
//! success, so the file is read again by a new process only.
//!
//! *Opening* looks first (`look.rs`): with all writes going to memory, every checksum is verified and the
//! version of the format is read. So a file that is damaged, or that a newer version wrote, is refused
//! without a single octet of it being changed.

mod database;
mod directory;
#[cfg(test)]
mod disk;
mod error;
mod group;
mod look;
mod medium;
mod records;
mod volume;
mod work;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use directory::StateDirectory;
pub use error::OpenError;

use crate::deadlines::Deadlines;
use crate::history::Upkeep;
use crate::{
    Clock, Commit, Key, Lease, LeaseId, Prefix, Range, Revision, Store, StoreError, Transaction,
    Versioned, Watch,
};
use group::{Answer, Group};
use medium::Medium;
use work::{Operation, Work};

/// The store in a directory. It has the directory until it and all its watches are dropped.
#[derive(Debug)]
pub struct FileStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    group: Group,
    work: Work,
    deadlines: Mutex<Deadlines>,
    /// The number of the last lease.
    granted: AtomicU64,
    clock: Arc<dyn Clock>,
}

impl FileStore {
    /// Opens the store of a directory, or makes a new one if there is none. Its leases end by `clock`.
    ///
    /// # Errors
    ///
    /// [`OpenError::Damaged`], [`OpenError::Newer`], [`OpenError::Io`].
    pub fn open(directory: StateDirectory, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        Self::on(Box::new(directory), clock)
    }

    fn on(medium: Box<dyn Medium>, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let (work, leases) = Work::open(medium)?;
        let mut deadlines = Deadlines::default();
        let now = clock.now();
        for (lease, ttl) in leases.all {
            deadlines.insert(lease, ttl, now);
        }
        Ok(Self(Arc::new(Inner {
            group: Group::default(),
            work,
            deadlines: Mutex::new(deadlines),
            granted: AtomicU64::new(leases.granted),
            clock,
        })))
    }

    /// Returns its file.
    pub fn path(&self) -> &Path {
        self.0.work.path()
    }
}

impl Inner {
    fn deadlines(&self) -> MutexGuard<'_, Deadlines> {
        self.deadlines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(&self, operation: Operation) -> Answer {
        self.group.submit(operation, |batch| self.work.run(batch))
    }

    fn end(&self, lease: &LeaseId) -> Result<(), StoreError> {
        let ended = self.submit(Operation::End(lease.clone())).map(drop);
        if matches!(ended, Ok(()) | Err(StoreError::NoSuchLease { .. })) {
            self.deadlines().remove(lease);
        }
        ended
    }
}

impl Upkeep for Inner {
    fn end_leases(&self) -> Result<(), StoreError> {
        let over = self.deadlines().over(self.clock.now());
        for lease in over {
            match self.end(&lease) {
                // Another call has seen the same.
                Ok(()) | Err(StoreError::NoSuchLease { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Store for FileStore {
    fn commit(&self, transaction: &Transaction) -> Result<Commit, StoreError> {
        transaction.check()?;
        self.0.end_leases()?;
        self.0.submit(Operation::Commit(transaction.clone()))
    }

    fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.0.end_leases()?;
        self.0.work.snapshot()?.get(key)
    }

    fn range(&self, prefix: &Prefix) -> Result<Range, StoreError> {
        self.0.end_leases()?;
        self.0.work.snapshot()?.range(prefix)
    }

    fn watch(&self, prefix: &Prefix, after: Revision) -> Result<Box<dyn Watch>, StoreError> {
        let upkeep = Arc::<Inner>::clone(&self.0);
        self.0.work.history().watch(upkeep, prefix, after)
    }

    fn grant(&self, ttl: Duration) -> Result<Lease, StoreError> {
        let number = self.0.granted.fetch_add(1, Ordering::Relaxed) + 1;
        let _ = self.0.submit(Operation::Grant { number, ttl })?;
        let id = LeaseId::numbered(number);
        let now = self.0.clock.now();
        self.0.deadlines().insert(id.clone(), ttl, now);
        Ok(Lease { id, ttl })
    }

    fn keep_alive(&self, lease: &LeaseId) -> Result<(), StoreError> {
        self.0.end_leases()?;
        self.0.deadlines().keep_alive(lease, self.0.clock.now())
    }

    fn revoke(&self, lease: &LeaseId) -> Result<(), StoreError> {
        self.0.end_leases()?;
        self.0.end(lease)
    }
}

#[cfg(test)]
mod disk_tests;
#[cfg(test)]
mod tests;
