//! Which slots have changed since somebody last asked: what a journal of the table is written from.
//!
//! A bit a slot, and above that a bit for each word of these, so that asking takes a load for each 4,096 slots when
//! nothing has changed. A slot that changes often is told once. Nothing is ever lost, and nothing has to be bounded.
//!
//! Whoever changes a slot marks it *after* that, the lower bit before the upper one; who asks takes the upper bits
//! before the lower ones, and reads the slots after that. All four are read-modify-writes, so of a mark and the taking
//! of its word one comes first: either the taker reads the slot as it was changed, or the mark is there the next time.

use crate::sync::{AtomicU64, Ordering};

/// Bits of a word.
const BITS: u32 = u64::BITS;

/// A set of slots.
pub(super) struct Marks {
    /// A bit a slot.
    slots: Box<[AtomicU64]>,
    /// A bit for each word of `slots` that may not be zero.
    words: Box<[AtomicU64]>,
}

impl Marks {
    /// Returns a set of slots below `len`, without any.
    pub(super) fn new(len: u32) -> Self {
        let zeros = |count: u32| (0..count).map(|_| AtomicU64::new(0)).collect();
        let word_count = len.div_ceil(BITS);
        Self {
            slots: zeros(word_count),
            words: zeros(word_count.div_ceil(BITS)),
        }
    }

    /// Adds a slot. Two locked operations: not for every packet.
    pub(super) fn add(&self, slot: u32) {
        let (word, bit) = (slot / BITS, slot % BITS);
        let (upper, upper_bit) = (word / BITS, word % BITS);
        if let (Some(word), Some(upper)) = (
            self.slots.get(word as usize),
            self.words.get(upper as usize),
        ) {
            word.fetch_or(1 << bit, Ordering::AcqRel);
            upper.fetch_or(1 << upper_bit, Ordering::AcqRel);
        }
    }

    /// Takes slots out of the set and gives each to `take`; stops at the first word after `budget` of them, and leaves
    /// the rest. Tells how many it were.
    pub(super) fn take(&self, budget: usize, mut take: impl FnMut(u32)) -> usize {
        let mut count = 0;
        for (upper, upper_index) in self.words.iter().zip(0..) {
            if upper.load(Ordering::Relaxed) == 0 {
                continue;
            }
            let mut taken = Bits(upper.swap(0, Ordering::AcqRel));
            while let Some(bit) = taken.next() {
                if count >= budget {
                    upper.fetch_or(taken.0 | 1 << bit, Ordering::AcqRel);
                    return count;
                }
                let word = upper_index * BITS + bit;
                let slots = self.slots.get(word as usize);
                let slots = slots.map_or(0, |slots| slots.swap(0, Ordering::AcqRel));
                for bit in Bits(slots) {
                    take(word * BITS + bit);
                    count += 1;
                }
            }
        }
        count
    }

    /// Tells whether there may be any.
    pub(super) fn is_any(&self) -> bool {
        let mut words = self.words.iter();
        words.any(|word| word.load(Ordering::Relaxed) != 0)
    }
}

/// The numbers of the bits that are set, the lowest first.
struct Bits(u64);

impl Iterator for Bits {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let bit = self.0.trailing_zeros();
        self.0 &= self.0.wrapping_sub(1);
        (bit < BITS).then_some(bit)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;

    fn taken(marks: &Marks, budget: usize) -> Vec<u32> {
        let mut slots = Vec::new();
        let count = marks.take(budget, |slot| slots.push(slot));
        assert_eq!(count, slots.len());
        slots
    }

    proptest! {
        #[test]
        fn what_was_added_is_taken_once(
            slots in btree_set(0_u32..20_000, 0..300),
            budget in 1_usize..100,
        ) {
            let marks = Marks::new(20_000);
            assert!(!marks.is_any());
            for &slot in &slots {
                marks.add(slot);
                marks.add(slot);
            }
            let mut found = Vec::new();
            while marks.is_any() {
                let some = taken(&marks, budget);
                // A word is taken whole.
                prop_assert!(some.len() < budget + BITS as usize);
                found.extend(some);
            }
            prop_assert_eq!(found.len(), slots.len());
            prop_assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), slots);
        }
    }

    #[test]
    fn the_last_slot_is_one_and_what_is_beyond_is_none() {
        let marks = Marks::new(65);
        marks.add(64);
        marks.add(128);
        assert_eq!(taken(&marks, 10), [64]);
        assert_eq!(taken(&marks, 10), []);
    }
}
