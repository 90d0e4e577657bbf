//! The counters of a port.
//!
//! Each worker has a shard of its own, so no cache line is written by two workers and a count is a
//! load and a store, not a locked addition. A reader adds the shards up; it may see a batch that is
//! half counted, never a count that is wrong for good.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::DropReason;

/// The counters of one port since it was added.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortStats {
    /// Frames that came in from the port, dropped ones included.
    pub rx_frames: u64,
    /// Bytes of those frames.
    pub rx_bytes: u64,
    /// Frames that went out to the port.
    pub tx_frames: u64,
    /// Bytes of those frames.
    pub tx_bytes: u64,
    /// Dropped frames, by [`DropReason::index`].
    pub drops: [u64; DropReason::COUNT],
    /// Stations that were found on the port and were on none or forgotten before.
    pub fdb_learned: u64,
    /// Stations that moved to the port from another one.
    pub fdb_moves: u64,
    /// Frames whose source was not learned because the port has its share of a full FDB. They are
    /// forwarded all the same.
    pub fdb_full: u64,
    /// Reports of group memberships that did not all fit the multicast database. The port gets all groups
    /// instead.
    pub mdb_full: u64,
    /// Messages of IGMP and MLD that were not believed: malformed, or not from the link. They are
    /// forwarded all the same.
    pub mdb_invalid: u64,
    /// Questions for neighbours from the port that were answered in their place.
    pub neighbors_answered: u64,
    /// Questions for neighbours from the port that were flooded, because the answer was not known or not to be
    /// told. Counted where suppression is on.
    pub neighbors_flooded: u64,
    /// Messages from the port that said of an address which was about to be given away that it is in use.
    pub address_conflicts: u64,
    /// ICMP errors that the gateway sent to the port.
    pub icmp_errors: u64,
    /// ICMP errors that the gateway did not send to the port, because there were too many.
    pub icmp_suppressed: u64,
}

impl PortStats {
    /// Nothing counted.
    const ZERO: Self = Self {
        rx_frames: 0,
        rx_bytes: 0,
        tx_frames: 0,
        tx_bytes: 0,
        drops: [0; DropReason::COUNT],
        fdb_learned: 0,
        fdb_moves: 0,
        fdb_full: 0,
        mdb_full: 0,
        mdb_invalid: 0,
        neighbors_answered: 0,
        neighbors_flooded: 0,
        address_conflicts: 0,
        icmp_errors: 0,
        icmp_suppressed: 0,
    };

    /// Returns the dropped frames of `reason`.
    pub const fn dropped(&self, reason: DropReason) -> u64 {
        self.drops[reason.index()]
    }
}

impl Default for PortStats {
    fn default() -> Self {
        Self::ZERO
    }
}

/// One worker's part of a port's counters. Written by that worker only.
///
/// Aligned to two cache lines, because the hardware fetches lines in pairs.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct Shard {
    pub(crate) rx_frames: Counter,
    pub(crate) rx_bytes: Counter,
    pub(crate) tx_frames: Counter,
    pub(crate) tx_bytes: Counter,
    pub(crate) fdb_learned: Counter,
    pub(crate) fdb_moves: Counter,
    pub(crate) fdb_full: Counter,
    pub(crate) mdb_full: Counter,
    pub(crate) mdb_invalid: Counter,
    pub(crate) neighbors_answered: Counter,
    pub(crate) neighbors_flooded: Counter,
    pub(crate) address_conflicts: Counter,
    pub(crate) icmp_errors: Counter,
    pub(crate) icmp_suppressed: Counter,
    drops: DropCounters,
}

/// A counter for each [`DropReason`].
struct DropCounters([Counter; DropReason::COUNT]);

impl Default for DropCounters {
    fn default() -> Self {
        Self(core::array::from_fn(|_| Counter::default()))
    }
}

impl Shard {
    /// Counts a dropped frame.
    pub(crate) fn count_drop(&self, reason: DropReason) {
        self.count_drops(reason, 1);
    }

    /// Counts dropped frames.
    pub(crate) fn count_drops(&self, reason: DropReason, count: u64) {
        self.drops.0[reason.index()].add(count);
    }
}

/// A count that one thread increases and any thread reads; or several, where all of them do it by
/// [`Counter::add_shared`].
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds `count`. Relaxed, because no other memory is found through a count.
    pub(crate) fn add(&self, count: u64) {
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(before.wrapping_add(count), Ordering::Relaxed);
    }

    /// Adds `count` where other threads add as well.
    pub(crate) fn add_shared(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of one port, a shard a worker, one for the control side and one for the services of the gateway.
pub(crate) struct PortCounters {
    shards: Box<[Shard]>,
}

impl PortCounters {
    /// Returns zeroes for `worker_count` workers, the control side and the services.
    pub(crate) fn new(worker_count: usize) -> Self {
        Self {
            shards: (0..worker_count + 2).map(|_| Shard::default()).collect(),
        }
    }

    /// Returns the shard of `worker`, which is below the worker count that was given to `new`.
    pub(crate) fn shard(&self, worker: usize) -> &Shard {
        &self.shards[worker]
    }

    /// Returns the shard of the control side, of which one thread counts at a time.
    pub(crate) fn control_shard(&self) -> &Shard {
        &self.shards[self.shards.len() - 2]
    }

    /// Returns the shard of the services, of which several threads count.
    pub(crate) fn service_shard(&self) -> &Shard {
        &self.shards[self.shards.len() - 1]
    }

    /// Returns the sums over the workers.
    pub(crate) fn total(&self) -> PortStats {
        let mut total = PortStats::default();
        for shard in &self.shards {
            total.rx_frames += shard.rx_frames.value();
            total.rx_bytes += shard.rx_bytes.value();
            total.tx_frames += shard.tx_frames.value();
            total.tx_bytes += shard.tx_bytes.value();
            total.fdb_learned += shard.fdb_learned.value();
            total.fdb_moves += shard.fdb_moves.value();
            total.fdb_full += shard.fdb_full.value();
            total.mdb_full += shard.mdb_full.value();
            total.mdb_invalid += shard.mdb_invalid.value();
            total.neighbors_answered += shard.neighbors_answered.value();
            total.neighbors_flooded += shard.neighbors_flooded.value();
            total.address_conflicts += shard.address_conflicts.value();
            total.icmp_errors += shard.icmp_errors.value();
            total.icmp_suppressed += shard.icmp_suppressed.value();
            for (sum, count) in total.drops.iter_mut().zip(&shard.drops.0) {
                *sum += count.value();
            }
        }
        total
    }
}
