//! The neighbours of networks, as the control side sets and reads them.
//!
//! A change costs a copy of the network's static neighbours and a new snapshot, as any other.

use core::net::IpAddr;
use std::sync::Arc;

use tapweave_net::{MacAddr, NetworkNo, PortNo};
use thiserror::Error;

use super::Switch;
use crate::gateway::{Known, bits};
use crate::{NEIGHBORS_MAX, StaticNeighbor};

/// A neighbour whose address is known in a network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Neighbor {
    /// Its address.
    pub address: IpAddr,
    /// Its MAC address.
    pub mac: MacAddr,
    /// How it is known.
    pub at: NeighborAt,
}

/// How a neighbour is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NeighborAt {
    /// It is the endpoint of this port.
    Port(PortNo),
    /// It was stated ([`Switch::neighbor_add`]).
    Stated {
        /// Whether it is a router.
        is_router: bool,
    },
}

/// A static neighbour could not be made.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum NeighborAddError {
    /// There is no such network.
    #[error("{0:?} does not exist")]
    UnknownNetwork(NetworkNo),
    /// A group address or zero.
    #[error("{0} is not the address of a station")]
    NotAStation(MacAddr),
    /// No host has this address.
    #[error("{0} is not the address of a host")]
    NotAHost(IpAddr),
    /// The address is the gateway's, which answers for itself.
    #[error("{0} is an address of the gateway")]
    Gateway(IpAddr),
    /// The network has as many as it may.
    #[error("the network has {NEIGHBORS_MAX} static neighbours, which is the most")]
    Full,
}

impl Switch {
    /// States the MAC address of the neighbour with `address`, in the place of what was stated before. An
    /// endpoint here that has the address goes before it.
    ///
    /// # Errors
    ///
    /// One variant of [`NeighborAddError`] for each thing that can be wrong.
    pub fn neighbor_add(
        &self,
        network: NetworkNo,
        address: IpAddr,
        station: StaticNeighbor,
    ) -> Result<(), NeighborAddError> {
        let address = address.to_canonical();
        if !station.mac.is_station() {
            return Err(NeighborAddError::NotAStation(station.mac));
        }
        if !is_host(address) {
            return Err(NeighborAddError::NotAHost(address));
        }
        let mut control = self.control();
        let known = control.networks.get_mut(&network);
        let known = known.ok_or(NeighborAddError::UnknownNetwork(network))?;
        if known.gateway.as_ref().is_some_and(|own| own.has(address)) {
            return Err(NeighborAddError::Gateway(address));
        }
        let key = bits(address);
        if known.neighbors.len() >= NEIGHBORS_MAX && !known.neighbors.contains_key(&key) {
            return Err(NeighborAddError::Full);
        }
        Arc::make_mut(&mut known.neighbors).insert(key, station);
        self.publish(&control);
        Ok(())
    }

    /// Takes back what was stated of the neighbour with `address`; tells whether something was.
    pub fn neighbor_del(&self, network: NetworkNo, address: IpAddr) -> bool {
        let mut control = self.control();
        let Some(known) = control.networks.get_mut(&network) else {
            return false;
        };
        let key = bits(address.to_canonical());
        if !known.neighbors.contains_key(&key) {
            return false;
        }
        Arc::make_mut(&mut known.neighbors).remove(&key);
        self.publish(&control);
        true
    }

    /// Returns the neighbours that are known in a network, in order of addresses; none for an unknown network,
    /// and for one that has neither a gateway nor suppression.
    pub fn neighbors(&self, network: NetworkNo) -> Vec<Neighbor> {
        let snapshot = self.published.load();
        let Some(network) = snapshot.networks.get(&network) else {
            return Vec::new();
        };
        let known = network.hosts.all().into_iter();
        let neighbors = known.map(|(address, known)| match known {
            Known::Endpoint(host) => Neighbor {
                address,
                mac: host.mac,
                at: NeighborAt::Port(host.port),
            },
            Known::Static(station) => Neighbor {
                address,
                mac: station.mac,
                at: NeighborAt::Stated {
                    is_router: station.is_router,
                },
            },
        });
        neighbors.collect()
    }
}

/// Tells whether one host may have an address.
const fn is_host(address: IpAddr) -> bool {
    !address.is_unspecified()
        && !address.is_multicast()
        && !address.is_loopback()
        && !matches!(address, IpAddr::V4(address) if address.is_broadcast())
}
