//! What all gateways of a switch share: which network has a prefix, and the ways out.

use core::net::IpAddr;

use tapweave_net::NetworkNo;

use super::Uplink;
use super::prefix::bits;
use super::routes::Routes;

/// The routes of one snapshot.
pub(crate) struct Router {
    /// The subnets of all gateways.
    networks: Routes<NetworkNo>,
    /// In order of metric.
    uplinks: Box<[Uplink]>,
}

impl Router {
    /// Returns the routes to these networks and uplinks.
    pub(crate) fn new(networks: Routes<NetworkNo>, mut uplinks: Vec<Uplink>) -> Self {
        uplinks.sort_by_key(|uplink| (uplink.config.metric, uplink.no));
        Self {
            networks,
            uplinks: uplinks.into_boxed_slice(),
        }
    }

    /// Returns the network in one of whose subnets an address lies.
    #[inline]
    pub(super) fn network_of(&self, address: IpAddr) -> Option<NetworkNo> {
        self.networks.get(bits(address)).copied()
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
