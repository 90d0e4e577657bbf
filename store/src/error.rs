//! Why a store did not do what was asked.

use std::error::Error;
use std::sync::Arc;

use thiserror::Error;

use crate::{Key, LeaseId, Revision};

/// Why a store did not do what was asked. A comparison that does not hold is no error but an answer
/// ([`Commit::Conflict`](crate::Commit::Conflict)).
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A watch is to begin, or has got, where the store does not remember any more. The observer starts
    /// again by [`Store::range`](crate::Store::range) and watches from there.
    #[error("the changes after revision {after} are forgotten; read the range again")]
    Compacted {
        /// After which revision the observer wanted to know.
        after: Revision,
    },
    /// A transaction changes one key twice.
    #[error("the transaction changes {key} twice")]
    ChangedTwice {
        /// The key.
        key: Key,
    },
    /// A transaction has too many comparisons and changes.
    #[error("a transaction of {count} comparisons and changes; there may be {max}")]
    TooManyOperations {
        /// How many it has.
        count: usize,
        /// How many it may have.
        max: usize,
    },
    /// The keys and values of a transaction are too long together.
    #[error("a transaction of {len} octets; there may be {max}")]
    TooLong {
        /// How many octets it has.
        len: usize,
        /// How many it may have.
        max: usize,
    },
    /// A lease has ended, or never was.
    #[error("there is no lease {lease}")]
    NoSuchLease {
        /// The lease.
        lease: LeaseId,
    },
    /// Nothing was changed, because the store cannot be written or reached now. The same may succeed
    /// later.
    #[error("the store is not available; nothing was changed")]
    Unavailable {
        /// What stands in the way.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The store failed while it wrote, so that the changes may have been made or not. Whoever needs to
    /// know reads again when the store answers.
    #[error("the store failed while it wrote; what was asked may be done or not")]
    OutcomeUnknown {
        /// How it failed.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// What the store holds cannot be read.
    #[error("the store is damaged")]
    Damaged {
        /// What is wrong with it.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
}
