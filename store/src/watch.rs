//! Watches: a folder as it changes.

use std::fmt;
use std::time::Duration;

use crate::{Key, Revision, StoreError, Versioned};

/// One change that a watch tells of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A key got a value.
    Put {
        /// The key.
        key: Key,
        /// Its new value.
        value: Versioned,
    },
    /// A key lost its value: it was deleted, or its lease ended.
    Deleted {
        /// The key.
        key: Key,
    },
}

impl Event {
    /// Returns the key that changed.
    pub const fn key(&self) -> &Key {
        match self {
            Self::Put { key, .. } | Self::Deleted { key } => key,
        }
    }
}

/// What changed in a folder from one revision to a later one.
///
/// Whoever holds what [`Store::range`](crate::Store::range) gave at the former and makes these changes in
/// their order holds what it would give at the latter. So transactions arrive whole. Values that were
/// replaced between the two may be left out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// The later revision.
    pub revision: Revision,
    /// What changed, in the order of the revisions; empty when nothing did.
    pub events: Vec<Event>,
}

/// Follows a folder. See [`Store::watch`](crate::Store::watch).
pub trait Watch: fmt::Debug + Send {
    /// Returns what changed since the last call, and waits for a change as long as `timeout` says when
    /// there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Compacted`] when the watch fell behind what the store remembers: it is of no more
    /// use, and the observer starts again. [`StoreError::Unavailable`] while the store does not answer;
    /// the watch goes on where it was.
    fn next(&mut self, timeout: Duration) -> Result<Batch, StoreError>;
}
