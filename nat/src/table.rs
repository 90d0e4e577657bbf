//! The table of flows and mappings, shared by all workers without a lock.
//!
//! It keeps *records*, each of which is found under two keys: the tuple of packets in the original
//! direction and that of packets in the reply direction. It decides what is found, for how long, and
//! what gives way when it is full; it does not know what the keys and the owner's state mean. `Nat` is
//! its owner.
//!
//! # Theory of operation
//!
//! Records stand in an arena of fixed slots (`arena.rs`, `slot.rs`), and an index of buckets of eight links
//! (`index.rs`) leads from a key to its record. A key has two buckets, named by two halves of a seeded
//! hash. Nothing moves while it lives, and nothing is freed: memory is bounded by the capacity, and a
//! thread that holds on to a slot too long finds another record there, and notices.
//!
//! **One word decides.** Whether a record is in the table, which generation of its slot it is, and
//! the owner's state are one atomic word (`life.rs`). So a record appears under both of its keys in one
//! step and goes in one step; a record is removed only in the state in which it was found fit for
//! that; and of many removers one succeeds.
//!
//! **Finding** takes a few loads and never waits or writes. `slot.rs` says why it never takes one
//! record's key with another's contents. A record that has expired is a miss from that moment on; the
//! sweep and insertions only free its slot. For a batch it is done in advance (`ahead.rs`), and what was found
//! is looked at first (`hint.rs`).
//!
//! **Inserting** never waits either: of several threads that insert one key at once, one wins and the
//! others get its record (`insertion.rs`, with the reason why there are never two).
//!
//! **Expiry** is by sweeping the arena in bounded steps (`sweep.rs`). Memory is read in order, so a
//! million records take a few milliseconds; a wheel would have to be written with every packet that
//! moves a deadline.
//!
//! **Changes** are marked, a bit a slot, so that a journal can be written of them (`marks.rs`).
//!
//! **Full table.** An insertion evicts an expired record or else one that is neither kept nor assured
//! (`eviction.rs`), from a window that goes round, so that its work is bounded. The index has room for
//! 10 links where a full table has 6. In a simulation of a table that stays full of 100,000 records
//! that come and go, 6 links of a million find both of their buckets full; one of the records that are
//! linked there then gives way, by the same rule.

mod ahead;
mod arena;
mod entry;
mod eviction;
mod hash;
mod hint;
mod index;
mod insertion;
mod life;
#[cfg(test)]
#[cfg(loom)]
mod loom_tests;
mod marks;
mod prefetch;
mod record;
mod slot;
mod spare;
#[cfg(test)]
#[cfg(not(loom))]
mod stress_tests;
mod sweep;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
mod tuple;
mod words;

use core::fmt;
use core::ops::Range;

use tapweave_net::Timestamp;

pub use entry::{Direction, Entry};
pub use hint::Hint;
pub use insertion::Insert;
pub use record::{NotUpdated, Record, RecordRef};
pub use sweep::Sweep;
pub use tuple::{Endpoint, Realm, Tuple};

use arena::Arena;
use hash::{KeyHasher, Probe};
use index::{BUCKET_LEN, Index, Link};
use life::{Life, Phase};
use marks::Marks;
use spare::Spare;

use crate::sync::AtomicU32;

/// Links that the index has room for, for each 100 of a full table.
const INDEX_ROOM: usize = 167;

/// Records that are each found under two keys. See the head of this file.
pub struct PairTable {
    slots: Arena,
    spare: Spare,
    index: Index,
    hasher: KeyHasher,
    /// Where the search for a record to evict goes on.
    eviction_hand: AtomicU32,
    /// Where the sweep goes on.
    sweep_hand: AtomicU32,
    /// The slots whose record came, went or was marked.
    marks: Marks,
}

impl PairTable {
    /// Largest capacity.
    pub const CAPACITY_MAX: u32 = 1 << 26;

    /// Returns an empty table of at most `capacity` records, but at most
    /// [`CAPACITY_MAX`](Self::CAPACITY_MAX). A record takes 187 bytes, all in all. Four
    /// megabytes of addresses more may be there for alignment; no memory stands behind them.
    ///
    /// `seed` is to be random, so that nobody outside knows which keys share a place.
    pub fn new(capacity: u32, seed: u64) -> Self {
        let capacity = capacity.min(Self::CAPACITY_MAX);
        let buckets = (capacity as usize * 2 * INDEX_ROOM).div_ceil(100 * BUCKET_LEN);
        let bucket_count = u32::try_from(buckets).unwrap_or(u32::MAX).max(2);
        Self {
            slots: Arena::new(capacity),
            spare: Spare::new(),
            index: Index::new(bucket_count),
            hasher: KeyHasher::new(seed, bucket_count),
            eviction_hand: AtomicU32::new(0),
            sweep_hand: AtomicU32::new(0),
            marks: Marks::new(capacity),
        }
    }

