//! What a transaction and the end of a lease do to records, wherever those are kept.
//!
//! Both stores of this crate call this file with their own [`Records`]: so they cannot differ in what a
//! comparison means or in which revision a value gets.

use std::sync::Arc;

use crate::{
    Change, Comparison, Event, Key, LeaseId, Revision, StoreError, Transaction, Versioned,
};

/// Records that can be changed. What was changed is seen by the following reads.
pub(crate) trait Records {
    /// Returns the value of a key.
    fn read(&self, key: &Key) -> Result<Option<Versioned>, StoreError>;

    /// Puts the value of a key.
    fn write(&mut self, key: &Key, value: &Versioned) -> Result<(), StoreError>;

    /// Takes the value of a key away.
    fn remove(&mut self, key: &Key) -> Result<(), StoreError>;

    /// Tells whether there is a lease.
    fn has_lease(&self, lease: &LeaseId) -> Result<bool, StoreError>;

    /// Takes a lease away. Its keys stay.
    fn remove_lease(&mut self, lease: &LeaseId) -> Result<(), StoreError>;

    /// Returns the keys that end with a lease, in order.
    fn keys_of(&self, lease: &LeaseId) -> Result<Vec<Key>, StoreError>;
}

/// What an operation did.
#[derive(Debug)]
pub(crate) enum Applied {
    /// It made these changes; when there are none, it takes no revision.
    Changed(Vec<Event>),
    /// A comparison with this key did not hold. Nothing was changed.
    Conflict(Key),
}

/// Makes the changes of a transaction if its comparisons hold; what is changed is changed at `revision`.
///
/// # Errors
///
/// [`StoreError::NoSuchLease`], before anything is changed; those of the records.
pub(crate) fn transaction(
    records: &mut impl Records,
    transaction: &Transaction,
    revision: Revision,
) -> Result<Applied, StoreError> {
    for comparison in transaction.comparisons() {
        if !holds(records, comparison)? {
            return Ok(Applied::Conflict(comparison.key().clone()));
        }
    }
    for change in transaction.changes() {
        if let Change::Put {
            lease: Some(lease), ..
        } = change
            && !records.has_lease(lease)?
        {
            return Err(StoreError::NoSuchLease {
                lease: lease.clone(),
            });
        }
    }
    let mut events = Vec::with_capacity(transaction.changes().len());
    for change in transaction.changes() {
        let before = records.read(change.key())?;
        match change {
            Change::Put { key, value, lease } => {
                let value = Versioned {
                    value: Arc::clone(value),
                    created: before.map_or(revision, |it| it.created),
                    modified: revision,
                    lease: lease.clone(),
                };
                records.write(key, &value)?;
                let key = key.clone();
                events.push(Event::Put { key, value });
            }
            Change::Delete(key) if before.is_some() => {
                records.remove(key)?;
                events.push(Event::Deleted { key: key.clone() });
            }
            Change::Delete(_) => {}
        }
    }
    Ok(Applied::Changed(events))
}

fn holds(records: &impl Records, comparison: &Comparison) -> Result<bool, StoreError> {
    let found = records.read(comparison.key())?;
    Ok(match comparison {
        Comparison::Absent(_) => found.is_none(),
        Comparison::Present(_) => found.is_some(),
        Comparison::Unchanged(_, modified) => found.is_some_and(|it| it.modified == *modified),
    })
}

/// Ends a lease and takes its keys away.
///
/// # Errors
///
/// [`StoreError::NoSuchLease`], before anything is changed; those of the records.
pub(crate) fn end_of_lease(
    records: &mut impl Records,
    lease: &LeaseId,
) -> Result<Applied, StoreError> {
    if !records.has_lease(lease)? {
        return Err(StoreError::NoSuchLease {
            lease: lease.clone(),
        });
    }
    let keys = records.keys_of(lease)?;
    for key in &keys {
        records.remove(key)?;
    }
    records.remove_lease(lease)?;
    let events = keys.into_iter().map(|key| Event::Deleted { key }).collect();
    Ok(Applied::Changed(events))
}
