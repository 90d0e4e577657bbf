//! How a [`Nat`](crate::Nat) is made.

use core::num::NonZeroU32;

use crate::Timeouts;
use crate::fragments::FragmentLimits;

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
    /// What each sandbox may have that has no [limits of its own](crate::Limited).
    pub limits: Limits,
    /// How many fragments may wait for the first one of their packet.
    pub fragments: FragmentLimits,
}

impl NatConfig {
    /// Flows and mappings that there is room for unless somebody says otherwise: 24 MB.
    pub const DEFAULT_FLOW_LIMIT: u32 = 1 << 17;

    /// Returns the defaults. One sandbox may have half of the table: a quarter as many flows as there are
    /// places, each with a mapping of its own.
    pub fn new(seed: u64, worker_count: usize) -> Self {
        Self {
            seed,
            worker_count,
            flow_limit: Self::DEFAULT_FLOW_LIMIT,
            timeouts: Timeouts::default(),
            limits: Limits {
                flows: NonZeroU32::new(Self::DEFAULT_FLOW_LIMIT / 4),
                new_flows_per_second: None,
            },
            fragments: FragmentLimits::default(),
        }
    }
}

/// What each sandbox, told by its address, may have. No limit for `None`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// Most flows at a time that the sandbox opened itself.
    pub flows: Option<NonZeroU32>,
    /// Most new flows a second; a sandbox that was quiet may open a second's worth at once.
    pub new_flows_per_second: Option<NonZeroU32>,
}
