//! Address management: which subnet a network gets, and which address an endpoint gets.
//!
//! The crate is a value without I/O, clock or randomness. The caller says what the host uses already
//! ([`DefaultPools::choose`]), brings random bits where they are needed ([`ula_prefix`]) and keeps one
//! [`NetworkAddresses`] for each network.
//!
//! # Theory of operation
//!
//! Addresses are handled as numbers, so that one code serves IPv4 and IPv6. What is free in a range is
//! kept as a set of intervals, what is leased as a map; both grow with the number of leases and not
//! with the size of the range, so a /8 and a /64 cost what a /24 costs, and every operation takes
//! logarithmic time at any fill level. A released address rests in a queue. Whoever had it gets it
//! again; others get it only when nothing else is free or thousands were released after it, so that
//! peers with stale neighbour entries do not reach the wrong endpoint.
//!
//! Nothing here knows whether something else uses an address. Who finds that out says so
//! ([`NetworkAddresses::set_aside`]) and asks for the next.

#![forbid(unsafe_code)]

mod blocks;
mod free;
mod mac;
mod network;
mod number;
mod pool;
mod resting;
mod subnet;
mod ula;
mod unusable;

pub use blocks::{
    Block, BlockError, BlockLease, BlockPlan, BlockPlanError, Blocks, BlocksExhausted, Borrowing,
    Lease, NodeId, Proposal,
};
pub use mac::{derived_mac, overlay_gateway_mac, owner_mac};
pub use network::{NetworkAddresses, OverlapError};
pub use number::Family;
pub use pool::{DefaultPools, Pool, PoolError, PoolsExhausted, SubnetSize};
pub use resting::Released;
pub use subnet::{Holder, LeaseError, Reservation, Subnet, SubnetError, SubnetSpec};
pub use ula::ula_prefix;
