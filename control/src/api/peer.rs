//! Hosts that take part in overlay networks.

use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PortCounters;
use super::schema;
use crate::Name;

/// A host that is to take part in a network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerAdd {
    /// The network, by name or beginning of its id.
    pub network: String,
    /// The host's address on the underlay.
    pub address: IpAddr,
    /// The UDP port that it listens on; that of the network if none.
    pub port: Option<u16>,
    /// The subnets behind it, in a network whose hosts route to each other (`fou`, `gue`, `ipip`); there at
    /// least one, elsewhere none.
    pub subnets: Vec<IpNet>,
}

/// How a host takes part in a network.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PeerPut {
    /// The UDP port that it listens on; that of the network if none.
    #[serde(default)]
    pub port: Option<u16>,
    /// The subnets behind it, in a network whose hosts route to each other (`fou`, `gue`, `ipip`); there at
    /// least one, elsewhere none.
    #[serde(default)]
    #[schemars(with = "Vec<schema::Prefix>")]
    pub subnets: Vec<IpNet>,
}

/// A host that takes part in a network.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PeerView {
    /// The network.
    pub network: Name,
    /// The host's address on the underlay.
    pub address: IpAddr,
    /// The UDP port that it listens on; none where there is no UDP.
    pub port: Option<u16>,
    /// The subnets behind it, where hosts route to each other.
    #[schemars(with = "Vec<schema::Prefix>")]
    pub subnets: Vec<IpNet>,
    /// How it came to take part.
    pub origin: PeerOrigin,
    /// Whether it was heard of.
    pub state: PeerStateView,
    /// Milliseconds since something came from it; none when nothing ever did.
    pub heard_ms: Option<u64>,
    /// Largest IP packet that the way to it takes, in bytes; 0 while there is no way.
    pub path_mtu: u16,
    /// Largest IP packet of the network that reaches it, in bytes; none when none does.
    pub mtu: Option<u16>,
    /// What was exchanged with it. `rx` is what came from the host.
    pub counters: PortCounters,
    /// Why there is no way to it: that could not be made after a restart, which is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// How a host came to take part in a network.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PeerOrigin {
    /// By request.
    Static,
    /// It has sent into the network, which is open to strangers. It is forgotten when it is silent for the network's
    /// ageing time.
    Learned,
    /// It is the network's multicast group, to which goes what is flooded, and goes with the network.
    Group,
}

impl PeerOrigin {
    /// Returns its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Learned => "learned",
            Self::Group => "group",
        }
    }
}

/// Whether a host was heard of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PeerStateView {
    /// Never.
    Unheard,
    /// In the last minute.
    Heard,
    /// Not in the last minute. It may have nothing to say.
    Silent,
    /// There is no way to it yet.
    Waiting,
}

impl PeerStateView {
    /// Returns its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unheard => "unheard",
            Self::Heard => "heard",
            Self::Silent => "silent",
            Self::Waiting => "waiting",
        }
    }
}
