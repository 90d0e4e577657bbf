//! What all gateways of a switch share: which network has a prefix, and the ways out.

use core::net::IpAddr;
use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;
use tapweave_net::{NetworkNo, PortNo};

use super::prefix::bits;
use super::routes::Routes;
use super::{Remote, Uplink};

/// The routes of one snapshot.
pub(crate) struct Router {
    /// The subnets of all gateways and remote hosts.
    homes: Routes<Home>,
    remotes: BTreeMap<PortNo, Arc<Remote>>,
    /// In order of metric.
    uplinks: Box<[Uplink]>,
}

/// Where the addresses of a subnet are.
pub(crate) struct Home {
    pub(crate) network: NetworkNo,
    /// The host that has them; none where they are on the network's link.
    pub(crate) behind: Option<Arc<Remote>>,
}

impl Router {
    /// Returns the routes to these subnets, remote hosts and uplinks; those of remote hosts are not among
    /// `local`.
    pub(crate) fn new(
        local: Vec<(IpNet, NetworkNo)>,
        remotes: &[Arc<Remote>],
        mut uplinks: Vec<Uplink>,
    ) -> Self {
        uplinks.sort_by_key(|uplink| (uplink.config.metric, uplink.no));
        let here = local.into_iter().map(|(subnet, network)| {
            let behind = None;
            (subnet, Home { network, behind })
        });
        let there = remotes.iter().flat_map(|remote| {
            let subnets = remote.config.subnets.iter();
            subnets.map(|subnet| {
                let network = remote.network.no;
                let behind = Some(Arc::clone(remote));
                (*subnet, Home { network, behind })
            })
        });
        Self {
            homes: Routes::new(here.chain(there)),
            remotes: remotes
                .iter()
                .map(|remote| (remote.no, Arc::clone(remote)))
                .collect(),
            uplinks: uplinks.into_boxed_slice(),
        }
    }

    /// Returns where an address is, if it lies in a subnet of a network.
    #[inline]
    pub(super) fn home_of(&self, address: IpAddr) -> Option<&Home> {
        self.homes.get(bits(address))
    }

    /// Returns the network in one of whose subnets an address lies, here or behind a remote host.
    #[inline]
    pub(super) fn network_of(&self, address: IpAddr) -> Option<NetworkNo> {
        self.home_of(address).map(|home| home.network)
    }

    /// Returns a remote host.
    pub(crate) fn remote(&self, no: PortNo) -> Option<&Remote> {
        self.remotes.get(&no).map(|remote| &**remote)
    }

    /// Returns all remote hosts, in order of number.
    pub(crate) fn remotes(&self) -> impl Iterator<Item = &Remote> {
        self.remotes.values().map(|remote| &**remote)
    }

    /// Returns the way out for a packet to `dst`.
    #[inline]
    pub(super) fn uplink_for(&self, dst: IpAddr) -> Option<&Uplink> {
        let mut uplinks = self.uplinks.iter();
        uplinks.find(|uplink| uplink.address_like(dst).is_some())
    }

    /// Returns all uplinks, in order of metric.
    pub(crate) fn uplinks(&self) -> &[Uplink] {
        &self.uplinks
    }
}
