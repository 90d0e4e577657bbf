//! Writes the intent into the store, and reads it when the daemon starts.
//!
//! # Theory of operation
//!
//! *What a client was told is done is in the store.* A request that makes something asks the packet path
//! first and writes the record last; one that takes something away deletes the record first and asks the packet
//! path last. When the write fails, a request that makes takes its work back, one that takes away has not begun,
//! and the client is told. So a crash leaves one kind of difference only: the packet path has, or had, something
//! that the store does not name, and reconciliation removes it. What a client was not told may be there after a
//! crash that came between the write and the answer.
//!
//! A transaction of the store is bounded ([`Transaction::MAX_OPERATIONS`]). The removal of something with many
//! parts is several, the thing itself in the first: from then on it is gone, and parts that a crash leaves are
//! recognized by that and deleted when they are read.
//!
//! What has happened by itself (a sandbox ended, an interface was deleted) cannot be taken back, nor can a write of
//! which the store does not know what became of it. Then the keys are *unsure*: at the next audit each gets the
//! value that the model has for it.
//!
//! Writes are made outside of the model's lock and by many threads at a time, so that a store which makes several
//! commits durable at once can do so. Who writes the same keys has a turn (see [`crate::Controller`]).

mod upgrade;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tapweave_store::{
    Change, Entry, Key, MemoryStore, StoppedClock, Store, StoreError, Transaction,
};
use tracing::{error, warn};

use crate::ControlError;
use crate::records::{self, Record, RecordError, SchemaError, Upgrades};

/// The store, and what is unsure in it.
#[derive(Debug)]
pub(crate) struct Journal {
    store: Arc<dyn Store>,
    unsure: Mutex<BTreeSet<Key>>,
}

/// Changes that are written together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes(Vec<Change>);

impl Changes {
    /// Adds a record, in the place of the one with its key.
    ///
    /// # Errors
    ///
    /// When it has a path that is not UTF-8.
    pub(crate) fn put(&mut self, record: &impl Record) -> Result<(), RecordError> {
        self.0.push(Change::Put {
            key: key(&record.key())?,
            value: records::encode(record)?.into(),
            lease: None,
        });
        Ok(())
    }

    /// Tells whether nothing is to be written.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the deletion of the record with a key. The first one is that of the thing that others are parts of.
    ///
    /// # Errors
    ///
    /// When the text is no key, which the key of a record is not.
    pub(crate) fn delete(&mut self, text: &str) -> Result<(), RecordError> {
        self.0.push(Change::Delete(key(text)?));
        Ok(())
    }
}

impl Journal {
    /// Returns the journal of a daemon that need not remember.
    pub(crate) fn forgetful() -> Self {
        Self {
            store: Arc::new(MemoryStore::new(Arc::new(StoppedClock))),
            unsure: Mutex::default(),
        }
    }

    /// Opens a store and returns what is in it, brought up to the version of this program. An empty one gets
    /// that version.
    ///
    /// # Errors
    ///
    /// When the store cannot be read, or holds what this program does not understand.
    pub(crate) fn open(store: Arc<dyn Store>) -> Result<(Self, Vec<Entry>), OpenError> {
        let entries = upgrade::up_to_date(store.as_ref(), Upgrades::PRESENT)?;
        let journal = Self {
            store,
            unsure: Mutex::default(),
        };
        Ok((journal, entries))
    }

    /// Writes changes; when it returns, they last.
    ///
    /// # Errors
    ///
    /// When nothing was changed, as far as is known.
    pub(crate) fn write(&self, changes: Changes) -> Result<(), ControlError> {
        let transactions = transactions(changes.0);
        for (index, transaction) in transactions.iter().enumerate() {
            let Err(cause) = self.store.commit(transaction) else {
                continue;
            };
            if index == 0 {
                if let StoreError::OutcomeUnknown { .. } = cause {
                    self.doubt(transaction.changes());
                }
                return Err(cause.into());
            }
            // The first one has decided.
            error!(%cause, "parts of something that has gone are still stored");
            self.doubt(transaction.changes());
        }
        Ok(())
    }

    /// Writes changes that follow from what has happened: those that cannot be written now are later.
    pub(crate) fn note(&self, changes: Changes) {
        for transaction in transactions(changes.0) {
            if let Err(cause) = self.store.commit(&transaction) {
                error!(%cause, "what has happened is not stored yet");
                self.doubt(transaction.changes());
            }
        }
    }

    /// Makes good what is unsure: each key gets the value that `wanted` has for it, or none. Returns how many did.
    pub(crate) fn settle(
        &self,
        wanted: impl Fn(&str) -> Option<Result<Vec<u8>, RecordError>>,
    ) -> usize {
        let unsure: Vec<Key> = self.unsure().iter().cloned().collect();
        let mut settled = 0;
        for key in unsure {
            // Taken out first: whoever doubts it again meanwhile is right.
            self.unsure().remove(&key);
            let written = match wanted(key.as_str()) {
                Some(Ok(value)) => self.store.put(&key, value.into()),
                Some(Err(cause)) => {
                    error!(%cause, "a record cannot be written");
                    continue;
                }
                None => self.store.delete(&key),
            };
            match written {
                Ok(()) => settled += 1,
                Err(cause) => {
                    warn!(%cause, %key, "the store cannot be written yet");
                    self.unsure().insert(key);
                }
            }
        }
        settled
    }

    /// Tells whether there is something to be made good.
    pub(crate) fn is_unsure(&self) -> bool {
        !self.unsure().is_empty()
    }

    fn doubt(&self, changes: &[Change]) {
        let keys = changes.iter().map(|change| change.key().clone());
        self.unsure().extend(keys);
    }

    fn unsure(&self) -> MutexGuard<'_, BTreeSet<Key>> {
        self.unsure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why the state cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The store says so.
    #[error("the state cannot be read")]
    Store(#[from] StoreError),
    /// It is not of a version that is understood.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

fn key(text: &str) -> Result<Key, RecordError> {
    Ok(Key::new(text)?)
}

/// Divides changes into transactions that every store takes.
fn transactions(changes: Vec<Change>) -> Vec<Transaction> {
    let mut transactions = vec![Transaction::new()];
    let mut len = 0;
    for change in changes {
        let change_len = change.key().as_str().len()
            + match &change {
                Change::Put { value, .. } => value.len(),
                Change::Delete(_) | _ => 0,
            };
        let is_full = transactions.last().is_none_or(|last| {
            last.changes().len() >= Transaction::MAX_OPERATIONS
                || (!last.is_empty() && len + change_len > Transaction::MAX_LEN)
        });
        if is_full {
            transactions.push(Transaction::new());
            len = 0;
        }
        len += change_len;
        if let Some(last) = transactions.last_mut() {
            *last = std::mem::take(last).change(change);
        }
    }
    transactions
}
