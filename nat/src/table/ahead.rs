//! Having the records of a batch on their way from memory before the first is needed.
//!
//! A lookup reads a bucket of the index and then a record. In a large table neither is in a cache, and the
//! second is found by the first: a packet waits for memory twice. A processor can have many reads under way
//! at once, if it sees them in time; it looks a few hundred instructions ahead, which is less than one packet
//! takes. So a batch is gone through in steps of few instructions a packet, each of which only needs what
//! the step before has asked for.
//!
//! What is found on the way is kept as a [`Hint`], so that no key is hashed twice. All of it decides nothing: a
//! record that has come or gone meanwhile costs time only.

use super::PairTable;
use super::hash::Place;
use super::hint::Hint;
use super::slot::Parts;
use super::tuple::Tuple;

/// Keys that go through the steps together: what is read for them, about 6 lines each, fits half of the
/// first-level cache.
const GROUP_LEN: usize = 32;

impl PairTable {
    /// Brings the records of these keys into the processor's cache, where there are any, and adds to `hints` for
    /// each of them, in their order, where it is. Changes nothing else.
    #[inline]
    pub fn read_ahead(&self, mut keys: impl Iterator<Item = Option<Tuple>>, hints: &mut Vec<Hint>) {
        loop {
            let mut places = [None; GROUP_LEN];
            let (mut count, mut parts) = (0, Parts::Hot);
            for (place, key) in places.iter_mut().zip(&mut keys) {
                if let Some(key) = key {
                    let probe = self.hasher.probe(&key);
                    self.index.prefetch(probe.place);
                    *place = Some(probe.place);
                    if probe.key.has_highs() {
                        parts = Parts::All;
                    }
                }
                count += 1;
            }
            hints.extend(places[..count].iter().map(|place| self.read(*place, parts)));
            if count < GROUP_LEN {
                return;
            }
        }
    }

    /// Reads the bucket of a key, and has these parts of its record brought into the cache.
    #[inline]
    fn read(&self, place: Option<Place>, parts: Parts) -> Hint {
        let link = place.and_then(|place| self.index.find_map(place, Some));
        if let Some(slot) = link.and_then(|link| self.slots.get(link.slot())) {
            slot.prefetch(parts);
        }
        Hint::new(link)
    }
}
