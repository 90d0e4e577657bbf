//! Where the records of a key are: buckets of eight words, one cache line each.
//!
//! A key has two buckets and may be named in either; a word never moves while it stands. A word names
//! a record, says which of its keys is meant, and carries a part of the key's hash, so that nearly
//! every record that is looked at is the right one. The index does not say whether a record is in the
//! table: that is in the record's life word.

use core::ops::Range;

use super::entry::Direction;
use super::hash::Place;
use super::prefetch::prefetch;
use super::words::Words;
use crate::sync::{AtomicU64, Ordering};

/// Words of a bucket; fewer under loom, which tries every order of their accesses.
pub(super) const BUCKET_LEN: usize = if cfg!(loom) { 2 } else { 8 };
/// Links of the first bucket from which on the second is considered: see the head of `table.rs`.
const FIRST_BUCKET_LEN: usize = if cfg!(loom) { 1 } else { 5 };

/// All buckets.
pub(super) struct Index {
    words: Words,
}

/// One cache line of the index.
struct Bucket<'a>(&'a [AtomicU64; BUCKET_LEN]);

#[cfg(not(loom))]
const _: () = assert!(size_of::<[AtomicU64; BUCKET_LEN]>() == 64);

/// What a word of the index says.
///
/// ```text
///  63                            32 31  30                           0
/// +--------------------------------+---+------------------------------+
/// |  tag of the key's hash         |dir|  slot of the record, plus 1  |
/// +--------------------------------+---+------------------------------+
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Link(u64);

const DIRECTION: u64 = 1 << 31;
const SLOT: u64 = DIRECTION - 1;
const TAG_SHIFT: u32 = 32;

impl Link {
    /// Names `slot`, below 2^31 - 1, under its key of a direction.
    pub(super) fn new(place: Place, direction: Direction, slot: u32) -> Self {
        let direction = match direction {
            Direction::Original => 0,
            Direction::Reply => DIRECTION,
        };
        Self(u64::from(place.tag) << TAG_SHIFT | direction | (u64::from(slot) + 1))
    }

    #[inline]
    pub(super) const fn direction(self) -> Direction {
        if self.0 & DIRECTION == 0 {
            Direction::Original
        } else {
            Direction::Reply
        }
    }

    #[inline]
    pub(super) const fn slot(self) -> u32 {
        ((self.0 & SLOT) as u32).wrapping_sub(1)
    }
}

impl Index {
    pub(super) fn new(bucket_count: u32) -> Self {
        Self {
            words: Words::new(bucket_count as usize * BUCKET_LEN),
        }
    }

    /// Returns the addresses of its memory.
    pub(super) fn memory(&self) -> Range<usize> {
        self.words.memory()
    }

    /// Returns the first thing that `look` makes of a link that may be of the key at `place`. Each is
    /// read when it is its turn.
    #[inline(always)]
    pub(super) fn find_map<T>(
        &self,
        place: Place,
        mut look: impl FnMut(Link) -> Option<T>,
    ) -> Option<T> {
        for index in place.buckets {
            let bucket = self.bucket(index);
            let mut matches = bucket.matches(place.tag);
            while matches != 0 {
                let word = bucket.0.get(matches.trailing_zeros() as usize)?;
                let found = look(Link(word.load(Ordering::Acquire)));
                if found.is_some() {
                    return found;
                }
                matches &= matches - 1;
            }
        }
        None
    }

    /// Has the first bucket of a key brought into the cache. Most links are there, and to read the second too
    /// takes longer than it saves.
    #[inline]
    pub(super) fn prefetch(&self, place: Place) {
        let [first, _] = place.buckets;
        let [first, ..] = self.bucket(first).0;
        prefetch(first);
    }

    /// Returns all links of the two buckets of a key.
    pub(super) fn neighbours(&self, place: Place) -> impl Iterator<Item = Link> {
        let links = self
            .words(place)
            .map(|word| Link(word.load(Ordering::Acquire)));
        links.filter(|link| link.0 != 0)
    }

    /// Adds a link to one of the buckets of its key; tells whether there was room.
    pub(super) fn add(&self, place: Place, link: Link) -> bool {
        let [first, second] = place.buckets.map(|index| self.bucket(index));
        let (preferred, other) = match (first.len(), second.len()) {
            (few, _) if few < FIRST_BUCKET_LEN => (first, second),
            (one, two) if one <= two => (first, second),
            _ => (second, first),
        };
        preferred.add(link) || other.add(link)
    }

    /// Removes a link, which only the thread that holds its record does.
    pub(super) fn remove(&self, place: Place, link: Link) {
        let found = self
            .words(place)
            .find(|word| word.load(Ordering::Relaxed) == link.0);
        if let Some(word) = found {
            word.store(0, Ordering::Release);
        }
    }

    #[inline]
    fn words(&self, place: Place) -> impl Iterator<Item = &AtomicU64> {
        let [first, second] = place.buckets;
        self.bucket(first).0.iter().chain(self.bucket(second).0)
    }

    #[expect(clippy::expect_used, reason = "a probe names buckets of this index")]
    #[inline]
    fn bucket(&self, index: u32) -> Bucket<'_> {
        Bucket(
            self.words
                .chunk(index as usize)
                .expect("a bucket of the index"),
        )
    }
}

impl Bucket<'_> {
    /// Returns a bit for each link with a tag. All are compared before the first branch: which one it
    /// is is random, and a mispredicted branch costs more than eight comparisons.
    #[inline]
    fn matches(&self, tag: u32) -> u32 {
        let mut matches = 0;
        for (index, word) in self.0.iter().enumerate() {
            let same = word.load(Ordering::Acquire) >> TAG_SHIFT == u64::from(tag);
            matches |= u32::from(same) << index;
        }
        matches
    }

    fn len(&self) -> usize {
        let taken = self
            .0
            .iter()
            .filter(|word| word.load(Ordering::Relaxed) != 0);
        taken.count()
    }

    fn add(&self, link: Link) -> bool {
        self.0.iter().any(|word| {
            word.load(Ordering::Relaxed) == 0
                && word
                    .compare_exchange(0, link.0, Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
        })
    }
}
