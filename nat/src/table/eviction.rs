//! Which record gives way when there is no room.

use tapweave_net::Timestamp;

use super::PairTable;
use super::entry::Entry;
use super::record::Record;
use crate::sync::Ordering;

/// Slots that one insertion into a full table looks at.
const WINDOW_LEN: u32 = 32;

/// How far apart they are: a prime larger than the largest table, near its product with the golden ratio,
/// so that the slots of a window lie all over the table and the windows after it in between.
const STRIDE: u64 = 108_586_321;

impl PairTable {
    /// Returns the least wanted record of a window that goes round the table. Neighbouring slots were often
    /// filled at the same time and by the same kind of traffic, so a window takes none of them: next to
    /// many records that may not give way, it would find no other.
    pub(super) fn next_victim(&self, now: Timestamp) -> Option<Record<'_>> {
        let used = self.spare.used();
        let start = self.eviction_hand.fetch_add(WINDOW_LEN, Ordering::Relaxed);
        let window = (0..WINDOW_LEN).filter_map(|step| {
            let place = u64::from(start.wrapping_add(step)) * STRIDE;
            u32::try_from(place.checked_rem(used.into())?).ok()
        });
        self.least_wanted(window, now)
    }

    /// Returns a record that is expired or, if there is none, the one that will be first of those that
    /// may give way.
    pub(super) fn least_wanted(
        &self,
        slots: impl Iterator<Item = u32>,
        now: Timestamp,
    ) -> Option<Record<'_>> {
        let mut found: Option<Record<'_>> = None;
        for record in slots.filter_map(|index| self.live(index)) {
            if record.slot.is_expired(record.life, now) {
                return Some(record);
            }
            let may_give_way = record.state() & (Entry::KEPT | Entry::ASSURED) == 0;
            if may_give_way && found.is_none_or(|found| record.expires() < found.expires()) {
                found = Some(record);
            }
        }
        found
    }
}
