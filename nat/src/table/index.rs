//! Where the records of a key are: buckets of eight words, one cache line each.
//!
//! A key has two buckets and may be named in either; a word never moves while it stands. A word names
//! a record, says which of its keys is meant, and carries a part of the key's hash, so that nearly
//! every record that is looked at is the right one. The index does not say whether a record is in the
//! table: that is in the record's life word.

use core::ops::Range;

#[cfg(not(loom))]
use zerocopy::FromZeros;

use super::entry::Direction;
use super::hash::Place;
use super::prefetch::prefetch;
use crate::sync::{AtomicU64, Ordering};

/// Words of a bucket; fewer under loom, which tries every order of their accesses.
pub(super) const BUCKET_LEN: usize = if cfg!(loom) { 2 } else { 8 };
/// Links of the first bucket from which on the second is considered: see the head of `table.rs`.
const FIRST_BUCKET_LEN: usize = if cfg!(loom) { 1 } else { 5 };

/// The words of all buckets. An array of aligned buckets would say the same, but memory of such an
/// alignment is zeroed by writing, and so takes 28 bytes for each record that may ever come.
pub(super) struct Index {
    words: Box<[AtomicU64]>,
    /// The word at which the first bucket begins: the first of a cache line, or of a huge page if the index has
    /// more than one.
    start: usize,
}

/// One cache line of the index.
struct Bucket<'a>(&'a [AtomicU64; BUCKET_LEN]);

const CACHE_LINE: usize = 64;
/// Bytes of a huge page of `x86_64`, and of `AArch64` with pages of 4 KiB. Elsewhere it is just an alignment.
const HUGE_PAGE: usize = 2 << 20;

#[cfg(not(loom))]
const _: () = assert!(size_of::<[AtomicU64; BUCKET_LEN]>() == CACHE_LINE);

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
        let len = bucket_count as usize * BUCKET_LEN;
        let alignment = if size_of::<AtomicU64>() * len < HUGE_PAGE {
            CACHE_LINE
        } else {
            HUGE_PAGE
        };
        let spare_len = alignment / size_of::<AtomicU64>();
        // Room to begin where a line or page does, and to end where one does.
        let words = unused_words(len + 2 * spare_len);
        let start = words.as_ptr().align_offset(alignment);
        Self {
            start: if start < spare_len { start } else { 0 },
            words,
        }
    }

    /// Returns the addresses of its memory.
    pub(super) fn memory(&self) -> Range<usize> {
        let Range { start, end } = self.words.as_ptr_range();
        start.addr()..end.addr()
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

    #[expect(
        clippy::indexing_slicing,
        reason = "a probe names buckets of this index"
    )]
    #[inline]
    fn bucket(&self, index: u32) -> Bucket<'_> {
        let (buckets, _rest) = self.words[self.start..].as_chunks();
        Bucket(&buckets[index as usize])
    }
}

/// Returns words that take memory only once they are written: see `unused_slots` in `table.rs`.
#[cfg(not(loom))]
fn unused_words(count: usize) -> Box<[AtomicU64]> {
    let zeroed = <[AtomicU64]>::new_box_zeroed_with_elems(count);
    zeroed.unwrap_or_else(|_no_memory| (0..count).map(|_| AtomicU64::new(0)).collect())
}

#[cfg(loom)]
fn unused_words(count: usize) -> Box<[AtomicU64]> {
    (0..count).map(|_| AtomicU64::new(0)).collect()
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
