//! The maps that the table of flows could have been built on, all with the same hash function.
//!
//! A flow is found under two keys, so each map holds it twice, behind a shared pointer. They do
//! the least that makes sense: they check both keys when a flow comes, but not as one step, have no
//! expiry and no limit.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::quality::FixedState;
use tapweave_nat::table::{Direction, Entry, Insert, PairTable, Tuple};

use crate::NOW;

/// A table of flows.
pub(crate) trait Flows: Send + Sync {
    /// Counts a packet of the flow that has a key and returns the keys that it leaves with.
    fn translate(&self, key: &Tuple) -> Option<Tuple>;
    /// Adds a flow; tells whether both of its keys were free.
    fn insert(&self, flow: &Entry) -> bool;
    /// Takes a flow away.
    fn remove(&self, flow: &Entry);
}

/// Returns the tables with their names, each with room for `capacity` flows.
pub(crate) fn all(capacity: u32) -> [(&'static str, Box<dyn Flows>); 4] {
    let hasher = || FixedState::with_seed(0x5eed);
    [
        (
            "tapweave",
            Box::new(PairTable::new(capacity, 0x5eed)) as Box<dyn Flows>,
        ),
        ("dashmap", Box::new(dashmap::DashMap::with_hasher(hasher()))),
        ("papaya", Box::new(papaya::HashMap::with_hasher(hasher()))),
        ("mutexes", Box::new(Sharded::new(hasher()))),
    ]
}

impl Flows for PairTable {
    fn translate(&self, key: &Tuple) -> Option<Tuple> {
        let (record, direction) = self.find(key, NOW)?;
        record.count(direction, 1, 100);
        record.tuple(direction.opposite())
    }

    fn insert(&self, flow: &Entry) -> bool {
        matches!(Self::insert(self, NOW, flow, |_gone| {}), Insert::Added(_))
    }

    fn remove(&self, flow: &Entry) {
        if let Some((record, _)) = self.find(&flow.original, NOW) {
            record.remove();
        }
    }
}

/// What the maps hold.
pub(crate) struct Flow {
    keys: [Tuple; 2],
    counts: [[AtomicU64; 2]; 2],
    /// State, expiry and words of the owner, so that all are of one size.
    _rest: [AtomicU64; 6],
}

impl Flow {
    fn new(entry: &Entry) -> Arc<Self> {
        Arc::new(Self {
            keys: [entry.original, entry.reply],
            counts: Default::default(),
            _rest: Default::default(),
        })
    }

    fn pass(&self, key: &Tuple) -> Tuple {
        let direction = if self.keys[0] == *key {
            Direction::Original
        } else {
            Direction::Reply
        };
        for (count, more) in self.counts[direction.index()].iter().zip([1, 100]) {
            count.store(count.load(Ordering::Relaxed) + more, Ordering::Relaxed);
        }
        self.keys[direction.opposite().index()]
    }
}

impl Flows for dashmap::DashMap<Tuple, Arc<Flow>, FixedState> {
    fn translate(&self, key: &Tuple) -> Option<Tuple> {
        self.get(key).map(|flow| flow.pass(key))
    }

    fn insert(&self, entry: &Entry) -> bool {
        use dashmap::Entry::{Occupied, Vacant};
        let flow = Flow::new(entry);
        match self.entry(entry.original) {
            Occupied(_) => return false,
            Vacant(vacant) => drop(vacant.insert(Arc::clone(&flow))),
        }
        match self.entry(entry.reply) {
            Occupied(_) => {}
            Vacant(vacant) => {
                vacant.insert(flow);
                return true;
            }
        }
        self.remove(&entry.original);
        false
    }

    fn remove(&self, entry: &Entry) {
        self.remove(&entry.original);
        self.remove(&entry.reply);
    }
}

impl Flows for papaya::HashMap<Tuple, Arc<Flow>, FixedState> {
    fn translate(&self, key: &Tuple) -> Option<Tuple> {
        self.pin().get(key).map(|flow| flow.pass(key))
    }

    fn insert(&self, entry: &Entry) -> bool {
        let map = self.pin();
        let flow = Flow::new(entry);
        if map.try_insert(entry.original, Arc::clone(&flow)).is_err() {
            return false;
        }
        if map.try_insert(entry.reply, flow).is_ok() {
            return true;
        }
        map.remove(&entry.original);
        false
    }

    fn remove(&self, entry: &Entry) {
        let map = self.pin();
        map.remove(&entry.original);
        map.remove(&entry.reply);
    }
}

type Map = HashMap<Tuple, Arc<Flow>, FixedState>;

/// 64 maps, each behind a lock of its own.
struct Sharded {
    hasher: FixedState,
    shards: Box<[Mutex<Map>]>,
}

impl Sharded {
    const SHARDS: usize = 64;

    fn new(hasher: FixedState) -> Self {
        let shard = || Mutex::new(HashMap::with_hasher(hasher.clone()));
        Self {
            shards: std::iter::repeat_with(shard).take(Self::SHARDS).collect(),
            hasher,
        }
    }

    /// The map chooses by the hash's upper and lowest bits, so the shard is chosen by others.
    fn shard(&self, key: &Tuple) -> MutexGuard<'_, Map> {
        let [.., byte, _, _] = self.hasher.hash_one(key).to_be_bytes();
        self.shards[usize::from(byte) % Self::SHARDS]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flows for Sharded {
    fn translate(&self, key: &Tuple) -> Option<Tuple> {
        self.shard(key).get(key).map(|flow| flow.pass(key))
    }

    fn insert(&self, entry: &Entry) -> bool {
        use std::collections::hash_map::Entry::{Occupied, Vacant};
        let flow = Flow::new(entry);
        match self.shard(&entry.original).entry(entry.original) {
            Occupied(_) => return false,
            Vacant(vacant) => drop(vacant.insert(Arc::clone(&flow))),
        }
        match self.shard(&entry.reply).entry(entry.reply) {
            Occupied(_) => {}
            Vacant(vacant) => {
                vacant.insert(flow);
                return true;
            }
        }
        self.shard(&entry.original).remove(&entry.original);
        false
    }

    fn remove(&self, entry: &Entry) {
        self.shard(&entry.original).remove(&entry.original);
        self.shard(&entry.reply).remove(&entry.reply);
    }
}
