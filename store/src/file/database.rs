//! The database in a file: looked at, opened, made.

use std::io;
use std::time::Duration;

use redb::{
    Builder, Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable,
    StorageBackend,
};
use thiserror::Error;

use super::error::OpenError;
use super::look::Look;
use super::medium::Medium;
use super::records::{
    FORMAT, LEASES, META, META_FORMAT, META_GRANTED, META_REVISION, RECORDS, Tables, decode,
    failed, key_of,
};
use crate::{Entry, Key, LeaseId, Prefix, Range, Revision, StoreError, Versioned};

/// Octets of the file that the database keeps in memory at most: all of 10,000 records, and bounded.
const CACHE_LEN: usize = 16 << 20;

/// A backend in a box is a backend.
#[derive(Debug)]
struct Boxed(Box<dyn StorageBackend>);

/// What is wrong with a file that is read well.
#[derive(Debug, Error)]
enum Unfit {
    #[error("it is empty")]
    Empty,
    #[error("it has no {0:?} of tapweave's")]
    Lacks(&'static str),
    #[error("its format is {0}, which never was")]
    Format(u64),
}

/// The records of one revision.
#[derive(Debug)]
pub(super) struct Snapshot {
    records: ReadOnlyTable<&'static str, &'static [u8]>,
    revision: Revision,
}

/// What of a store is kept beside its records.
#[derive(Debug)]
pub(super) struct Leases {
    /// The number of the last one.
    pub(super) granted: u64,
    /// Those that have not ended.
    pub(super) all: Vec<(LeaseId, Duration)>,
}

/// Opens the database of a medium, and makes it if there is none, after a look at it that changes
/// nothing.
///
/// # Errors
///
/// [`OpenError::Damaged`], [`OpenError::Newer`], [`OpenError::Io`].
pub(super) fn open(medium: &dyn Medium) -> Result<Database, OpenError> {
    let path = || medium.file().to_owned();
    match medium.look().map_err(OpenError::io("open", path()))? {
        Some(found) => look(medium, found)?,
        None => make(medium)?,
    }
    reopen(medium)
}

/// Opens the database of a medium that was open before: goes back to the last whole commit.
///
/// # Errors
///
/// As [`open`].
pub(super) fn reopen(medium: &dyn Medium) -> Result<Database, OpenError> {
    let backend = medium
        .open()
        .and_then(|it| it.ok_or_else(|| io::ErrorKind::NotFound.into()))
        .map_err(OpenError::io("open", medium.file().to_owned()))?;
    builder()
        .create_with_backend(Boxed(backend))
        .map_err(|error| unusable(medium, error))
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_LEN);
    builder
}

/// Finds out whether a file can be opened, without changing it.
fn look(medium: &dyn Medium, found: Box<dyn StorageBackend>) -> Result<(), OpenError> {
    let unfit = |what| OpenError::Damaged {
        path: medium.file().to_owned(),
        source: Box::new(what),
    };
    let io = || OpenError::io("read", medium.file().to_owned());
    if found.len().map_err(io())? == 0 {
        return Err(unfit(Unfit::Empty));
    }
    let look = Look::new(found).map_err(io())?;
    let database = builder()
        .set_check_integrity_on_open(true)
        .create_with_backend(look)
        .map_err(|error| unusable(medium, error))?;
    let meta = database
        .begin_read()
        .map_err(|error| unusable(medium, error))?
        .open_table(META)
        .map_err(|error| {
            if matches!(error, redb::TableError::TableDoesNotExist(_)) {
                unfit(Unfit::Lacks("meta"))
            } else {
                unusable(medium, error)
            }
        })?;
    let format = meta
        .get(META_FORMAT)
        .map_err(|error| unusable(medium, error))?
        .map(|it| it.value());
    match format {
        Some(FORMAT) => Ok(()),
        Some(0) => Err(unfit(Unfit::Format(0))),
        Some(newer) => Err(OpenError::Newer {
            path: medium.file().to_owned(),
            found: newer,
            known: FORMAT,
        }),
        None => Err(unfit(Unfit::Lacks(META_FORMAT))),
    }
}

