//! How a [`Nat`](crate::Nat) is made.

use core::num::NonZeroU32;

use crate::Timeouts;

/// How a [`Nat`](crate::Nat) is made. Nothing of it changes later; what may change is in
/// [`NatRules`](crate::NatRules).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NatConfig {
    /// Secret of the hashes and of the choice of ports. Random in production, so that nobody can aim at
    /// one bucket of a table or guess the next port (RFC 6056).
    pub seed: u64,
    /// Workers that translate at the same time, at least one. Each has counters of its own.
    pub worker_count: usize,
    /// Most flows and mappings together. Each takes 200 bytes at most, taken at once.
    pub flow_limit: u32,
    /// How long state is kept without traffic.
    pub timeouts: Timeouts,
    /// What each sandbox may have.
    pub limits: Limits,
}

/// What each sandbox, told by its address, may have. No limit for `None`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// Most flows at a time that the sandbox opened itself.
    pub flows: Option<NonZeroU32>,
    /// Most new flows a second; a sandbox that was quiet may open a second's worth at once.
    pub new_flows_per_second: Option<NonZeroU32>,
}
