//! A static name: an address that a name was said to lead to, by request.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Record;
use crate::{Id, Name};

/// One address of a static name as it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DnsNameIntent {
    /// The network.
    pub(crate) network: Id,
    /// The name, without the network's domain.
    pub(crate) name: Name,
    /// Where it leads; a name with several addresses has a record of each.
    pub(crate) address: IpAddr,
}

impl DnsNameIntent {
    /// Returns the key of an address of a name.
    pub(crate) fn key_of(network: &Id, name: &Name, address: IpAddr) -> String {
        format!("{}{network}/{name}/{address}", Self::FOLDER)
    }
}

impl Record for DnsNameIntent {
    const FOLDER: &'static str = "names/";

    fn key(&self) -> String {
        Self::key_of(&self.network, &self.name, self.address)
    }
}
