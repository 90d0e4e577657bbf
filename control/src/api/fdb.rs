//! The forwarding tables.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tapweave_net::{MacAddr, Vid};

use super::schema;
use crate::Name;

/// A static entry to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FdbAdd {
    /// The network, by name or beginning of its id.
    pub network: String,
    /// The station.
    pub mac: MacAddr,
    /// Where it is: `NETWORK/SANDBOX[:IFNAME]`; none when it is on another host.
    pub port: Option<String>,
    /// The host that it is on, a peer of the network; none when it is on a port.
    pub vtep: Option<IpAddr>,
    /// The VLAN in which it is there; none for frames that are in no VLAN.
    pub vlan: Option<Vid>,
}

/// Where the station of a static entry is: at a port of this host, or on another host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FdbPut {
    /// The port, as `NETWORK/SANDBOX[:IFNAME]`; none when it is on another host.
    #[serde(default)]
    pub port: Option<String>,
    /// The host, a peer of the network; none when it is at a port.
    #[serde(default)]
    pub vtep: Option<IpAddr>,
}

/// Learned entries to be forgotten.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FdbFlush {
    /// The network; none for all of them.
    #[serde(default)]
    pub network: Option<String>,
}

/// What was forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FdbFlushed {
    /// Entries.
    pub flushed: usize,
}

/// An entry of a table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FdbEntryView {
    /// The station.
    #[schemars(with = "schema::Mac")]
    pub mac: MacAddr,
    /// Its VLAN, if any. A station of several VLANs has an entry in each.
    #[schemars(with = "Option<schema::Vlan>")]
    pub vlan: Option<Vid>,
    /// The network.
    pub network: Name,
    /// Where it is; none when it is on another host, or when that port has just gone.
    pub port: Option<String>,
    /// The host that it is on, if it is not this one.
    #[serde(default)]
    pub vtep: Option<IpAddr>,
    /// Milliseconds since a frame from the station was last seen.
    pub age_ms: u64,
    /// How the entry came into the table.
    pub kind: FdbKind,
}

/// How an entry came into the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FdbKind {
    /// From a frame; it ages.
    Learned,
    /// From a frame on a sticky port; it stays there.
    Sticky,
    /// By request; it stays.
    Static,
}
