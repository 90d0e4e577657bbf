//! The daemon: joins the switch to devices, and the control plane to both.
//!
//! ```text
//!  worker threads              control thread (tokio)               blocking threads
//!  EpollBackend ─► Forwarder   socket ─► control::server ──────────► Controller ─► SwitchDatapath
//!     ▲                        namespace watch ─► sandbox_ended ───►      │
//!     └──────────── commands, answered between two turns ◄───────────────┘
//! ```
//!
//! The workers never wait for the control side; the control side waits for the workers. The only clock
//! that the packet path sees is [`Clock`].

#![forbid(unsafe_code)]

mod carry;
mod chores;
mod clock;
mod copies;
mod datapath;
mod dhcp;
mod ending;
mod event;
mod forward;
mod holdings;
mod host;
mod machine_id;
mod manager;
mod nat_options;
mod options;
mod overlay;
mod port_queues;
mod program;
mod refusals;
mod resolver;
mod run;
mod sandboxes;
mod service;
mod settings;
mod start;
mod state;
mod takeover;
#[cfg(test)]
mod test_switch;
mod too_big;
mod udp;
mod uplink;
mod watchdog;
mod wire;
mod worker;
mod workers;

pub use clock::Clock;
pub use nat_options::{NatOptions, NatTimeout, NatTimeoutError};
pub use options::{BackendChoice, Options, Start};
pub use overlay::{UnderlayChoice, UnderlayChoiceError};
pub use program::{Program, Reloaded};
pub use resolver::{DnsChoice, DnsChoiceError, ResolverOptions};
pub use run::run;
pub use state::{
    NoStateDirectory, State, StateEnv, StoreChoice, StoreChoiceError, state_directory,
};
pub use tapweave_ipam::{DefaultPools, Pool};
pub use uplink::{
    NicAddress, NicChoice, TunChoice, UplinkChoice, UplinkChoiceError, UplinkOptions,
};
