//! The interface that every store has.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{
    Commit, Key, Lease, LeaseId, Prefix, Range, Revision, StoreError, Transaction, Versioned, Watch,
};

/// A store of versioned values under keys. See the [crate's documentation](crate) for what it promises.
///
/// All methods may block, for as long as the medium or the network takes, and may be called by many
/// threads at a time. What one call made is seen by every call that begins after it returned.
pub trait Store: fmt::Debug + Send + Sync {
    /// Makes the changes of a transaction if its comparisons hold, all at once. When it returns
    /// [`Commit::Done`], they survive a crash of the process and of the machine.
    ///
    /// # Errors
    ///
    /// Those of [`Transaction::check`]; [`StoreError::NoSuchLease`] when a put names a lease that is no
    /// more; [`StoreError::Unavailable`]; [`StoreError::OutcomeUnknown`], the only one after which the
    /// changes may have been made.
    fn commit(&self, transaction: &Transaction) -> Result<Commit, StoreError>;

    /// Returns the value of a key.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], [`StoreError::Damaged`].
    fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError>;

    /// Returns what is in a folder, all of it at one revision.
    ///
    /// # Errors
    ///
    /// As [`Store::get`].
    fn range(&self, prefix: &Prefix) -> Result<Range, StoreError>;

    /// Follows a folder from a revision on, which is that of a [`Range`] of the same folder or of a
    /// [`Batch`](crate::Batch) of a watch of it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Compacted`] when the store does not remember what came after, and also when it has
    /// not got to that revision, as after it was restored from a copy. A store need not remember
    /// anything that was before it started. [`StoreError::Unavailable`].
    fn watch(&self, prefix: &Prefix, after: Revision) -> Result<Box<dyn Watch>, StoreError>;

    /// Grants a lease that lasts `ttl`, or longer if the store has a longer one as its shortest.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], [`StoreError::OutcomeUnknown`].
    fn grant(&self, ttl: Duration) -> Result<Lease, StoreError>;

    /// Lets a lease begin again.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchLease`] when it has ended; [`StoreError::Unavailable`].
    fn keep_alive(&self, lease: &LeaseId) -> Result<(), StoreError>;

    /// Ends a lease and deletes its keys, at one revision.
    ///
    /// # Errors
    ///
    /// As [`Store::keep_alive`]; [`StoreError::OutcomeUnknown`].
    fn revoke(&self, lease: &LeaseId) -> Result<(), StoreError>;

    /// Gives a key a value, whatever it had.
    ///
    /// # Errors
    ///
    /// As [`Store::commit`].
    fn put(&self, key: &Key, value: Arc<[u8]>) -> Result<(), StoreError> {
        self.commit(&Transaction::new().put(key.clone(), value))
            .map(drop)
    }

    /// Takes the value of a key away, if it has one.
    ///
    /// # Errors
    ///
    /// As [`Store::commit`].
    fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.commit(&Transaction::new().delete(key.clone()))
            .map(drop)
    }

    /// Puts or deletes the value of a key if nobody changed it since it was read.
    ///
    /// # Errors
    ///
    /// As [`Store::commit`].
    fn compare_and_swap(&self, swap: Swap<'_>) -> Result<Commit, StoreError> {
        let key = swap.key.clone();
        let transaction = match swap.expected {
            Some(modified) => Transaction::new().if_unchanged(key.clone(), modified),
            None => Transaction::new().if_absent(key.clone()),
        };
        self.commit(&match swap.value {
            Some(value) => transaction.put(key, value),
            None => transaction.delete(key),
        })
    }
}

/// What [`Store::compare_and_swap`] does.
#[derive(Clone, Debug)]
pub struct Swap<'a> {
    /// The key.
    pub key: &'a Key,
    /// The revision at which its value must have been put; none: it must have no value.
    pub expected: Option<Revision>,
    /// The value that it then gets; none: it is deleted.
    pub value: Option<Arc<[u8]>>,
}
