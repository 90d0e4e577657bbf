//! A static FDB entry.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use tapweave_net::{MacAddr, Vid};

use super::Record;
use crate::Id;

/// A static FDB entry as it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FdbIntent {
    /// The network.
    pub(crate) network: Id,
    /// The station.
    pub(crate) mac: MacAddr,
    /// Its VLAN, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) vlan: Option<Vid>,
    /// Where it is.
    pub(crate) at: StationPlace,
}

/// Where a station is said to be.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StationPlace {
    /// At the port of this endpoint. The entry goes with it.
    Endpoint(Id),
    /// On this host, a peer of the network. The entry goes with it.
    Peer(IpAddr),
}

impl FdbIntent {
    /// Returns the key of an entry.
    pub(crate) fn key_of(network: &Id, (mac, vlan): (MacAddr, Option<Vid>)) -> String {
        let vlan = vlan.map_or_else(|| "-".to_owned(), |vid| vid.to_string());
        format!("{}{network}/{mac}/{vlan}", Self::FOLDER)
    }
}

impl Record for FdbIntent {
    const FOLDER: &'static str = "fdb/";

    fn key(&self) -> String {
        Self::key_of(&self.network, (self.mac, self.vlan))
    }
}
