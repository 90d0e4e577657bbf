//! How neighbours that were found leave the table, and come into another one.

use core::sync::atomic::Ordering;

use tapweave_net::Timestamp;

use super::slot::{Entry, State};
use super::{Neighbors, Place, UNUSED};
use crate::LearnedNeighbor;
use crate::gateway::prefix::{address, bits};

impl Neighbors {
    /// Returns how often a neighbour was new, or somewhere else than before.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    pub(super) fn count_change(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the neighbours that are reachable. Costs next to nothing for a table that has none.
    pub(crate) fn learned(&self) -> Vec<LearnedNeighbor> {
        if self.changes() == 0 {
            return Vec::new();
        }
        let slots = self.slots.iter();
        let entries = slots.filter_map(|slot| Some((slot.read()?, slot.used_at())));
        let reachable = entries.filter(|(entry, _)| entry.state == State::Reachable);
        let learned = reachable.map(|(entry, used)| LearnedNeighbor {
            address: address(entry.bits),
            mac: entry.mac,
            vid: entry.vid,
            heard: entry.since,
            used,
        });
        learned.collect()
    }

    /// Takes in a neighbour of an earlier process; tells whether it is in. It is not if nobody has used it for long, if
    /// there is an entry, and if there is no free place.
    pub(crate) fn restore(&self, neighbor: &LearnedNeighbor, now: Timestamp) -> bool {
        let (heard, used) = (neighbor.heard.min(now), neighbor.used.min(now));
        let bits = bits(neighbor.address);
        if now.since(heard.max(used)) >= UNUSED || self.look(bits).is_some() {
            return false;
        }
        let is_free = |entry: &Entry| entry.state == State::Free;
        let mut slots = self.bucket(bits).iter();
        let Some(slot) = slots.find(|slot| slot.read().is_some_and(|entry| is_free(&entry))) else {
            return false;
        };
        let place = Place {
            mac: neighbor.mac,
            vid: neighbor.vid,
        };
        let mut is_in = false;
        slot.write(used, |entry| {
            if is_free(entry) {
                *entry = Entry::reachable(bits, place, heard);
                is_in = true;
            }
        });
        if is_in {
            self.count_change();
            self.note_use();
        }
        is_in
    }
}
