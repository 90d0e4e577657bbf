//! What NAT has counted.
//!
//! Each worker has a shard of its own, so no cache line is written by two workers and a count is a
//! load and a store. A reader adds the shards up.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::NatDrop;

/// What happened since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NatStats {
    /// Packets that were translated.
    pub translated: u64,
    /// Mappings that were made: each claimed an external port or ICMP identifier.
    pub mappings_added: u64,
    /// Mappings that lost their port to new ones, because no port was free and none of their flows was
    /// established.
    pub mappings_yielded: u64,
    /// Flows that were made.
    pub flows_added: u64,
    /// Flows that gave way to others because the table was full.
    pub flows_evicted: u64,
    /// TCP segments outside of the window of their connection. They are forwarded and change no state.
    pub tcp_out_of_window: u64,
    /// Dropped packets, by [`NatDrop::index`].
    pub drops: [u64; NatDrop::COUNT],
}

impl NatStats {
    /// Returns the dropped packets of `reason`.
    pub const fn dropped(&self, reason: NatDrop) -> u64 {
        self.drops[reason.index()]
    }
}

/// The counters of every worker.
#[derive(Debug)]
pub(crate) struct Counters {
    shards: Box<[Shard]>,
}

/// One worker's counters, written by that worker only.
///
/// Aligned to two cache lines, because the hardware fetches lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Shard {
    pub(crate) translated: Counter,
    pub(crate) mappings_added: Counter,
    pub(crate) mappings_yielded: Counter,
    pub(crate) flows_added: Counter,
    pub(crate) flows_evicted: Counter,
    pub(crate) tcp_out_of_window: Counter,
    drops: [Counter; NatDrop::COUNT],
}

/// A count that one thread increases and any thread reads.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds one. Relaxed, because no other memory is found through a count.
    pub(crate) fn add_one(&self) {
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(before.wrapping_add(1), Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Shard {
    /// Counts a dropped packet.
    pub(crate) fn count_drop(&self, reason: NatDrop) {
        self.drops[reason.index()].add_one();
    }
}

impl Counters {
    /// Returns zeroes for `worker_count` workers, at least one.
    pub(crate) fn new(worker_count: usize) -> Self {
        Self {
            shards: (0..worker_count.max(1)).map(|_| Shard::default()).collect(),
        }
    }

    /// Returns the shard of `worker`. A number beyond the count that was given to `new` shares one,
    /// which loses counts, not packets.
    pub(crate) fn shard(&self, worker: usize) -> &Shard {
        &self.shards[worker % self.shards.len()]
    }

    /// Returns the sums over the workers.
    pub(crate) fn total(&self) -> NatStats {
        let mut total = NatStats::default();
        for shard in &self.shards {
            total.translated += shard.translated.value();
            total.mappings_added += shard.mappings_added.value();
            total.mappings_yielded += shard.mappings_yielded.value();
            total.flows_added += shard.flows_added.value();
            total.flows_evicted += shard.flows_evicted.value();
            total.tcp_out_of_window += shard.tcp_out_of_window.value();
            for (sum, count) in total.drops.iter_mut().zip(&shard.drops) {
                *sum += count.value();
            }
        }
        total
    }
}
