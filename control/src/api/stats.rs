//! Figures of the whole daemon.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PortCounters;
use crate::Name;
use crate::datapath::{NatStats, UnderlayState, UplinkState, WorkerStats};

/// Which daemon this is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Version {
    /// Version of the daemon.
    pub version: String,
    /// Version of the API, as in its paths.
    pub api: String,
}

/// What `stats` shows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Stats {
    /// Networks.
    pub networks: usize,
    /// Sandboxes that are known.
    pub sandboxes: usize,
    /// Ports.
    pub ports: usize,
    /// The forwarding tables, in order of their networks' names.
    pub fdb: Vec<FdbStats>,
    /// How the networks reach the world.
    pub uplink: UplinkState,
    /// What the gateways translate.
    pub nat: NatStats,
    /// The worker threads.
    pub workers: Vec<WorkerStats>,
    /// What was done so that there is what there should be, by kind; kinds that never occurred are left out.
    #[serde(default)]
    pub repairs: BTreeMap<String, u64>,
    /// What overlays travel over.
    #[serde(default)]
    pub underlay: UnderlayState,
    /// The counters of all ports that exist, added up.
    pub total: PortCounters,
}

/// How full a forwarding table is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FdbStats {
    /// The network.
    pub network: Name,
    /// Its entries.
    pub entries: usize,
    /// Most entries.
    pub limit: u32,
}
