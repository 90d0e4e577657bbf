//! Having the records of a batch on their way from memory before the first is needed.
//!
//! A lookup reads a bucket of the index and then a record. In a large table neither is in a cache, and the
//! second is found by the first: a packet waits for memory twice. A processor can have many reads under way
//! at once, if it sees them in time; it looks a few hundred instructions ahead, which is less than one packet
//! takes. So a batch is gone through in steps of few instructions a packet, each of which only needs what
//! the step before has brought.
//!
//! Reads whose values nobody needs stand in for prefetch instructions, which have no safe form. All of it is
//! a hint: what is found here decides nothing, and a record that has come or gone meanwhile costs time only.

use core::hint::black_box;

use super::PairTable;
use super::hash::Place;
use super::slot::Slot;
use super::tuple::Tuple;

/// Keys that go through the steps together: what is read for them, about 6 lines each, fits half of the
/// first-level cache.
const GROUP_LEN: usize = 32;

/// Records in use from which on it is worth while. Fewer are in the second-level cache with their part of
/// the index: less than 400 kB.
const WORTH_WHILE: u32 = 2048;

impl PairTable {
    /// Brings the records of these keys into the processor's cache, where there are any. Changes nothing.
    #[inline]
    pub fn read_ahead(&self, mut keys: impl Iterator<Item = Tuple>) {
        if self.spare.used() < WORTH_WHILE {
            return;
        }
        loop {
            let mut places = [Place::NONE; GROUP_LEN];
            let mut count = 0;
            for (place, key) in places.iter_mut().zip(&mut keys) {
                *place = self.hasher.probe(&key).place;
                count += 1;
            }
            self.read_group(&places[..count]);
            if count < GROUP_LEN {
                return;
            }
        }
    }

    fn read_group(&self, places: &[Place]) {
        let mut read = 0;
        for place in places {
            read ^= self.index.touch(*place);
        }
        let mut slots = [None; GROUP_LEN];
        for (slot, place) in slots.iter_mut().zip(places) {
            let link = self.index.find_map(*place, Some);
            *slot = link.and_then(|link| self.slots.get(link.slot() as usize));
        }
        for slot in slots.iter().flatten() {
            read ^= Slot::touch(slot);
        }
        black_box(read);
    }
}
