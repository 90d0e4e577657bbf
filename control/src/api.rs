//! The types of the HTTP API, one file for each kind of resource.
//!
//! Requests refuse unknown fields. Keys are `snake_case` and stable, except in [`NetworkInspect`],
//! which has the keys of `docker network inspect`. Addresses, ids and names are strings.

mod dns;
mod endpoint;
mod event;
mod fdb;
mod lease;
mod mdb;
mod nat;
mod neighbor;
mod network;
mod peer;
mod port;
mod port_mapping;
mod problem;
mod sandbox;
pub(crate) mod schema;
mod stats;

pub use dns::{
    DnsAnswer, DnsQuestion, DnsRecord, DnsRecordAdd, DnsRecordKind, DnsRecordView, ResolverView,
};
pub use endpoint::{Connect, Disconnect, Endpoint};
pub use event::{Event, EventAction, EventActor, EventId, EventIdError, EventType, Lagged};
pub use fdb::{FdbAdd, FdbEntryView, FdbFlush, FdbFlushed, FdbKind, FdbPut};
pub use lease::{DhcpView, LeaseAdd, LeaseOrigin, LeasePut, LeaseStateView, LeaseView};
pub use mdb::{MdbEntryView, MdbKindView};
pub use nat::{NatFlowView, NatFlush, NatFlushed};
pub use neighbor::{NeighborAdd, NeighborKind, NeighborPut, NeighborView};
pub use network::{
    ConfigFrom, ContainerInspect, CreateNetwork, IpamConfig, IpamInspect, NetworkInspect,
    SubnetRequest,
};
pub use peer::{PeerAdd, PeerOrigin, PeerPut, PeerStateView, PeerView};
pub use port::{Port, PortCounters, PortKind, PortState, PortUnderlay};
pub use port_mapping::{HostBinding, PortMapping, docker_ports};
pub use problem::Problem;
pub use sandbox::{NamespaceIdView, PublishedView, Sandbox};
pub use stats::{FdbStats, ServiceStats, Stats, Version};
