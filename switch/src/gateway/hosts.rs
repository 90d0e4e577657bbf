//! Who is known in a network before anybody asks: the endpoints whose addresses the control side gave them, and
//! the stations that it was told of (static neighbours).
//!
//! The gateway forwards to endpoints without a question, and suppression answers questions for both. What the
//! gateway found by asking is in [`Neighbors`](super::neighbor::Neighbors): it may have been told anything, so nobody else is
//! told that.

use core::net::IpAddr;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;
use tapweave_net::{MacAddr, PortNo, Vid};

use super::prefix::{address, bits};
use crate::{PortAddresses, PortVlans, StaticNeighbor};

/// Where an endpoint is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Host {
    pub(crate) port: PortNo,
    pub(crate) mac: MacAddr,
    /// The VLAN that its port puts untagged frames into, if any.
    pub(crate) vid: Option<Vid>,
    /// Whether it may call itself a router, which changes what neighbours are told of it.
    pub(crate) may_route: bool,
}

/// An endpoint with known addresses, to make [`Hosts`] of.
pub(crate) struct Endpoint<'a> {
    pub(crate) port: PortNo,
    pub(crate) vlans: &'a PortVlans,
    pub(crate) addresses: &'a PortAddresses,
    pub(crate) may_route: bool,
}

/// What is known of a station by its address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Known {
    /// It is on a port.
    Endpoint(Host),
    /// It has this MAC address, wherever it is.
    Static(StaticNeighbor),
}

/// Static neighbours by address. Copied when it changes, shared by all snapshots between.
pub(crate) type StaticNeighbors = HashMap<u128, StaticNeighbor, RandomState>;

/// Who is known in one network, by address.
#[derive(Default)]
pub(crate) struct Hosts {
    endpoints: HashMap<u128, Host, RandomState>,
    stations: Arc<StaticNeighbors>,
}

impl Hosts {
    /// Returns these endpoints and stations. Of two endpoints with one address the one with the lower port counts.
    pub(crate) fn new<'a>(
        endpoints: impl IntoIterator<Item = Endpoint<'a>>,
        stations: Arc<StaticNeighbors>,
    ) -> Self {
        let mut hosts = HashMap::default();
        for endpoint in endpoints {
            let host = Host {
                port: endpoint.port,
                mac: endpoint.addresses.mac,
                vid: endpoint.vlans.untagged(),
                may_route: endpoint.may_route,
            };
            for address in &endpoint.addresses.addresses {
                hosts.entry(bits(*address)).or_insert(host);
            }
        }
        Self {
            endpoints: hosts,
            stations,
        }
    }

    /// Returns where the endpoint with this address is.
    #[inline]
    pub(crate) fn get(&self, address: IpAddr) -> Option<&Host> {
        self.endpoints.get(&bits(address))
    }

    /// Returns who has this address. An endpoint here goes before a station that somebody spoke of.
    pub(crate) fn find(&self, address: IpAddr) -> Option<Known> {
        let endpoint = self.get(address).copied().map(Known::Endpoint);
        endpoint.or_else(|| {
            self.stations
                .get(&bits(address))
                .copied()
                .map(Known::Static)
        })
    }

    /// Returns all that is known, in order of addresses.
    #[expect(
        clippy::disallowed_methods,
        reason = "what is collected is in order again"
    )]
    pub(crate) fn all(&self) -> BTreeMap<IpAddr, Known> {
        let stations = self.stations.iter();
        let stations = stations.map(|(bits, station)| (address(*bits), Known::Static(*station)));
        let endpoints = self.endpoints.iter();
        let endpoints = endpoints.map(|(bits, host)| (address(*bits), Known::Endpoint(*host)));
        stations.chain(endpoints).collect()
    }
}