/// Makes a database beside where it is to be, so that there is never a half one.
fn make(medium: &dyn Medium) -> Result<(), OpenError> {
    let io = |doing| OpenError::io(doing, medium.file().to_owned());
    let backend = medium.create().map_err(io("make"))?;
    let database = builder()
        .create_with_backend(Boxed(backend))
        .map_err(|error| unusable(medium, error))?;
    let begin = || -> Result<(), redb::Error> {
        let transaction = database.begin_write()?;
        Tables::open(&transaction)?.begin()?;
        Ok(transaction.commit()?)
    };
    begin().map_err(|error| unusable(medium, error))?;
    database.close().map_err(|error| unusable(medium, error))?;
    medium.adopt().map_err(io("make"))
}

/// Returns what an error of a database that is being opened is.
fn unusable(medium: &dyn Medium, error: impl Into<redb::Error>) -> OpenError {
    let error = error.into();
    let path = medium.file().to_owned();
    let source: Box<dyn std::error::Error + Send + Sync> = if let redb::Error::Io(error) = error {
        // What is read well and makes no sense is reported so.
        if error.kind() != io::ErrorKind::InvalidData {
            return OpenError::io("read or write", path)(error);
        }
        Box::new(error)
    } else {
        Box::new(error)
    };
    OpenError::Damaged { path, source }
}

impl Snapshot {
    /// Returns the records as the last commit left them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], [`StoreError::Damaged`].
    pub(super) fn of(database: &Database) -> Result<Self, StoreError> {
        let transaction = database.begin_read().map_err(failed)?;
        Ok(Self {
            records: transaction.open_table(RECORDS).map_err(failed)?,
            revision: Revision::from_u64(number(&transaction, META_REVISION)?),
        })
    }

    /// Returns the revision.
    pub(super) const fn revision(&self) -> Revision {
        self.revision
    }

    /// Returns the value of a key.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::of`].
    pub(super) fn get(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        let found = self.records.get(key.as_str()).map_err(failed)?;
        found.map(|it| decode(key, it.value())).transpose()
    }

    /// Returns what is in a folder.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::of`].
    pub(super) fn range(&self, prefix: &Prefix) -> Result<Range, StoreError> {
        let found = match prefix.end() {
            Some(end) => self.records.range(prefix.as_str()..end.as_str()),
            None => self.records.range(prefix.as_str()..),
        };
        let mut entries = Vec::new();
        for entry in found.map_err(failed)? {
            let (text, octets) = entry.map_err(failed)?;
            let key = key_of(text.value())?;
            let value = decode(&key, octets.value())?;
            entries.push(Entry { key, value });
        }
        Ok(Range {
            revision: self.revision,
            entries,
        })
    }
}

impl Leases {
    /// Returns the leases as the last commit left them.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::of`].
    pub(super) fn of(database: &Database) -> Result<Self, StoreError> {
        let transaction = database.begin_read().map_err(failed)?;
        let mut all = Vec::new();
        let table = transaction.open_table(LEASES).map_err(failed)?;
        for entry in table.iter().map_err(failed)? {
            let (number, millis) = entry.map_err(failed)?;
            let ttl = Duration::from_millis(millis.value());
            all.push((LeaseId::numbered(number.value()), ttl));
        }
        Ok(Self {
            granted: number(&transaction, META_GRANTED)?,
            all,
        })
    }
}

fn number(transaction: &ReadTransaction, name: &str) -> Result<u64, StoreError> {
    let meta = transaction.open_table(META).map_err(failed)?;
    let found = meta.get(name).map_err(failed)?;
    Ok(found.map_or(0, |it| it.value()))
}

impl StorageBackend for Boxed {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
}
