//! How what was learned leaves the table, and comes into another one.

use tapweave_net::{PortNo, Timestamp};

use super::{Fdb, FdbOrigin, Probe, SLOTS};
use crate::LearnedStation;

impl Fdb {
    /// Returns how often entries have come, moved and gone: while it is the same, at most ages are not.
    pub(crate) fn changes(&self) -> u64 {
        self.occupancy.changes()
    }

    /// Returns the entries that were learned and have not expired, in no order. Costs next to nothing for a table
    /// that has none.
    pub(crate) fn learned(&self, now: Timestamp) -> Vec<LearnedStation> {
        let usage = self.usage();
        if usage.used <= usage.static_count {
            return Vec::new();
        }
        let entries = self.buckets.iter().flat_map(super::Bucket::entries);
        let learned = entries.filter(|(_, entry)| {
            entry.origin() != FdbOrigin::Static && !self.is_expired(*entry, now)
        });
        let learned = learned.map(|(key, entry)| LearnedStation {
            mac: key.mac(),
            vid: key.vid(),
            port: entry.port(),
            is_sticky: entry.origin() == FdbOrigin::Sticky,
            seen: entry.seen(),
        });
        learned.collect()
    }

    /// Takes in an entry of an earlier process; tells whether it is in. It is not if it has expired, if the station
    /// has an entry, and if another one would have to give way. Control side: waits for other insertions.
    pub(crate) fn restore(
        &self,
        probe: Probe,
        origin: FdbOrigin,
        port: PortNo,
        seen: Timestamp,
        now: Timestamp,
    ) -> bool {
        let seen = seen.min(now);
        let is_over = origin == FdbOrigin::Learned && now.since(seen) >= self.ageing;
        if self.ageing.is_zero() || is_over {
            return false;
        }
        let [first, second] = self.buckets_of(probe);
        let _guard = first.lock();
        let has_room = first.len() < SLOTS || second.len() < SLOTS;
        if self.find(probe).is_some() || !has_room || !self.occupancy.reserve() {
            return false;
        }
        let Some(claim) = Self::claim_empty(first, second) else {
            self.occupancy.release();
            return false;
        };
        self.publish(claim, probe.key, origin, port, seen);
        true
    }
}
