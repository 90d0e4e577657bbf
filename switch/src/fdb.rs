//! The forwarding database of one network: which station of which VLAN is on which port.
//!
//! It decides what is remembered and for how long; it does not know what ports exist (a listing or a
//! verdict filters ports that are gone), nor what a frame is. The pipeline reads and feeds it from
//! all workers at once, the control side sets and lists it.
//!
//! # Theory of operation
//!
//! The table is an array of [`Bucket`]s of five slots. A key has two buckets, named by two halves of a
//! seeded hash, and may be in either; nothing is ever moved between buckets, so an entry stands still
//! while it lives and a reader needs no retry. The table has one bucket for every two entries of its
//! limit (load at most 0.4), and a key goes into its second bucket only when the first holds three
//! entries and the second fewer. Simulated with 100,000 keys at that load, 90 % stand in their first
//! bucket and none finds both full; so nearly every lookup that hits touches one pair of cache lines.
//!
//! **Reading** takes a few loads and never waits (`bucket.rs` says why it cannot be wrong). An entry
//! that was not refreshed within the ageing time is a miss from that moment on; the sweep only frees
//! its slot.
//!
//! **Learning** reads first and writes only when the station is new, has moved, or was last written
//! longer ago than a second or half the ageing time: the common frame leaves the cache lines shared.
//! A move is one CAS on the slot. An insertion takes the insert right of the key's first bucket with a
//! try-lock, so a key never gets two entries; a worker that finds it taken skips learning this
//! once, and the station's next frame tries again. No worker ever waits for another thread.
//!
//! **Static entries** do not age, move, or give way, as IEEE 802.1Q-2018 §8.8.1 has it and as Linux
//! does for its `sticky` entries. A frame from such a station on another port is forwarded and changes
//! nothing. (Guards that drop it are a matter of the port, not of the table.)
//!
//! **Sticky entries** are learned on ports that say so. They neither age nor move; only the control
//! side and a table that is full take them away, so that a port cannot take more than its share by
//! being sticky.
//!
//! **Full table.** A new station replaces an expired entry or one that its port may take by the rule of
//! `occupancy.rs`. The search looks at the two buckets of the key and at a window of
//! [`WINDOW_LEN`] buckets from a hand that rotates over the table, so that a frame costs bounded
//! work; when it finds nothing the station is not learned and its frames are flooded.

mod bucket;
mod carrying;
mod entry;
mod key;
#[cfg(test)]
#[cfg(loom)]
mod loom_tests;
mod meta;
mod occupancy;
mod owners;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;

use core::time::Duration;
use std::sync::Arc;

use tapweave_net::{MacAddr, PortNo, Timestamp, Vid};

pub(crate) use bucket::Entry;
pub use entry::{FdbEntry, FdbOrigin, FdbUsage};
pub(crate) use key::Probe;
pub(crate) use owners::OwnedCounts;

use bucket::{Bucket, Claim, SLOTS};
use key::{FdbKey, KeyHasher};
use occupancy::Occupancy;

/// Entries of the first bucket from which on the second is considered.
const FIRST_BUCKET_LEN: usize = 3;
/// Entries of the limit for one bucket.
const ENTRIES_PER_BUCKET: u32 = 2;
/// Buckets that one insertion into a full table looks at, besides its own.
const WINDOW_LEN: usize = 8;
/// Longest time for which a station that keeps sending is not written.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// The table of one network. See the head of this file.
pub(crate) struct Fdb {
    buckets: Box<[Bucket]>,
    hasher: KeyHasher,
    ageing: Duration,
    refresh_interval: Duration,
    occupancy: Occupancy,
}

