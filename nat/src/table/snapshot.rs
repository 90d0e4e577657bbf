//! A table as plain values, to be carried over a restart.

use tapweave_net::Timestamp;

use super::PairTable;
use super::entry::Entry;
use super::insertion::Insert;
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

    /// Inserts the records of a snapshot, with as much time left as they had, and returns how many came
    /// in. `revise` sees each first and may change it: names of other records in its words, which are
    /// new in this table, and what refers to the old clock. It returns whether the record is wanted.
    ///
    /// Records come in the order of the snapshot, so that its caller can put those first that others
    /// name. `named` is told the new name of each.
    pub fn restore(
        &self,
        snapshot: &Snapshot,
        now: Timestamp,
        mut revise: impl FnMut(&mut Entry) -> bool,
        mut named: impl FnMut(RecordRef, RecordRef),
    ) -> usize {
        let mut count = 0;
        for &(old, mut entry) in &snapshot.entries {
            entry.expires = now + entry.expires.since(snapshot.taken);
            if !revise(&mut entry) {
                continue;
            }
            if let Insert::Added(record) = self.insert(now, &entry, |_gone| {}) {
                named(old, record.reference());
                count += 1;
            }
        }
        count
    }
}
