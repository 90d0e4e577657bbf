//! The endpoints of a network whose addresses the control side knows: no question is asked for them.

use core::net::IpAddr;
use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use tapweave_net::{MacAddr, PortNo, Vid};

use super::prefix::bits;
use crate::{PortAddresses, PortVlans};

/// Where an endpoint is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Host {
    pub(crate) port: PortNo,
    pub(crate) mac: MacAddr,
    /// The VLAN that its port puts untagged frames into, if any.
    pub(crate) vid: Option<Vid>,
}

/// The endpoints of one network, by address.
#[derive(Default)]
pub(crate) struct Hosts(HashMap<u128, Host, RandomState>);

impl Hosts {
    /// Returns the endpoints behind these ports. Of two with one address the one with the lower port counts.
    pub(crate) fn new<'a>(
        ports: impl IntoIterator<Item = (PortNo, &'a PortVlans, &'a Arc<PortAddresses>)>,
    ) -> Self {
        let mut hosts = HashMap::default();
        for (port, vlans, endpoint) in ports {
            let host = Host {
                port,
                mac: endpoint.mac,
                vid: vlans.untagged(),
            };
            for address in &endpoint.addresses {
                hosts.entry(bits(*address)).or_insert(host);
            }
        }
        Self(hosts)
    }

    /// Returns where the endpoint with this address is.
    #[inline]
    pub(crate) fn get(&self, address: IpAddr) -> Option<&Host> {
        self.0.get(&bits(address))
    }
}
