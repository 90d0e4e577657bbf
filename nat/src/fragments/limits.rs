//! How much may wait for first fragments, and for how long.

use core::time::Duration;

/// Bounds of virtual reassembly. They hold for each direction of translation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FragmentLimits {
    /// Most packets that are remembered at a time.
    pub datagrams: usize,
    /// Most bytes that are held at a time, with the headroom of each frame.
    pub held_len: usize,
    /// How long a packet is remembered from its first part on. RFC 791 §3.2 proposes 15 seconds, Linux
    /// takes 30, RFC 8200 §4.5 takes 60.
    pub timeout: Duration,
}

impl Default for FragmentLimits {
    fn default() -> Self {
        Self {
            datagrams: 1024,
            held_len: 4 << 20,
            timeout: Duration::from_secs(30),
        }
    }
}

/// Bounds of one shard.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShardLimits {
    pub(super) datagrams: usize,
    pub(super) datagrams_per_source: usize,
    pub(super) held_len: usize,
    pub(super) held_len_per_source: usize,
    pub(super) timeout: Duration,
}

impl FragmentLimits {
    /// Returns the bounds of one of `shard_count` shards. A source may take half of its shard.
    pub(super) fn of_shard(self, shard_count: usize) -> ShardLimits {
        let datagrams = (self.datagrams / shard_count).max(2);
        let held_len = self.held_len / shard_count;
        ShardLimits {
            datagrams,
            datagrams_per_source: datagrams / 2,
            held_len,
            held_len_per_source: held_len / 2,
            timeout: self.timeout,
        }
    }
}
