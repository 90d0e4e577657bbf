//! A record that was found, for as long as the caller looks at it.

use core::fmt;

use tapweave_net::Timestamp;

use super::PairTable;
use super::entry::{Direction, Entry};
use super::life::{Life, Phase};
use super::slot::Slot;
use super::tuple::Tuple;
use crate::sync::Ordering;

/// A reference to a record of a [`PairTable`].
///
/// It keeps nothing alive: another worker may remove the record at any moment, and the slot may hold
/// another record then. What must not be mixed up with that of another record is an `Option`, which is
/// `None` once the record is gone.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    pub(super) table: &'a PairTable,
    pub(super) slot: Slot<'a>,
    pub(super) index: u32,
    /// Live, as it was when the record was found.
    pub(super) life: Life,
}

/// Names a record for as long as it exists, and never another one: what one record remembers
/// another by. Not zero as a number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RecordRef(u64);

/// Why the state of a record was not changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotUpdated {
    /// The record is gone.
    Gone,
    /// The caller's function returned nothing.
    Refused,
}

/// The bits of the slot's index, plus one.
const INDEX: u64 = u32::MAX as u64;

impl RecordRef {
    /// Returns the reference as a word, to be kept in [`Entry::words`].
    pub const fn to_u64(self) -> u64 {
        self.0
    }

    /// Returns the reference that [`RecordRef::to_u64`] gave.
    pub const fn from_u64(word: u64) -> Self {
        Self(word)
    }

    pub(super) fn new(index: u32, life: Life) -> Self {
        Self(u64::from(life.generation()) << u32::BITS | (u64::from(index) + 1))
    }

    pub(super) const fn index(self) -> u32 {
        ((self.0 & INDEX) as u32).wrapping_sub(1)
    }

    pub(super) const fn generation(self) -> u32 {
        (self.0 >> u32::BITS) as u32
    }
}

impl Record<'_> {
    /// Returns the name of the record.
    pub fn reference(&self) -> RecordRef {
        RecordRef::new(self.index, self.life)
    }

    /// Tells whether the record is still in the table.
    #[inline]
    pub fn is_present(&self) -> bool {
        self.slot.is_still(self.life)
    }

    /// Returns the key of a direction.
    #[inline]
    pub fn tuple(&self, direction: Direction) -> Option<Tuple> {
        let tuple = self.slot.tuple(direction);
        self.is_present().then_some(tuple)
    }

    /// Returns the label.
    #[inline]
    pub fn label(&self) -> Option<u32> {
        let label = self.slot.label();
        self.is_present().then_some(label)
    }

    /// Returns the state as it was when the record was found, or last updated through this reference.
    #[inline]
    pub fn state(&self) -> u32 {
        self.life.state()
    }

    /// Changes the state to what `change` makes of it, and returns the new one. `change` may be called
    /// more than once when other workers change it too; nothing is written when it returns what it got.
    ///
    /// # Errors
    ///
    /// [`NotUpdated::Gone`], or [`NotUpdated::Refused`] when `change` returned `None`.
    #[inline]
    pub fn update(
        &mut self,
        mut change: impl FnMut(u32) -> Option<u32>,
    ) -> Result<u32, NotUpdated> {
        let mut life = self.life;
        loop {
            let state = change(life.state()).ok_or(NotUpdated::Refused)?;
            let new = life.live(state);
            if self.slot.exchange_if_different(life, new) {
                self.life = new;
                return Ok(state);
            }
            let now = self.slot.life();
            if !life.same_record_as(now) {
                return Err(NotUpdated::Gone);
            }
            life = now;
        }
    }

    /// Returns from when on the record counts as gone.
    #[inline]
    pub fn expires(&self) -> Timestamp {
        self.slot.expires()
    }

    /// Sets from when on the record counts as gone.
    #[inline]
    pub fn set_expires(&self, time: Timestamp) {
        if self.is_present() {
            self.slot.set_expires(time);
        }
    }

    /// Has the record's slot told among those that [changed](PairTable::take_changed). To be called after the change.
    #[cold]
    pub fn mark(&self) {
        self.table.marks.add(self.index);
    }

    /// Returns a word of the owner; `None` also beyond [`Entry::WORDS`].
    #[inline]
    pub fn word(&self, index: usize) -> Option<u64> {
        let word = self.slot.word(index)?.load(Ordering::Relaxed);
        self.is_present().then_some(word)
    }

    /// Returns all words of the owner, each as it was at some moment.
    #[inline]
    pub fn words(&self) -> Option<[u64; Entry::WORDS]> {
        let words = self.slot.words();
        self.is_present().then_some(words)
    }

    /// Changes a word of the owner if it is still `current`; tells whether it did. Not if the record is
    /// gone.
    #[inline]
    pub fn exchange_word(&self, index: usize, current: u64, new: u64) -> bool {
        self.is_present()
            && self.slot.word(index).is_some_and(|word| {
                word.compare_exchange(current, new, Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
            })
    }

    /// Adds to the counts of a direction. A worker that counts the same direction at the same moment may
    /// undo it.
    #[inline]
    pub fn count(&self, direction: Direction, packets: u64, bytes: u64) {
        self.slot.count(direction, packets, bytes);
    }

    /// Returns all that the record says. Its words and counts are each as they were at some moment.
    pub fn entry(&self) -> Option<Entry> {
        let life = self.slot.life();
        let entry = self.slot.entry(life);
        let is_there = life.phase() == Phase::Live && life.same_record_as(self.life);
        (is_there && self.slot.is_still(life)).then_some(entry)
    }

    /// Takes the record out of the table. Returns what it said, to one caller only; `None` to all
    /// others.
    pub fn remove(self) -> Option<Entry> {
        self.remove_if(|_state| true)
    }

    /// As [`Record::remove`], but only while `may_go` says so of the state.
    pub fn remove_if(mut self, mut may_go: impl FnMut(u32) -> bool) -> Option<Entry> {
        loop {
            if !may_go(self.life.state()) {
                return None;
            }
            if let Some(entry) = self.table.kill(self.index, self.life) {
                return Some(entry);
            }
            let now = self.slot.life();
            if !self.life.same_record_as(now) {
                return None;
            }
            self.life = now;
        }
    }
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry() {
            Some(entry) => entry.fmt(f),
            None => f.write_str("gone"),
        }
    }
}
