//! The maps that an FDB could have been built on, all with the same hash function.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use arc_swap::ArcSwap;
use foldhash::fast::FixedState;

/// A map from a station's address to where and when it was seen, packed by the caller.
pub(crate) trait Table: Send + Sync {
    /// Returns what is known of a station.
    fn find(&self, station: u64) -> Option<u64>;
    /// Stores what is known of a station.
    fn learn(&self, station: u64, seen: u64);
    /// Replaces everything.
    fn fill(&self, stations: &[(u64, u64)]);
}

/// Returns the maps with their names.
pub(crate) fn all() -> [(&'static str, Box<dyn Table>); 6] {
    let hasher = || FixedState::with_seed(0x5eed);
    let empty = || HashMap::with_hasher(hasher());
    [
        ("rwlock", Box::new(RwLock::new(empty()))),
        ("arc-swap", Box::new(ArcSwap::from_pointee(empty()))),
        ("dashmap", Box::new(dashmap::DashMap::with_hasher(hasher()))),
        ("papaya", Box::new(papaya::HashMap::with_hasher(hasher()))),
        ("scc-map", Box::new(scc::HashMap::with_hasher(hasher()))),
        ("scc-index", Box::new(scc::HashIndex::with_hasher(hasher()))),
    ]
}

impl Table for RwLock<HashMap<u64, u64, FixedState>> {
    fn find(&self, station: u64) -> Option<u64> {
        let map = self.read().unwrap_or_else(PoisonError::into_inner);
        map.get(&station).copied()
    }

    fn learn(&self, station: u64, seen: u64) {
        let mut map = self.write().unwrap_or_else(PoisonError::into_inner);
        map.insert(station, seen);
    }

    fn fill(&self, stations: &[(u64, u64)]) {
        let mut map = self.write().unwrap_or_else(PoisonError::into_inner);
        map.clear();
        map.extend(stations.iter().copied());
    }
}

/// Every change copies the map.
impl Table for ArcSwap<HashMap<u64, u64, FixedState>> {
    fn find(&self, station: u64) -> Option<u64> {
        self.load().get(&station).copied()
    }

    fn learn(&self, station: u64, seen: u64) {
        self.rcu(|map| {
            let mut map = HashMap::clone(map);
            map.insert(station, seen);
            map
        });
    }

    fn fill(&self, stations: &[(u64, u64)]) {
        let mut map = HashMap::with_hasher(self.load().hasher().clone());
        map.extend(stations.iter().copied());
        self.store(Arc::new(map));
    }
}

impl Table for dashmap::DashMap<u64, u64, FixedState> {
    fn find(&self, station: u64) -> Option<u64> {
        self.get(&station).map(|seen| *seen)
    }

    fn learn(&self, station: u64, seen: u64) {
        self.insert(station, seen);
    }

    fn fill(&self, stations: &[(u64, u64)]) {
        self.clear();
        for &(station, seen) in stations {
            self.insert(station, seen);
        }
    }
}

impl Table for papaya::HashMap<u64, u64, FixedState> {
    fn find(&self, station: u64) -> Option<u64> {
        self.pin().get(&station).copied()
    }

    fn learn(&self, station: u64, seen: u64) {
        self.pin().insert(station, seen);
    }

    fn fill(&self, stations: &[(u64, u64)]) {
        let map = self.pin();
        map.clear();
        for &(station, seen) in stations {
            map.insert(station, seen);
        }
    }
}

impl Table for scc::HashMap<u64, u64, FixedState> {
    fn find(&self, station: u64) -> Option<u64> {
        self.read_sync(&station, |_, seen| *seen)
    }

    fn learn(&self, station: u64, seen: u64) {
        self.upsert_sync(station, seen);
    }

    fn fill(&self, stations: &[(u64, u64)]) {
        self.clear_sync();
        for &(station, seen) in stations {
            self.upsert_sync(station, seen);
        }
    }
}

/// Entries cannot be changed, only replaced; a station that is new needs no replacing.
impl Table for scc::HashIndex<u64, u64, FixedState> {
    fn find(&self, station: u64) -> Option<u64> {
        self.peek_with(&station, |_, seen| *seen)
    }

    fn learn(&self, station: u64, seen: u64) {
        if let Err((station, seen)) = self.insert_sync(station, seen) {
            self.remove_sync(&station);
            // Another worker may have been faster, and knows as much.
            let _taken = self.insert_sync(station, seen);
        }
    }

    fn fill(&self, stations: &[(u64, u64)]) {
        self.clear_sync();
        for &(station, seen) in stations {
            let _taken = self.insert_sync(station, seen);
        }
    }
}