/// What a frame from a station would change in the table.
#[derive(Clone, Copy)]
pub(crate) enum Assessment<'a> {
    /// The table does not learn.
    Off,
    /// Nothing: all is known and fresh.
    Known,
    /// The time of last sight.
    Refresh(Entry<'a>),
    /// The station was forgotten, but its slot is still there.
    Revive(Entry<'a>),
    /// The station has come from another port.
    Move(Entry<'a>),
    /// Nothing: a static or sticky entry says that the station is elsewhere.
    Held(Entry<'a>),
    /// The station is new.
    New,
}

/// What became of learning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Learned {
    /// Nothing had to be written but the time, or another thread was faster.
    Unchanged,
    /// The station has an entry now.
    Added,
    /// The station's entry points to its new port.
    Moved,
    /// There is no place that the port may take.
    Full,
}

/// All entries are static, and they fill the table or the two buckets of the key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TableFull;

/// What a sweep did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sweep {
    /// Entries that had expired and are gone.
    pub(crate) removed: usize,
    /// Buckets that it looked at.
    pub(crate) examined: usize,
    /// Where the next sweep goes on; none at the end of the table.
    pub(crate) next: Option<usize>,
}

impl Fdb {
    /// Slots of a bucket, the unit of [`Fdb::sweep`].
    pub(crate) const BUCKET_LEN: usize = SLOTS;

    /// Returns an empty table of at most `limit` entries, which takes 64 bytes an entry.
    pub(crate) fn new(limit: u32, ageing: Duration, seed: u64, owned: Arc<OwnedCounts>) -> Self {
        let bucket_count = limit.div_ceil(ENTRIES_PER_BUCKET).max(2);
        Self {
            buckets: (0..bucket_count).map(|_| Bucket::new()).collect(),
            hasher: KeyHasher::new(seed, bucket_count),
            ageing,
            refresh_interval: REFRESH_INTERVAL.min(ageing / 2),
            occupancy: Occupancy::new(limit, owned),
        }
    }

    /// Returns what the station `mac` of a VLAN, or of none, is looked up by in this table.
    #[inline]
    pub(crate) fn probe(&self, vid: Option<Vid>, mac: MacAddr) -> Probe {
        self.hasher.probe(FdbKey::new(vid, mac))
    }

    /// Brings the first bucket of a station into the cache. Returns nothing of meaning, but the caller
    /// must pass it to [`core::hint::black_box`] so that the reading is not optimised away.
    #[inline]
    pub(crate) fn touch(&self, probe: Probe) -> u64 {
        self.bucket(probe.buckets[0]).touch()
    }

    /// Returns the port of a station, unless it is unknown or forgotten.
    #[inline]
    pub(crate) fn lookup(&self, probe: Probe, now: Timestamp) -> Option<PortNo> {
        let entry = self.find(probe)?;
        (!self.is_expired(entry, now)).then(|| entry.port())
    }

    /// Returns what a frame from `key` on `port` would change. Changes nothing.
    #[inline]
    pub(crate) fn assess(&self, probe: Probe, port: PortNo, now: Timestamp) -> Assessment<'_> {
        if self.ageing.is_zero() {
            return Assessment::Off;
        }
        let Some(entry) = self.find(probe) else {
            return Assessment::New;
        };
        let age = now.since(entry.seen());
        match entry.origin() {
            FdbOrigin::Static | FdbOrigin::Sticky if entry.port() != port => {
                Assessment::Held(entry)
            }
            FdbOrigin::Learned if age >= self.ageing => Assessment::Revive(entry),
            FdbOrigin::Learned if entry.port() != port => Assessment::Move(entry),
            FdbOrigin::Static | FdbOrigin::Sticky | FdbOrigin::Learned
                if age > self.refresh_interval =>
            {
                Assessment::Refresh(entry)
            }
            FdbOrigin::Static | FdbOrigin::Sticky | FdbOrigin::Learned => Assessment::Known,
        }
    }

    /// Does what [`Fdb::assess`] found for the same key, port and time. A new or moved station gets an
    /// entry of `origin`, which is not static.
    #[inline]
    pub(crate) fn learn(
        &self,
        assessment: Assessment<'_>,
        probe: Probe,
        origin: FdbOrigin,
        port: PortNo,
        now: Timestamp,
    ) -> Learned {
        match assessment {
            Assessment::Off | Assessment::Known | Assessment::Held(_) => Learned::Unchanged,
            Assessment::Refresh(entry) => {
                entry.refresh(now);
                Learned::Unchanged
            }
            Assessment::Revive(entry) | Assessment::Move(entry) => {
                if !self.relocate(entry, origin, port) {
                    return Learned::Unchanged;
                }
                entry.refresh(now);
                if matches!(assessment, Assessment::Move(_)) {
                    Learned::Moved
                } else {
                    Learned::Added
                }
            }
            Assessment::New => self.insert_learned(probe, origin, port, now),
        }
    }

    /// Makes a static entry, or makes the station's entry one.
    ///
    /// A full table gives up a learned entry for it: an expired one, else one of the port that has
    /// most. Control side: looks at the whole table then.
    ///
    /// # Errors
    ///
    /// [`TableFull`] when there is no learned entry to give up.
    pub(crate) fn set_static(
        &self,
        probe: Probe,
        port: PortNo,
        now: Timestamp,
    ) -> Result<(), TableFull> {
        let [first, second] = self.buckets_of(probe);
        let _guard = first.lock();
        while let Some(entry) = self.find(probe) {
            let is_expired = self.is_expired(entry, now);
            if self.relocate(entry, FdbOrigin::Static, port) {
                if is_expired {
                    entry.refresh(now);
                }
                return Ok(());
            }
        }
        loop {
            let has_room = first.len() < SLOTS || second.len() < SLOTS;
            let claim = if has_room && self.occupancy.reserve() {
                let claim = Self::claim_empty(first, second);
                if claim.is_none() {
                    self.occupancy.release();
                }
                claim
            } else if has_room {
                let victim = self.least_useful(&mut self.buckets.iter(), now)?;
                self.evict(victim);
                None
            } else {
                let victim = self.least_useful(&mut [first, second].into_iter(), now)?;
                self.replace(victim)
            };
            // None: a worker was faster, or room has just been made. Look again.
            if let Some(claim) = claim {
                self.publish(claim, probe.key, FdbOrigin::Static, port, now);
                return Ok(());
            }
        }
    }

    /// Tells whether `port` has a static entry for a station.
    pub(crate) fn is_static_at(&self, probe: Probe, port: PortNo) -> bool {
        self.find(probe)
            .is_some_and(|entry| entry.origin() == FdbOrigin::Static && entry.port() == port)
    }

    /// Returns how many entries `port` has learned, expired ones that were not swept yet included.
    pub(crate) fn learned_count(&self, port: PortNo) -> u32 {
        self.occupancy.owned_by(port)
    }

    /// Removes the entry of a station, learned or static; tells whether there was one, expired or not.
    pub(crate) fn remove(&self, probe: Probe) -> bool {
        while let Some(entry) = self.find(probe) {
            if self.evict(entry) {
                return true;
            }
        }
        false
    }

    /// Removes the entries of which `is_doomed` says so, and returns how many there were.
    pub(crate) fn remove_where(&self, is_doomed: impl Fn(FdbOrigin, PortNo) -> bool) -> usize {
        let entries = self.buckets.iter().flat_map(Bucket::entries);
        entries
            .filter(|(_, entry)| is_doomed(entry.origin(), entry.port()) && self.evict(*entry))
            .count()
    }

    /// Frees the slots of entries that have expired, in at most `budget` buckets from `from`.
    pub(crate) fn sweep(&self, from: usize, budget: usize, now: Timestamp) -> Sweep {
        let end = from.saturating_add(budget).min(self.buckets.len());
        let window = self.buckets.get(from..end).unwrap_or_default();
        let entries = window.iter().flat_map(Bucket::entries);
        Sweep {
            removed: entries
                .filter(|(_, entry)| self.is_expired(*entry, now) && self.evict(*entry))
                .count(),
            examined: window.len(),
            next: (end < self.buckets.len()).then_some(end),
        }
    }

    /// Returns the entries that have not expired, in order of MAC and VID.
    pub(crate) fn entries(&self, now: Timestamp) -> Vec<FdbEntry> {
        let mut entries: Vec<_> = self
            .buckets
            .iter()
            .flat_map(Bucket::entries)
            .filter(|(_, entry)| !self.is_expired(*entry, now))
            .map(|(key, entry)| FdbEntry {
                mac: key.mac(),
                vid: key.vid(),
                port: entry.port(),
                origin: entry.origin(),
                age: now.since(entry.seen()),
            })
            .collect();
        entries.sort_unstable_by_key(|entry| (entry.mac, entry.vid, entry.age));
        // A station that was forgotten and learned again meanwhile may have been met in both places.
        entries.dedup_by_key(|entry| (entry.mac, entry.vid));
        entries
    }

    /// Returns how full the table is.
    pub(crate) fn usage(&self) -> FdbUsage {
        self.occupancy.usage()
    }

    fn bucket(&self, index: u32) -> &Bucket {
        &self.buckets[index as usize]
    }

    fn buckets_of(&self, probe: Probe) -> [&Bucket; 2] {
        probe.buckets.map(|index| self.bucket(index))
    }

    #[inline]
    fn find(&self, probe: Probe) -> Option<Entry<'_>> {
        let [first, second] = probe.buckets;
        let found = self.bucket(first).find(probe.key);
        found.or_else(|| self.bucket(second).find(probe.key))
    }

    fn is_expired(&self, entry: Entry<'_>, now: Timestamp) -> bool {
        entry.origin() == FdbOrigin::Learned && now.since(entry.seen()) >= self.ageing
    }

    /// Points `entry` to `port`. Fails when another thread has changed it.
    ///
    /// Here and in [`Fdb::publish`] an entry is counted before others can see and remove it, so that
    /// no count is taken back that was not given yet.
    fn relocate(&self, entry: Entry<'_>, origin: FdbOrigin, port: PortNo) -> bool {
        self.occupancy.arrived(origin, port);
        let done = entry.retarget(origin, port);
        if done {
            self.occupancy.left(entry.origin(), entry.port());
        } else {
            self.occupancy.left(origin, port);
        }
        done
    }

    fn publish(
        &self,
        claim: Claim<'_>,
        key: FdbKey,
        origin: FdbOrigin,
        port: PortNo,
        now: Timestamp,
    ) {
        self.occupancy.arrived(origin, port);
        claim.publish(key, origin, port, now);
    }

    /// Off the common path: kept out of the loop over a batch.
    #[cold]
    fn insert_learned(
        &self,
        probe: Probe,
        origin: FdbOrigin,
        port: PortNo,
        now: Timestamp,
    ) -> Learned {
        let [first, second] = self.buckets_of(probe);
        let Some(_guard) = first.try_lock() else {
            return Learned::Unchanged;
        };
        if self.find(probe).is_some() {
            return Learned::Unchanged;
        }
        let has_room = first.len() < SLOTS || second.len() < SLOTS;
        let claim = if has_room && self.occupancy.reserve() {
            let claim = Self::claim_empty(first, second);
            if claim.is_none() {
                self.occupancy.release();
            }
            claim
        } else {
            self.claim_of_another([first, second], port, now)
        };
        let Some(claim) = claim else {
            return Learned::Full;
        };
        self.publish(claim, probe.key, origin, port, now);
        Learned::Added
    }

    fn claim_empty<'a>(first: &'a Bucket, second: &'a Bucket) -> Option<Claim<'a>> {
        let first_len = first.len();
        let [one, other] = if first_len < FIRST_BUCKET_LEN || first_len <= second.len() {
            [first, second]
        } else {
            [second, first]
        };
        one.claim_empty().or_else(|| other.claim_empty())
    }

    /// Takes a slot of `own` for a key of `port` by removing an entry that `port` may remove: one in
    /// `own`, or one in the window, if `own` has an empty slot to put the key instead.
    fn claim_of_another<'a>(
        &'a self,
        own: [&'a Bucket; 2],
        port: PortNo,
        now: Timestamp,
    ) -> Option<Claim<'a>> {
        let claimant = self.occupancy.claimant(port);
        let rank = |entry: Entry<'_>| match entry.origin() {
            FdbOrigin::Static => None,
            FdbOrigin::Learned if self.is_expired(entry, now) => Some((u32::MAX, Duration::MAX)),
            FdbOrigin::Learned | FdbOrigin::Sticky => {
                let priority = claimant.priority_over(entry.port())?;
                Some((priority, now.since(entry.seen())))
            }
        };
        let best = |buckets: &mut dyn Iterator<Item = &'a Bucket>| {
            buckets
                .flat_map(Bucket::entries)
                .filter_map(|(_, entry)| Some((rank(entry)?, entry)))
                .max_by_key(|(rank, _)| *rank)
        };
        let nearby = best(&mut own.into_iter());
        let count = self.buckets.len();
        let hand = self.occupancy.advance_hand(WINDOW_LEN) % count;
        let window = (hand..hand + WINDOW_LEN.min(count)).map(|index| &self.buckets[index % count]);
        let [first, second] = own;
        let elsewhere = (first.len() < SLOTS || second.len() < SLOTS)
            .then(|| best(&mut { window }))
            .flatten()
            .filter(|(rank, _)| nearby.is_none_or(|(near, _)| near < *rank));
        let Some((_, victim)) = elsewhere else {
            return self.replace(nearby?.1);
        };
        // The room of the removed entry is not given back: it is the new entry's.
        self.replace(victim)?.vacate();
        let claim = Self::claim_empty(first, second);
        if claim.is_none() {
            self.occupancy.release();
        }
        claim
    }

    /// Takes the slot of `victim`, whose room becomes the caller's.
    fn replace<'a>(&self, victim: Entry<'a>) -> Option<Claim<'a>> {
        let claim = victim.claim()?;
        self.occupancy.left(victim.origin(), victim.port());
        Some(claim)
    }

    /// Returns the learned entry to give up for a static one.
    fn least_useful<'a>(
        &self,
        buckets: &mut dyn Iterator<Item = &'a Bucket>,
        now: Timestamp,
    ) -> Result<Entry<'a>, TableFull> {
        let entries = buckets.flat_map(Bucket::entries).map(|(_, entry)| entry);
        entries
            .filter(|entry| entry.origin() != FdbOrigin::Static)
            .max_by_key(|entry| {
                let owned = self.occupancy.owned_by(entry.port());
                (self.is_expired(*entry, now), owned, now.since(entry.seen()))
            })
            .ok_or(TableFull)
    }

    /// Removes an entry; tells whether it was still as it had been read.
    fn evict(&self, entry: Entry<'_>) -> bool {
        let Some(claim) = self.replace(entry) else {
            return false;
        };
        claim.vacate();
        self.occupancy.release();
        true
    }
}
