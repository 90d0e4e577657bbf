//! The word that says what a slot of the arena is, and that every change of it goes through.

/// Generation, phase and state of a slot in one word.
///
/// ```text
///  63                     34 33   32 31                             0
/// +-------------------------+-------+--------------------------------+
/// |       generation        | phase | state, or the next free slot    |
/// +-------------------------+-------+--------------------------------+
/// ```
///
/// ```text
///          fill (generation + 1)      commit (CAS)
///   FREE ──────────────────► PENDING ─────────────► LIVE ──┐ update (CAS)
///    ▲                          │                   │ ▲────┘
///    │                          │ kill (CAS)        │ remove (CAS)
///    │         unlink           ▼                   ▼
///    └───────────────────────── DEAD ◄──────────────┘
/// ```
///
/// - FREE: in a free list, or held by the one thread that took it from there.
/// - PENDING: filled and linked into the index, but not in the table: it may still lose against
///   another record with one of its keys, whose inserter then makes it DEAD.
/// - LIVE: in the table under both of its keys.
/// - DEAD: out of the table under both keys. The thread that must unlink it and free it is the
///   inserter of what was PENDING, and whoever removed what was LIVE.
///
/// Because phase and state are one word, a record is removed only with the state that the remover saw,
/// and the state of a record is never changed after its removal, nor that of the next record in the
/// slot. The generation wraps after 2^30 records in one slot; to take one for another, a thread would
/// have to sleep between two accesses while exactly that many come and go there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Life(u64);

/// What a slot holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    Free,
    Pending,
    Live,
    Dead,
}

const STATE: u64 = u32::MAX as u64;
const PHASE_SHIFT: u32 = 32;
const PHASE: u64 = 0b11 << PHASE_SHIFT;
/// Zero, so that a zeroed slot is free.
const FREE: u64 = 0b00 << PHASE_SHIFT;
const PENDING: u64 = 0b01 << PHASE_SHIFT;
const LIVE: u64 = 0b10 << PHASE_SHIFT;
const DEAD: u64 = 0b11 << PHASE_SHIFT;
const GENERATION_SHIFT: u32 = 34;
const GENERATION: u64 = u64::MAX << GENERATION_SHIFT;

impl Life {
    pub(super) const fn from_word(word: u64) -> Self {
        Self(word)
    }

    pub(super) const fn word(self) -> u64 {
        self.0
    }

    #[inline]
    pub(super) const fn phase(self) -> Phase {
        match self.0 & PHASE {
            FREE => Phase::Free,
            PENDING => Phase::Pending,
            LIVE => Phase::Live,
            _ => Phase::Dead,
        }
    }

    /// Returns the owner's state, or the next of a free slot.
    #[inline]
    pub(super) const fn state(self) -> u32 {
        (self.0 & STATE) as u32
    }

    #[inline]
    pub(super) const fn generation(self) -> u32 {
        (self.0 >> GENERATION_SHIFT) as u32
    }

    /// Tells whether the slot has held the same record in the same phase from `self` to `later`,
    /// whatever its state.
    #[inline]
    pub(super) const fn same_record_as(self, later: Self) -> bool {
        (self.0 ^ later.0) & (GENERATION | PHASE) == 0
    }

    /// Returns what the slot becomes for its next record.
    pub(super) const fn pending(self) -> Self {
        Self((self.0 & GENERATION).wrapping_add(1 << GENERATION_SHIFT) | PENDING)
    }

    pub(super) const fn live(self, state: u32) -> Self {
        Self(self.0 & GENERATION | LIVE | state as u64)
    }

    pub(super) const fn dead(self) -> Self {
        Self(self.0 & (GENERATION | STATE) | DEAD)
    }

    pub(super) const fn free(self, next: u32) -> Self {
        Self(self.0 & GENERATION | FREE | next as u64)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn the_generation_wraps_without_touching_the_rest() {
        let last = Life::from_word(GENERATION).live(u32::MAX);
        assert_eq!((last.phase(), last.state()), (Phase::Live, u32::MAX));
        let next = last.dead().free(7).pending();
        assert_eq!((next.phase(), next.state()), (Phase::Pending, 0));
        assert_eq!((next.generation(), last.generation()), (0, (1 << 30) - 1));
        assert!(!last.same_record_as(next.live(u32::MAX)));
        assert!(last.same_record_as(last.live(3)));
        assert!(!last.same_record_as(last.dead()));
        assert_eq!(last.dead().state(), u32::MAX);
        assert_eq!(Life::from_word(0).phase(), Phase::Free);
    }
}
