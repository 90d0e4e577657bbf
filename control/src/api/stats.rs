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
    /// What the gateways answer, in order of their networks' names.
    #[serde(default)]
    pub services: Vec<ServiceStats>,
    /// The worker threads.
    pub workers: Vec<WorkerStats>,
    /// What was done so that there is what there should be, by kind; kinds that never occurred are left out.
    #[serde(default)]
    pub repairs: BTreeMap<String, u64>,
    /// How much of what an earlier daemon had learned from frames is known (`restored`) or was left out (`not_restored`), and
    /// how often that was written down for the next one (`snapshots`, `snapshot_failures`); for how many milliseconds nothing was forwarded
    /// when this daemon took over (`pause_ms`). Zeros are left out.
    #[serde(default)]
    pub carried: BTreeMap<String, u64>,
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

/// What the resolver and the DHCP server of a network did so far; empty where there is none.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ServiceStats {
    /// The network.
    pub network: Name,
    /// Queries to the resolver, by what became of them: `local`, `cached`, `forwarded`, `refused`, `limited`.
    pub dns: BTreeMap<String, u64>,
    /// Questions to other servers that nobody answered.
    pub dns_failures: u64,
    /// Answers in the resolver's cache.
    pub dns_cache_entries: usize,
    /// Messages of DHCP, by kind, as `lease show` names them.
    pub dhcp: BTreeMap<String, u64>,
    /// Messages of DHCP that were dropped, by reason; reasons that never occurred are left out.
    pub dhcp_drops: BTreeMap<String, u64>,
    /// Addresses that machines behind ports have from the pool or were offered.
    pub leases: usize,
    /// Addresses that are fixed for such machines.
    pub static_leases: usize,
}
