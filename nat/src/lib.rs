//! The NAT core: how packets of sandboxes get other addresses on their way out and back.
//!
//! The crate performs no I/O and reads no clock; it takes frames, rules and
//! [`Timestamp`](tapweave_net::Timestamp)s, and changes frames in place. Nothing on the packet path
//! allocates or waits: every worker translates with the same [`table`], which has no lock.

#![forbid(unsafe_code)]

pub mod fragments;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod packet;
pub mod table;

mod config;
mod counters;
mod drop;
mod expiry;
mod flow;
mod host;
mod keyed;
mod label;
mod listing;
mod mapping;
mod nat;
mod new_flow;
mod ports;
mod rules;
mod share;
mod sync;
mod tcp;
mod tcp_state;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
mod timeouts;
mod translate;
mod verdict;

pub use config::{Limits, NatConfig};
pub use counters::NatStats;
pub use drop::NatDrop;
pub use listing::{Endpoints, FlowEntry, FlowFilter, FlowKind, FlowState};
pub use nat::{Nat, Pass};
pub use rules::{
    Limited, Masquerade, NatRules, NetworkRules, PortProtocol, Published, Reserved, RulesConfig,
    RulesError,
};
pub use tcp_state::TcpState;
pub use timeouts::Timeouts;
pub use verdict::{In, Out};
