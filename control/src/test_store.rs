//! A store in memory of which a test decides what becomes of its commits. Tests of the journal and of the controller
//! use it for stores that refuse, that do not know, and that are cut off.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tapweave_store::{
    Commit, Key, Lease, LeaseId, MemoryStore, Prefix, Range, Revision, StoppedClock, Store,
    StoreError, Transaction, Versioned, Watch,
};

type OnCommit = dyn Fn(&MemoryStore, &Transaction) -> Result<Commit, StoreError> + Send + Sync;

/// A store whose commits a closure makes, on the store below it; everything else goes there directly.
pub(crate) struct TestStore {
    inner: MemoryStore,
    on_commit: Box<OnCommit>,
}

impl TestStore {
    /// Returns an empty store that hands each commit to `on_commit`.
    pub(crate) fn new(
        on_commit: impl Fn(&MemoryStore, &Transaction) -> Result<Commit, StoreError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self {
            inner: MemoryStore::new(Arc::new(StoppedClock)),
            on_commit: Box::new(on_commit),
        }
    }
}

impl fmt::Debug for TestStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestStore")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl Store for TestStore {
    fn commit(&self, transaction: &Transaction) -> Result<Commit, StoreError> {
        (self.on_commit)(&self.inner, transaction)
    }

    fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.inner.get(key)
    }

    fn range(&self, prefix: &Prefix) -> Result<Range, StoreError> {
        self.inner.range(prefix)
    }

    fn watch(&self, prefix: &Prefix, after: Revision) -> Result<Box<dyn Watch>, StoreError> {
        self.inner.watch(prefix, after)
    }

    fn grant(&self, ttl: Duration) -> Result<Lease, StoreError> {
        self.inner.grant(ttl)
    }

    fn keep_alive(&self, lease: &LeaseId) -> Result<(), StoreError> {
        self.inner.keep_alive(lease)
    }

    fn revoke(&self, lease: &LeaseId) -> Result<(), StoreError> {
        self.inner.revoke(lease)
    }
}
