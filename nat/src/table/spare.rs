//! Which slots of the arena are free.
//!
//! A slot that was never used is taken from the end of the used part, so that a table takes no more
//! memory than it needs; one that was used comes back through a free list, linked through the life
//! words. There are several lists, so that workers do not meet at one word. A list's head carries a
//! count of its changes: who was delayed between reading the head's next slot and taking the head notices
//! that the list has changed, even if the same slot is in front again.

use super::arena::Arena;
use super::life::Phase;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Count of free lists: more than workers, so that two seldom have the same one at the same moment.
const LISTS: usize = if cfg!(loom) { 1 } else { 16 };

/// The free slots of an arena.
pub(super) struct Spare {
    lists: [List; LISTS],
    /// Slots that have been used, from the start of the arena.
    used: AtomicU32,
}

/// Alone in a pair of cache lines: hardware fetches them together.
#[repr(align(128))]
struct List {
    /// The first free slot plus one, zero for none; above it the count of changes.
    head: AtomicU64,
    len: AtomicU32,
}

impl Spare {
    pub(super) fn new() -> Self {
        Self {
            lists: core::array::from_fn(|_| List {
                head: AtomicU64::new(0),
                len: AtomicU32::new(0),
            }),
            used: AtomicU32::new(0),
        }
    }

    /// Returns how many slots have been used; those at and after this index are untouched.
    pub(super) fn used(&self) -> u32 {
        self.used.load(Ordering::Acquire)
    }

    /// Returns how many slots are in use; exact while no other thread is at work.
    pub(super) fn taken(&self) -> u32 {
        let free: u32 = self
            .lists
            .iter()
            .map(|list| list.len.load(Ordering::Relaxed))
            .fold(0, u32::wrapping_add);
        self.used().saturating_sub(free)
    }

    /// Takes a free slot, which the caller then holds. `hint` chooses the list.
    pub(super) fn take(&self, slots: &Arena, hint: u32) -> Option<u32> {
        let own = hint as usize % LISTS;
        self.lists[own]
            .pop(slots)
            .or_else(|| self.take_unused(slots))
            .or_else(|| {
                let others = (own + 1..own + LISTS).map(|index| &self.lists[index % LISTS]);
                others.into_iter().find_map(|list| list.pop(slots))
            })
    }

    /// Gives back a slot that the caller holds.
    pub(super) fn give_back(&self, slots: &Arena, index: u32, hint: u32) {
        self.lists[hint as usize % LISTS].push(slots, index);
    }

    fn take_unused(&self, slots: &Arena) -> Option<u32> {
        self.used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                ((used as usize) < slots.len()).then_some(used + 1)
            })
            .ok()
    }
}

impl List {
    fn pop(&self, slots: &Arena) -> Option<u32> {
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            let index = first(head)?;
            let life = slots.get(index)?.life();
            let taken = if life.phase() == Phase::Free {
                let new = successor(head, life.state());
                self.head
                    .compare_exchange(head, new, Ordering::AcqRel, Ordering::Acquire)
            } else {
                // Another thread took it in between.
                Err(self.head.load(Ordering::Acquire))
            };
            match taken {
                Ok(_) => {
                    self.len.fetch_sub(1, Ordering::Relaxed);
                    return Some(index);
                }
                Err(now) => head = now,
            }
        }
    }

    fn push(&self, slots: &Arena, index: u32) {
        let Some(slot) = slots.get(index) else {
            return;
        };
        self.len.fetch_add(1, Ordering::Relaxed);
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            slot.set_free((head & FIRST) as u32);
            let new = successor(head, index + 1);
            match self
                .head
                .compare_exchange(head, new, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }
}

/// The bits of a head that name a slot.
const FIRST: u64 = u32::MAX as u64;

const fn first(head: u64) -> Option<u32> {
    ((head & FIRST) as u32).checked_sub(1)
}

const fn successor(head: u64, first: u32) -> u64 {
    (head & !FIRST).wrapping_add(1 << 32) | first as u64
}
