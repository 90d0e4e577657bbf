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

mod chores;
mod clock;
mod copies;
mod datapath;
mod event;
mod forward;
mod host;
mod machine_id;
mod manager;
mod nat_options;
mod overlay;
mod program;
mod refusals;
mod resolver;
mod run;
mod sandboxes;
mod settings;
mod state;
mod too_big;
mod uplink;
mod watchdog;
mod worker;
mod workers;

pub use clock::Clock;
pub use nat_options::{NatOptions, NatTimeout, NatTimeoutError};
pub use overlay::{UnderlayChoice, UnderlayChoiceError};
pub use program::{Program, Reloaded};
pub use resolver::{DnsChoice, DnsChoiceError, ResolverOptions};
pub use run::{BackendChoice, Options, run};
pub use state::{
    NoStateDirectory, State, StateEnv, StoreChoice, StoreChoiceError, state_directory,
};
pub use tapweave_ipam::{DefaultPools, Pool};
pub use uplink::{
    NicAddress, NicChoice, TunChoice, UplinkChoice, UplinkChoiceError, UplinkOptions,
};
