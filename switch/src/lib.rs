//! The pure switching engine of tapweave.
//!
//! The engine takes the time, an ingress port and a batch of frames, and returns one [`Verdict`] a
//! frame. It performs no I/O, reads no clock, and neither allocates nor waits on the packet path; it
//! does not know devices, names of networks, or addresses above layer 2.
//!
//! Two sides use it at the same time:
//!
//! - The *control side* calls [`Switch`] from any thread: networks and ports come and go, static FDB
//!   entries are set, tables and counters are read. Each change publishes an immutable snapshot of
//!   what exists.
//! - The *packet side* is one [`Pipeline`] a worker thread. It takes the newest snapshot once a batch
//!   and then works on it without asking anybody. The FDB is the one table that workers write; how
//!   they do so without waiting for each other stands in the head of `fdb.rs`.
//!
//! The caller carries a verdict out and reports what became of it ([`Pipeline::count_sent`],
//! [`Pipeline::count_egress_drop`]), so that the counters of a port tell what happened and not what
//! was meant to happen. [`Switch::explain`] runs the same decision without its effects and says how
//! it came about.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use tapweave_net::{Frame, Offload, Timestamp};
//! use tapweave_switch::{
//!     EgressPort, FrameVlan, Isolation, NetworkConfig, PortConfig, PortVlans, SnoopingConfig, StormLimits, Suppression, Switch, SwitchConfig, Verdict,
//! };
//!
//! let switch = Arc::new(Switch::new(SwitchConfig { worker_count: 1, seed: 7 }));
//! let network = switch.add_network(NetworkConfig {
//!     mtu: 1500,
//!     ageing: Duration::from_secs(300),
//!     fdb_limit: 1024,
//!     snooping: Some(SnoopingConfig::default()),
//!     storm: StormLimits::NONE,
//!     gateway: None,
//!     suppression: Suppression::Off,
//! });
//! let config = PortConfig::OPEN;
//! let [a, b] = [switch.add_port(network, config.clone())?, switch.add_port(network, config)?];
//!
//! let mut pipeline = switch.pipeline(0);
//! let mut verdicts = Vec::new();
//! let mut bytes = [0; 60];
//! bytes[..12].copy_from_slice(&[2, 0, 0, 0, 0, 0xb, 2, 0, 0, 0, 0, 0xa]);
//! let frames = [Frame::new(&mut bytes, 0, Offload::NONE)];
//! pipeline.handle_batch(Timestamp::ZERO, a, &frames, &mut verdicts);
//! assert_eq!(verdicts, [Verdict::Flood(FrameVlan::NONE)]);
//! assert!(pipeline.flood_set(a, FrameVlan::NONE).eq([EgressPort::unchanged(b)]));
//! # Ok::<(), tapweave_switch::AddPortError>(())
//! ```

#![forbid(unsafe_code)]

mod carrying;
mod config;
mod counters;
mod decide;
mod drop_reason;
mod explain;
mod fdb;
mod gateway;
mod groups;
mod guard;
mod head;
mod meter;
mod multicast;
mod pipeline;
mod port_pool;
mod probing;
mod service;
mod snapshot;
mod storm;
mod suppression;
mod switch;
mod sync;
mod verdict;
mod vlan;

#[cfg(any(feature = "fuzzing", all(test, not(loom))))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(any(feature = "fuzzing", all(test, not(loom))))]
mod reference;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;

pub use carrying::{
    Learned, LearnedGroupPort, LearnedMember, LearnedNeighbor, LearnedQuerier, LearnedStation,
    LearningMark,
};
pub use config::{
    FDB_LIMIT_MAX, Flooding, Isolation, NEIGHBORS_MAX, NetworkConfig, PortConfig, StaticNeighbor,
    Stations, Suppression, SwitchConfig,
};
pub use counters::PortStats;
pub use drop_reason::DropReason;
pub use explain::{Destination, Explanation, Learning, Stage};
pub use fdb::{FdbEntry, FdbOrigin, FdbUsage};
pub use gateway::{
    Advertising, GatewayConfig, GatewayFrame, GatewayStep, Information, InformationByDhcp, Outside,
    PortAddresses, RemoteConfig, UplinkConfig, UplinkKind,
};
pub use guard::Guard;
pub use multicast::{
    Family, FastLeave, Group, GroupQuery, MDB_LIMIT_MAX, MdbEntry, MdbKind, MdbUsage, QuerierRole,
    QueryGuard, Reach, SnoopingConfig,
};
pub use pipeline::Pipeline;
pub use probing::{AddressHolder, AddressProbe};
pub use service::{Place, Service, ServicePacket, ServiceQueue};
pub use storm::{FrameRate, StormClass, StormLimits};
pub use switch::{
    AddPortError, FdbAddError, Neighbor, NeighborAddError, NeighborAt, RemoveNetworkError, Switch,
    UnknownPort,
};
pub use verdict::{EgressPort, GroupSlot, Verdict};
pub use vlan::{FrameVlan, PortVlans};
