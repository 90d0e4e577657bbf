//! The NAT core: how packets of sandboxes get other addresses on their way out and back.
//!
//! The crate performs no I/O and reads no clock; it takes frames, rules and
//! [`Timestamp`](tapweave_net::Timestamp)s, and changes frames in place. Nothing on the packet path
//! waits, and nothing but a fragment that has to be held is allocated: every worker translates with the
//! same [`table`], which has no lock.
//!
//! - The *packet side* calls [`Nat::translate_out`] for what leaves a network and [`Nat::translate_in`]
//!   for what an uplink brings. [`packet`] reads what a frame is and rewrites it; a flow's record says
//!   to what, and follows the flow's state; [`fragments`] go the way of the first one.
//! - The *control side* makes [`NatRules`], which decide about new flows, and lists, flushes, retires and
//!   carries over flows. Which network, whose addresses and which routes: that is the gateway's to know.
//!
//! The theory of each part is at the head of its file: flows in `flow.rs`, external ports in `mapping.rs`
//! and `ports.rs`, TCP in `tcp.rs`, limits in `host.rs`, the order of decisions in `translate.rs`.
//!
//! ```
//! use tapweave_nat::{
//!     Masquerade, Nat, NatConfig, NatRules, NetworkRules, Out, Pass, RulesConfig,
//! };
//! use tapweave_nat::table::Hint;
//! use tapweave_net::{Frame, NetworkNo, Offload, ParsedFrame, Timestamp};
//!
//! let network = NetworkNo(1);
//! let rules = NatRules::new(&RulesConfig {
//!     external: vec!["192.0.2.1".parse()?],
//!     networks: vec![NetworkRules { network, masquerade: Masquerade::Yes }],
//!     ..RulesConfig::default()
//! })?;
//! let nat = Nat::new(NatConfig { flow_limit: 1000, ..NatConfig::new(7, 1) });
//!
//! // A datagram from 10.0.0.2:4000 to 198.51.100.1:53.
//! let mut bytes = [
//!     2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, // Ethernet
//!     0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 2, 198, 51, 100, 1, // IPv4
//!     0x0f, 0xa0, 0, 53, 0, 8, 0, 0, // UDP
//! ];
//! let parsed = ParsedFrame::parse(&bytes)?;
//! let mut frame = Frame::new(&mut bytes, 0, Offload::NONE);
//! let pass = Pass { now: Timestamp::from_secs(1), worker: 0, rules: &rules, hint: Hint::NONE };
//! let out = nat.translate_out(&pass, network, &mut frame, &parsed, &mut |_, _| {});
//! assert_eq!(out, Ok(Out::ToUplink));
//! assert_eq!(bytes[26..30], [192, 0, 2, 1]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

pub mod fragments;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod packet;
pub mod table;

mod carrying;
mod config;
mod counters;
mod drop;
mod expiry;
mod flow;
mod host;
mod identification;
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
pub use translate::{Basis, Forecast};
pub use verdict::{In, Out};
