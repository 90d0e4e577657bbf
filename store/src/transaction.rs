//! Transactions: what must hold, and what is then changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::{Key, LeaseId, Revision, StoreError};

/// What must hold for a transaction to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Comparison {
    /// The key has no value.
    Absent(Key),
    /// The key has a value.
    Present(Key),
    /// The key has the value that was put at this revision.
    Unchanged(Key, Revision),
}

impl Comparison {
    /// Returns the key that it is about.
    pub const fn key(&self) -> &Key {
        match self {
            Self::Absent(key) | Self::Present(key) | Self::Unchanged(key, _) => key,
        }
    }
}

/// One change of a transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Change {
    /// The key gets a value.
    Put {
        /// The key.
        key: Key,
        /// Its new value.
        value: Arc<[u8]>,
        /// The lease that the key ends with from now on; none: it ends with no lease, even if it did.
        lease: Option<LeaseId>,
    },
    /// The key has no value any more. That it had none already is no error.
    Delete(Key),
}

impl Change {
    /// Returns the key that it is about.
    pub const fn key(&self) -> &Key {
        match self {
            Self::Put { key, .. } | Self::Delete(key) => key,
        }
    }
}

/// Comparisons that must all hold, and changes that are then made together or not at all.
///
/// It changes each key at most once, has at most [`Transaction::MAX_OPERATIONS`] comparisons and changes,
/// and [`Transaction::MAX_LEN`] octets of keys and values: what the strictest store takes.
///
/// ```
/// use tapweave_store::{Key, Transaction};
///
/// let network = Key::new("networks/4f2a")?;
/// let name = Key::new("names/blue")?;
/// let create = Transaction::new()
///     .if_absent(name.clone())
///     .put(name, *b"4f2a")
///     .put(network, *b"{}");
/// # Ok::<(), tapweave_store::KeyError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[must_use = "a transaction does nothing until it is committed"]
pub struct Transaction {
    comparisons: Vec<Comparison>,
    changes: Vec<Change>,
}

impl Transaction {
    /// Comparisons and changes that a transaction may have: Consul takes 64 operations.
    pub const MAX_OPERATIONS: usize = 64;
    /// Octets of keys and values that a transaction may have: Consul takes requests of 512 KiB, in which
    /// values are written in base64.
    pub const MAX_LEN: usize = 256 * 1024;

    /// Returns the transaction that asks for nothing.
    pub const fn new() -> Self {
        Self {
            comparisons: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// Demands a comparison to hold.
    pub fn when(mut self, comparison: Comparison) -> Self {
        self.comparisons.push(comparison);
        self
    }

    /// Demands that a key has no value.
    pub fn if_absent(self, key: Key) -> Self {
        self.when(Comparison::Absent(key))
    }

    /// Demands that a key has a value.
    pub fn if_present(self, key: Key) -> Self {
        self.when(Comparison::Present(key))
    }

    /// Demands that a key has the value that was put at a revision.
    pub fn if_unchanged(self, key: Key, modified: Revision) -> Self {
        self.when(Comparison::Unchanged(key, modified))
    }

    /// Makes a change.
    pub fn change(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    /// Gives a key a value.
    pub fn put(self, key: Key, value: impl Into<Arc<[u8]>>) -> Self {
        self.change(Change::Put {
            key,
            value: value.into(),
            lease: None,
        })
    }

    /// Gives a key a value until a lease ends.
    pub fn put_leased(self, key: Key, value: impl Into<Arc<[u8]>>, lease: LeaseId) -> Self {
        self.change(Change::Put {
            key,
            value: value.into(),
            lease: Some(lease),
        })
    }

    /// Takes the value of a key away.
    pub fn delete(self, key: Key) -> Self {
        self.change(Change::Delete(key))
    }

    /// Returns what must hold.
    pub fn comparisons(&self) -> &[Comparison] {
        &self.comparisons
    }

    /// Returns what is changed.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Tells whether it changes nothing.
    pub const fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Checks what every store demands of a transaction before it looks at its own state.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooManyOperations`], [`StoreError::TooLong`], [`StoreError::ChangedTwice`].
    pub fn check(&self) -> Result<(), StoreError> {
        let count = self.comparisons.len() + self.changes.len();
        if count > Self::MAX_OPERATIONS {
            return Err(StoreError::TooManyOperations {
                count,
                max: Self::MAX_OPERATIONS,
            });
        }
        let compared = self.comparisons.iter().map(|it| it.key().as_str().len());
        let changed = self.changes.iter().map(|change| {
            change.key().as_str().len()
                + match change {
                    Change::Put { value, .. } => value.len(),
                    Change::Delete(_) => 0,
                }
        });
        let len = compared.chain(changed).sum();
        if len > Self::MAX_LEN {
            return Err(StoreError::TooLong {
                len,
                max: Self::MAX_LEN,
            });
        }
        let mut keys = BTreeSet::new();
        match self.changes.iter().find(|it| !keys.insert(it.key())) {
            Some(change) => Err(StoreError::ChangedTwice {
                key: change.key().clone(),
            }),
            None => Ok(()),
        }
    }
}

/// What became of a transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use = "a transaction whose comparisons do not hold changes nothing"]
pub enum Commit {
    /// All comparisons held, and all changes are made and durable at this revision. When nothing had to
    /// be changed, it is the revision at which that was so.
    Done(Revision),
    /// A comparison did not hold, and nothing was changed.
    Conflict {
        /// The key of one such comparison.
        key: Key,
    },
}

impl Commit {
    /// Returns the revision when the changes were made.
    pub const fn done(&self) -> Option<Revision> {
        match self {
            Self::Done(revision) => Some(*revision),
            Self::Conflict { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        Key::new(&format!("k/{number}")).unwrap()
    }

    #[test]
    fn as_much_as_every_store_takes_passes_and_more_is_refused() {
        let puts = |count| (0..count).fold(Transaction::new(), |it, n| it.put(key(n), *b"v"));
        let full = puts(Transaction::MAX_OPERATIONS - 1).if_absent(key(0));
        full.check().unwrap();
        assert!(matches!(
            full.if_absent(key(1)).check(),
            Err(StoreError::TooManyOperations { count, .. }) if count == Transaction::MAX_OPERATIONS + 1
        ));

        let room = Transaction::MAX_LEN - key(0).as_str().len();
        Transaction::new()
            .put(key(0), vec![0; room])
            .check()
            .unwrap();
        assert!(matches!(
            Transaction::new().put(key(0), vec![0; room + 1]).check(),
            Err(StoreError::TooLong { len, .. }) if len == Transaction::MAX_LEN + 1
        ));
    }

    #[test]
    fn a_key_may_be_compared_often_but_changed_once() {
        let twice = Transaction::new()
            .if_absent(key(0))
            .if_absent(key(0))
            .put(key(0), *b"v");
        twice.check().unwrap();
        assert!(matches!(
            twice.delete(key(0)).check(),
            Err(StoreError::ChangedTwice { key: it }) if it == key(0)
        ));
    }
}
