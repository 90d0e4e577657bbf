//! The slots of a table: where each of them has its words.
//!
//! What every packet needs of a record is two cache lines, which hold all of an IPv4 flow. The rest, half a line,
//! stands apart, so that it does not push the next record out of its lines; it stands near, in the same page as a
//! rule, because looking up another page costs as much as reading a line.
//!
//! ```text
//! +---------+---------+---------+---------+----+----+----+----+
//! |  hot 0  |  hot 1  |  hot 2  |  hot 3  | c0 | c1 | c2 | c3 |  next four …
//! +---------+---------+---------+---------+----+----+----+----+
//!  128 bytes                               32 bytes
//! ```

use core::ops::Range;

use super::slot::{COLD_LEN, HOT_LEN, Slot};
use super::words::Words;

/// Slots that stand together.
const GROUP_SLOTS: usize = 4;
/// Words of their hot parts.
const HOT_WORDS: usize = GROUP_SLOTS * HOT_LEN;
/// Words of a group: ten cache lines.
const GROUP_LEN: usize = GROUP_SLOTS * (HOT_LEN + COLD_LEN);

const _: () = assert!(GROUP_LEN * size_of::<u64>() == 10 * 64);

/// Slots, all free in the beginning.
pub(super) struct Arena {
    words: Words,
    len: usize,
}

impl Arena {
    pub(super) fn new(len: u32) -> Self {
        let len = len as usize;
        Self {
            words: Words::new(len.div_ceil(GROUP_SLOTS) * GROUP_LEN),
            len,
        }
    }

    /// Returns how many slots there are.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Returns the addresses of the memory.
    pub(super) fn memory(&self) -> Range<usize> {
        self.words.memory()
    }

    /// Returns a slot.
    #[inline]
    pub(super) fn get(&self, index: u32) -> Option<Slot<'_>> {
        let index = index as usize;
        let group = self.words.chunk::<GROUP_LEN>(index / GROUP_SLOTS)?;
        let (hot, cold) = group.split_at(HOT_WORDS);
        let place = index % GROUP_SLOTS;
        Some(Slot::new(
            hot.as_chunks().0.get(place)?,
            cold.as_chunks().0.get(place)?,
        ))
    }
}
