//! The multicast databases: which port gets frames for which group.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tapweave_switch::{Family, MdbEntry, MdbKind};

use crate::Name;

/// A line of a multicast database.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MdbEntryView {
    /// The network.
    pub network: Name,
    /// The VLAN; none for untagged frames of a port without VLANs, and for a line about all VLANs.
    pub vid: Option<u16>,
    /// 4 or 6.
    pub ip_version: u8,
    /// The group; none for a line about all groups.
    pub group: Option<IpAddr>,
    /// The port; none when it has just gone.
    pub port: Option<String>,
    /// Why the port gets frames.
    pub kind: MdbKindView,
    /// Milliseconds since the port joined the group or was found.
    pub age_ms: u64,
    /// Milliseconds until that ends, unless the port is heard from again.
    pub expires_ms: u64,
}

/// Why a port gets frames for groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MdbKindView {
    /// Somebody there listens to the group. Ends by itself, as `temp` of `bridge mdb`.
    Temp,
    /// A multicast router is there, which gets all groups.
    Router,
    /// It listens to more groups than fit the table, and gets all.
    Full,
}

impl MdbKindView {
    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Temp => "temp",
            Self::Router => "router",
            Self::Full => "full",
        }
    }
}

impl MdbEntryView {
    /// Returns the line for `entry` of `network`, whose port is called `port`.
    pub(crate) fn new(network: Name, port: Option<String>, entry: &MdbEntry) -> Self {
        let millis =
            |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self {
            network,
            vid: entry.vid.map(tapweave_net::Vid::to_u16),
            ip_version: match entry.family {
                Family::V4 => 4,
                Family::V6 => 6,
            },
            group: entry.group.map(tapweave_switch::Group::address),
            port,
            kind: match entry.kind {
                MdbKind::Member => MdbKindView::Temp,
                MdbKind::Router => MdbKindView::Router,
                MdbKind::Overfull => MdbKindView::Full,
            },
            age_ms: millis(entry.age),
            expires_ms: millis(entry.expires_in),
        }
    }
}