    /// Returns the addresses of its memory, for whoever can have the system back it with huge pages.
    pub fn memory(&self) -> [Range<usize>; 2] {
        [self.index.memory(), self.slots.memory()]
    }

    /// Returns how many records there may be.
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// Returns how many records there are, expired ones that were not swept yet included; exact while
    /// no worker is at work.
    pub fn len(&self) -> usize {
        self.spare.taken() as usize
    }

    /// Tells whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the record that has a key and has not expired, and which of its keys it is.
    #[inline]
    pub fn find(&self, key: &Tuple, now: Timestamp) -> Option<(Record<'_>, Direction)> {
        self.find_probe(&self.hasher.probe(key), now)
    }

    /// Returns the record of a name, expired or not, unless it is gone.
    #[inline]
    pub fn at(&self, name: RecordRef) -> Option<Record<'_>> {
        let record = self.live(name.index())?;
        (record.life.generation() == name.generation()).then_some(record)
    }

    /// Returns the records that have not expired, each as it was at some moment, in no order. Records
    /// that come or go meanwhile may or may not be among them.
    pub fn entries(&self, now: Timestamp) -> impl Iterator<Item = (RecordRef, Entry)> {
        self.records().filter_map(move |record| {
            let entry = record.entry()?;
            let is_kept = entry.state & Entry::KEPT != 0;
            (is_kept || entry.expires > now).then_some((record.reference(), entry))
        })
    }

    /// Returns the records that are there, expired ones included.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        (0..self.spare.used()).filter_map(|index| self.live(index))
    }

    /// Returns how many slots have been in use: all records are in slots below that.
    pub fn slot_count(&self) -> u32 {
        self.spare.used()
    }

    /// Returns the record in a slot, expired or not.
    pub fn record_in(&self, slot: u32) -> Option<Record<'_>> {
        self.live(slot)
    }

    /// Gives `take` the slots whose record has come, gone or been [marked](Record::mark) since they were last taken,
    /// in no order and each once, at most about `budget` of them; tells how many it were. What is in a slot is to be
    /// read after it was given.
    pub fn take_changed(&self, budget: usize, take: impl FnMut(u32)) -> usize {
        self.marks.take(budget, take)
    }

    /// Tells whether there may be slots to [take](Self::take_changed). A load for each 4,096 slots.
    pub fn has_changed(&self) -> bool {
        self.marks.is_any()
    }

    #[inline(always)]
    fn find_probe(&self, probe: &Probe, now: Timestamp) -> Option<(Record<'_>, Direction)> {
        let (record, direction) = self.index.find_map(probe.place, |link| {
            let direction = link.direction();
            let record = self.live(link.slot())?;
            let found = record.slot.has_key(direction, &probe.key) && record.is_present();
            found.then_some((record, direction))
        })?;
        (!record.slot.is_expired(record.life, now)).then_some((record, direction))
    }

    #[inline]
    fn live(&self, index: u32) -> Option<Record<'_>> {
        let slot = self.slots.get(index)?;
        let life = slot.life();
        (life.phase() == Phase::Live).then_some(Record {
            table: self,
            slot,
            index,
            life,
        })
    }

    /// Takes a live record out of the table if its life word is still `life`, and frees its slot.
    fn kill(&self, index: u32, life: Life) -> Option<Entry> {
        let entry = self.kill_and_hold(index, life)?;
        self.spare.give_back(&self.slots, index, index);
        Some(entry)
    }

    /// As [`PairTable::kill`], but leaves the slot, free, to the caller.
    fn kill_and_hold(&self, index: u32, life: Life) -> Option<Entry> {
        let slot = self.slots.get(index)?;
        if !slot.exchange(life, life.dead()) {
            return None;
        }
        let entry = slot.entry(life);
        self.unlink(index, &entry.original, Direction::Original);
        self.unlink(index, &entry.reply, Direction::Reply);
        slot.set_free(0);
        self.marks.add(index);
        Some(entry)
    }

    fn unlink(&self, index: u32, key: &Tuple, direction: Direction) {
        let probe = self.hasher.probe(key);
        self.index
            .remove(probe.place, Link::new(probe.place, direction, index));
    }
}

impl fmt::Debug for PairTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PairTable")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}
