//! A table as plain values, to be carried over a restart.

use tapweave_net::Timestamp;

use super::PairTable;
use super::entry::Entry;
use super::record::RecordRef;

/// What a table held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// When it was taken, by the clock of the table that it is of.
    pub taken: Timestamp,
    /// The records with the names that they had.
    pub entries: Vec<(RecordRef, Entry)>,
}

impl PairTable {
    /// Returns the records that have not expired. Control side: allocates.
    pub fn snapshot(&self, now: Timestamp) -> Snapshot {
        Snapshot {
            taken: now,
            entries: self.entries(now).collect(),
        }
    }
}

impl Snapshot {
    /// Returns the records as they are to be [inserted](PairTable::insert) into another table at `now`,
    /// by its clock: with as much time left as they had. What their words say of other records and of
    /// times is their owner's to put right.
    pub fn entries_at(&self, now: Timestamp) -> impl Iterator<Item = Entry> {
        let entries = self.entries.iter().copied();
        entries.map(move |(_, entry)| Entry {
            expires: now + entry.expires.since(self.taken),
            ..entry
        })
    }
}
