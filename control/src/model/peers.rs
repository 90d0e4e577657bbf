//! The hosts that take part in each overlay network.
//!
//! Where hosts route to each other, each has subnets of its own. No two of a daemon's networks overlap, be it
//! here or behind a host: its gateways could not tell where a packet belongs.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use tapweave_ipam::Subnet;
use tapweave_net::{NetworkNo, PortNo};

use super::Model;
use crate::ControlError;
use crate::datapath::OverlaySettings;
use crate::model::NetworkRecord;

/// A host that takes part in a network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PeerRecord {
    /// The way to it.
    pub(crate) port: PortNo,
    /// What is behind it; none where all hosts are on one link.
    pub(crate) subnets: Vec<IpNet>,
    /// Why it takes part.
    pub(crate) origin: PeerOrigin,
}

/// Why a host takes part in a network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PeerOrigin {
    /// By request.
    Static,
    /// It has sent something.
    Learned {
        /// The time of day then.
        at: Duration,
    },
    /// It is no host but the network's multicast group.
    Group,
}

impl PeerRecord {
    /// Returns when it was learned (time of day), if it was.
    pub(crate) const fn learned_at(&self) -> Option<Duration> {
        match self.origin {
            PeerOrigin::Learned { at } => Some(at),
            PeerOrigin::Static | PeerOrigin::Group => None,
        }
    }
}

impl Model {
    /// Returns the number of an overlay network that may get a peer at `address` with these subnets behind it.
    pub(crate) fn check_peer(
        &self,
        network: &str,
        address: IpAddr,
        subnets: &[IpNet],
    ) -> Result<NetworkNo, ControlError> {
        let network = self.network(network)?;
        network.check_open()?;
        let overlay = network.check_overlay()?;
        let name = || network.name.clone();
        match (overlay.is_routed(), subnets.is_empty()) {
            (true, true) => return Err(ControlError::PeerNeedsSubnet { network: name() }),
            (false, false) => return Err(ControlError::PeerWithSubnet { network: name() }),
            (true, false) | (false, true) => {}
        }
        self.check_peer_subnets(network, subnets)?;
        let known = network.peers.get(&address.to_canonical());
        if known.is_some_and(|peer| peer.learned_at().is_none()) {
            return Err(ControlError::PeerExists {
                network: network.name.clone(),
                address,
            });
        }
        Ok(network.number)
    }

    fn check_peer_subnets(
        &self,
        network: &NetworkRecord,
        subnets: &[IpNet],
    ) -> Result<(), ControlError> {
        for (index, &subnet) in subnets.iter().enumerate() {
            if subnet.trunc() != subnet {
                return Err(ControlError::PeerHostBits { subnet });
            }
            self.check_subnet(subnet)?;
            let mut earlier = subnets.iter().take(index);
            let overlaps = |other: &&IpNet| other.contains(&subnet) || subnet.contains(*other);
            if let Some(other) = earlier.find(overlaps) {
                return Err(ControlError::NetworkOverlap {
                    subnet,
                    other: *other,
                    network: network.name.clone(),
                });
            }
        }
        Ok(())
    }

    /// Notes a peer, unless the network has gone meanwhile, or something else has its subnets.
    pub(crate) fn seat_peer(
        &mut self,
        network: NetworkNo,
        address: IpAddr,
        peer: PeerRecord,
    ) -> Result<(), ControlError> {
        let mut networks = self.networks.values();
        let record = networks.find(|record| record.number == network);
        let record = record
            .ok_or_else(|| ControlError::no_such(crate::Thing::Network, network.0.to_string()))?;
        record.check_open()?;
        self.check_peer_subnets(record, &peer.subnets)?;
        let id = record.id.clone();
        let peers = &mut self.network_mut(&id)?.peers;
        peers.insert(address.to_canonical(), peer);
        Ok(())
    }

    /// Forgets the peer at `address` if it was learned, and returns its port.
    pub(crate) fn unlearn_peer(&mut self, network: NetworkNo, address: IpAddr) -> Option<PortNo> {
        let mut networks = self.networks.values_mut();
        let record = networks.find(|record| record.number == network)?;
        record.peers.get(&address)?.learned_at()?;
        record.peers.remove(&address).map(|peer| peer.port)
    }

    /// Forgets a peer and returns its port.
    pub(crate) fn forget_peer(
        &mut self,
        network: &str,
        address: IpAddr,
    ) -> Result<PortNo, ControlError> {
        let id = self.network(network)?.id.clone();
        let record = self.network_mut(&id)?;
        record.check_overlay()?;
        let address = address.to_canonical();
        if record
            .overlay
            .is_some_and(|overlay| overlay.group == Some(address))
        {
            return Err(ControlError::PeerIsGroup {
                network: record.name.clone(),
                address,
            });
        }
        let peer = record.peers.remove(&address);
        let peer = peer.ok_or_else(|| ControlError::NoPeer {
            network: record.name.clone(),
            address,
        })?;
        Ok(peer.port)
    }

    /// Forgets all peers of a network and returns their ports.
    pub(crate) fn forget_peers(&mut self, id: &crate::Id) -> Vec<PortNo> {
        self.network_mut(id).map_or_else(
            |_gone| Vec::new(),
            |record| {
                let peers = std::mem::take(&mut record.peers).into_values();
                peers.map(|peer| peer.port).collect()
            },
        )
    }
}

impl NetworkRecord {
    /// Refuses what only an overlay has.
    pub(crate) fn check_overlay(&self) -> Result<&OverlaySettings, ControlError> {
        let overlay = self.overlay.as_ref();
        overlay.ok_or_else(|| ControlError::NoOverlay {
            network: self.name.clone(),
        })
    }

    /// Returns its prefixes, here and behind other hosts.
    pub(crate) fn all_subnets(&self) -> impl Iterator<Item = IpNet> {
        let here = self.addresses.subnets().iter().map(Subnet::prefix);
        let there = self.peers.values().flat_map(|peer| &peer.subnets);
        here.chain(there.copied())
    }

    /// Returns the address of the peer that has a port.
    pub(crate) fn peer_at(&self, port: PortNo) -> Option<IpAddr> {
        let mut peers = self.peers.iter();
        peers
            .find(|(_, peer)| peer.port == port)
            .map(|(addr, _)| *addr)
    }
}
