//! A static lease: an address that was fixed by hand for a machine behind a port.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use tapweave_dhcp::ClientKey;

use super::Record;
use crate::Id;

/// A static lease as it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StaticLeaseIntent {
    /// The network.
    pub(crate) network: Id,
    /// The address.
    pub(crate) address: Ipv4Addr,
    /// Whose it is: a MAC address, or `id` and octets.
    pub(crate) client: String,
}

impl StaticLeaseIntent {
    /// Returns what is stored of a static lease.
    pub(crate) fn new(network: &Id, address: Ipv4Addr, client: &ClientKey) -> Self {
        Self {
            network: network.clone(),
            address,
            client: client.to_string(),
        }
    }

    /// Returns the key of a static lease.
    pub(crate) fn key_of(network: &Id, address: Ipv4Addr) -> String {
        format!("{}{network}/{address}", Self::FOLDER)
    }

    /// Returns whose it is, `None` when that is nobody.
    pub(crate) fn client(&self) -> Option<ClientKey> {
        self.client.parse().ok()
    }
}

impl Record for StaticLeaseIntent {
    const FOLDER: &'static str = "static-leases/";

    fn key(&self) -> String {
        Self::key_of(&self.network, self.address)
    }
}
