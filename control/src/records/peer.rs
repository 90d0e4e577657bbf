//! A host that takes part in an overlay network by request. Learned ones are not stored.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::Record;
use crate::Id;

/// A peer as it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PeerIntent {
    /// The network.
    pub(crate) network: Id,
    /// The host's address on the underlay.
    pub(crate) address: IpAddr,
    /// The UDP port that it listens on; that of the network if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) udp_port: Option<u16>,
    /// The subnets behind it, where hosts route to each other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) subnets: Vec<IpNet>,
}

impl PeerIntent {
    /// Returns the key of a peer.
    pub(crate) fn key_of(network: &Id, address: IpAddr) -> String {
        format!("{}{network}/{address}", Self::FOLDER)
    }
}

impl Record for PeerIntent {
    const FOLDER: &'static str = "peers/";

    fn key(&self) -> String {
        Self::key_of(&self.network, self.address)
    }
}
