//! Which record gives way when there is no room.

use tapweave_net::Timestamp;

use super::PairTable;
use super::entry::Entry;
use super::record::Record;
use crate::sync::Ordering;

/// Slots that one insertion into a full table looks at.
const WINDOW_LEN: u32 = 32;

impl PairTable {
    /// Returns the least wanted record of a window that goes round the table.
    pub(super) fn next_victim(&self, now: Timestamp) -> Option<Record<'_>> {
        let used = self.spare.used();
        let start = self
            .eviction_hand
            .fetch_add(WINDOW_LEN, Ordering::Relaxed)
            .checked_rem(used)?;
        let window = (start..used).chain(0..start).take(WINDOW_LEN as usize);
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
