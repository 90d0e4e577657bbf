//! The control plane of tapweave: what exists, under which name, with which addresses.
//!
//! ```text
//!  cli ── client ──► unix socket ──► server ──► controller ──► datapath (a trait: the daemon's)
//!                                                   │
//!                                                   ├──► model    what exists, in memory
//!                                                   └──► host     clock, randomness, routes
//! ```
//!
//! A request arrives as a plain [`api`] type, is validated once, and then is a change of the model
//! and a call of the [`datapath::Datapath`]: both happen or neither does ([`Controller`] tells how).
//! The crate knows neither TAPs nor threads of the packet path, and reads no clock.

#![forbid(unsafe_code)]

mod address_changes;
pub mod api;
pub mod client;
mod controller;
pub mod datapath;
mod error;
mod events;
mod gateway_priority;
mod host;
mod id;
mod journal;
#[cfg(any(test, feature = "memory"))]
pub mod memory;
mod metrics;
mod model;
mod name;
mod network_defaults;
mod network_settings;
mod publish;
mod reconcile;
mod records;
pub mod server;
mod socket_path;
mod storm;
mod suggest;
#[cfg(test)]
mod test_store;
mod turns;

pub use controller::{Controller, RestoreError};
pub use error::{ControlError, ErrorKind, Thing};
pub use events::{Beginning, EventFilter, EventHub, FilterError, Subscription, Told};
pub use gateway_priority::{GatewayPriority, GatewayPriorityError};
pub use host::{Host, unix_time_of};
pub use id::{Id, IdParseError};
pub use journal::OpenError;
pub use model::PublishError;
pub use name::{IfName, Name, NameError};
pub use network_defaults::NetworkDefaults;
pub use network_settings::{
    DEFAULT_AGEING, DEFAULT_FDB_LIMIT, DEFAULT_MTU, MTU_RANGE, MTU_V6_MIN, OptionError,
};
pub use publish::{PortRange, PortRangeError, PublishSpec, PublishSpecError};
pub use records::{RecordError, SCHEMA_VERSION, SchemaError};
pub use socket_path::{SocketEnv, SocketPath, socket_path};
pub use suggest::{did_you_mean, nearest};
