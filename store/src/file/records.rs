//! Records as the database has them.
//!
//! | table | key | value |
//! |---|---|---|
//! | `records` | text of the key | revision of creation, of the last change, number of the lease or 0, each 8 octets, most significant first; then the value |
//! | `leases` | number | milliseconds that it lasts |
//! | `meta` | `format`, `revision`, `granted` | the version of all this, [`FORMAT`]; the revision that the store is at; the number of the last lease |

use std::sync::Arc;
use std::time::Duration;

use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};
use thiserror::Error;

use crate::apply::Records;
use crate::{Key, LeaseId, Revision, StoreError, Versioned};

/// The version of the format that this program writes.
pub(super) const FORMAT: u64 = 1;

pub(super) const RECORDS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("records");
pub(super) const LEASES: TableDefinition<'static, u64, u64> = TableDefinition::new("leases");
pub(super) const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");

pub(super) const META_FORMAT: &str = "format";
pub(super) const META_REVISION: &str = "revision";
pub(super) const META_GRANTED: &str = "granted";

/// Octets before the value.
const HEAD_LEN: usize = 24;

/// A record is not as it should be.
#[derive(Debug, Error)]
pub(super) enum RecordError {
    #[error("the record of {key} has {len} octets, fewer than the {HEAD_LEN} of its head")]
    TooShort { key: Box<str>, len: usize },
    #[error("a record has no proper key")]
    Key(#[source] crate::KeyError),
}

/// The tables within one write transaction.
pub(super) struct Tables<'txn> {
    records: Table<'txn, &'static str, &'static [u8]>,
    leases: Table<'txn, u64, u64>,
    meta: Table<'txn, &'static str, u64>,
}

impl<'txn> Tables<'txn> {
    /// Opens the tables, and makes them where there are none.
    pub(super) fn open(transaction: &'txn WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            records: transaction.open_table(RECORDS)?,
            leases: transaction.open_table(LEASES)?,
            meta: transaction.open_table(META)?,
        })
    }

    /// Marks the tables as of this version and of a store in which nothing was changed.
    pub(super) fn begin(&mut self) -> Result<(), redb::Error> {
        self.meta.insert(META_FORMAT, FORMAT)?;
        self.meta.insert(META_REVISION, Revision::ZERO.as_u64())?;
        self.meta.insert(META_GRANTED, 0)?;
        Ok(())
    }

    /// Sets the revision that the store is at.
    pub(super) fn set_revision(&mut self, revision: Revision) -> Result<(), redb::Error> {
        self.meta.insert(META_REVISION, revision.as_u64())?;
        Ok(())
    }

    /// Adds a lease. Its number is later than all before in this process.
    pub(super) fn add_lease(&mut self, number: u64, ttl: Duration) -> Result<(), redb::Error> {
        let millis = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        self.leases.insert(number, millis)?;
        let last = self.meta.get(META_GRANTED)?.map_or(0, |it| it.value());
        self.meta.insert(META_GRANTED, last.max(number))?;
        Ok(())
    }
}

impl Records for Tables<'_> {
    fn read(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        let found = self.records.get(key.as_str()).map_err(failed)?;
        found.map(|it| decode(key, it.value())).transpose()
    }

    fn write(&mut self, key: &Key, value: &Versioned) -> Result<(), StoreError> {
        self.records
            .insert(key.as_str(), &*encode(value))
            .map_err(failed)?;
        Ok(())
    }

    fn remove(&mut self, key: &Key) -> Result<(), StoreError> {
        self.records.remove(key.as_str()).map_err(failed)?;
        Ok(())
    }

    fn has_lease(&self, lease: &LeaseId) -> Result<bool, StoreError> {
        match number_of(lease) {
            Some(number) => Ok(self.leases.get(number).map_err(failed)?.is_some()),
            None => Ok(false),
        }
    }

    fn remove_lease(&mut self, lease: &LeaseId) -> Result<(), StoreError> {
        if let Some(number) = number_of(lease) {
            self.leases.remove(number).map_err(failed)?;
        }
        Ok(())
    }

    fn keys_of(&self, lease: &LeaseId) -> Result<Vec<Key>, StoreError> {
        let mut keys = Vec::new();
        for entry in self.records.iter().map_err(failed)? {
            let (text, octets) = entry.map_err(failed)?;
            let key = key_of(text.value())?;
            if decode(&key, octets.value())?.lease.as_ref() == Some(lease) {
                keys.push(key);
            }
        }
        Ok(keys)
    }
}

/// Returns the number of a lease; none when no lease of this store has such a name.
fn number_of(lease: &LeaseId) -> Option<u64> {
    let number = lease.as_str().parse().ok()?;
    (LeaseId::numbered(number) == *lease && number > 0).then_some(number)
}

/// Returns the key of a record.
pub(super) fn key_of(text: &str) -> Result<Key, StoreError> {
    Key::new(text).map_err(|error| damaged(RecordError::Key(error)))
}

fn encode(value: &Versioned) -> Vec<u8> {
    let lease = value.lease.as_ref().and_then(number_of).unwrap_or(0);
    let mut octets = Vec::with_capacity(HEAD_LEN + value.value.len());
    octets.extend(value.created.as_u64().to_be_bytes());
    octets.extend(value.modified.as_u64().to_be_bytes());
    octets.extend(lease.to_be_bytes());
    octets.extend(&*value.value);
    octets
}

/// Returns the value that a record of a key has.
pub(super) fn decode(key: &Key, octets: &[u8]) -> Result<Versioned, StoreError> {
    let too_short = || {
        damaged(RecordError::TooShort {
            key: key.as_str().into(),
            len: octets.len(),
        })
    };
    let (created, rest) = octets.split_first_chunk().ok_or_else(too_short)?;
    let (modified, rest) = rest.split_first_chunk().ok_or_else(too_short)?;
    let (lease, value) = rest.split_first_chunk().ok_or_else(too_short)?;
    let lease = u64::from_be_bytes(*lease);
    Ok(Versioned {
        value: value.into(),
        created: Revision::from_u64(u64::from_be_bytes(*created)),
        modified: Revision::from_u64(u64::from_be_bytes(*modified)),
        lease: (lease > 0).then(|| LeaseId::numbered(lease)),
    })
}

/// Returns what an error of the database is to callers.
pub(super) fn failed(error: impl Into<redb::Error>) -> StoreError {
    let error = error.into();
    let is_of_disk = matches!(
        error,
        redb::Error::Io(_) | redb::Error::PreviousIo | redb::Error::DatabaseClosed
    );
    let source = Arc::new(error);
    if is_of_disk {
        StoreError::Unavailable { source }
    } else {
        StoreError::Damaged { source }
    }
}

/// Returns the error of a record that cannot be read.
fn damaged(error: RecordError) -> StoreError {
    StoreError::Damaged {
        source: Arc::new(error),
    }
}
