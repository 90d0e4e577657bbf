//! A static neighbour: what ARP and ND suppression was told by request.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use tapweave_net::MacAddr;

use super::Record;
use crate::Id;

/// A static neighbour as it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NeighborIntent {
    /// The network.
    pub(crate) network: Id,
    /// Its address.
    pub(crate) address: IpAddr,
    /// Its MAC address.
    pub(crate) mac: MacAddr,
    /// Whether it is a router.
    pub(crate) router: bool,
}

impl NeighborIntent {
    /// Returns the key of a neighbour.
    pub(crate) fn key_of(network: &Id, address: IpAddr) -> String {
        format!("{}{network}/{address}", Self::FOLDER)
    }
}

impl Record for NeighborIntent {
    const FOLDER: &'static str = "neighbors/";

    fn key(&self) -> String {
        Self::key_of(&self.network, self.address)
    }
}
