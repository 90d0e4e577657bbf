//! A lease that DHCP gave from the pool of a network, to somebody behind a port.
//!
//! That of an endpoint's own address is not stored: the endpoint is. When it ends is not stored either: after a restart
//! it begins anew.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use tapweave_dhcp::KeptLease;
use tapweave_net::MacAddr;

use super::Record;
use crate::Id;

/// A lease as it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeaseIntent {
    /// The network.
    pub(crate) network: Id,
    /// The address.
    pub(crate) address: Ipv4Addr,
    /// The endpoint at whose port its client is.
    pub(crate) endpoint: Id,
    /// What the client is known by: a MAC address, or `id` and octets.
    pub(crate) client: String,
    /// The client's MAC address.
    pub(crate) mac: MacAddr,
    /// What the client calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) host_name: Option<String>,
}

impl LeaseIntent {
    /// Returns what is stored of a lease.
    pub(crate) fn new(network: &Id, endpoint: &Id, lease: &KeptLease) -> Self {
        Self {
            network: network.clone(),
            address: lease.address,
            endpoint: endpoint.clone(),
            client: lease.client.to_string(),
            mac: lease.mac,
            host_name: lease.host_name.clone(),
        }
    }

    /// Returns the key of a lease.
    pub(crate) fn key_of(network: &Id, address: Ipv4Addr) -> String {
        format!("{}{network}/{address}", Self::FOLDER)
    }

    /// Returns the lease, `None` when its client is none.
    pub(crate) fn lease(&self) -> Option<KeptLease> {
        Some(KeptLease {
            address: self.address,
            client: self.client.parse().ok()?,
            mac: self.mac,
            host_name: self.host_name.clone(),
        })
    }
}

impl Record for LeaseIntent {
    const FOLDER: &'static str = "leases/";

    fn key(&self) -> String {
        Self::key_of(&self.network, self.address)
    }
}
