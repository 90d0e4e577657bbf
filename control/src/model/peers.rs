//! The hosts that take part in each overlay network.
//!
//! Where hosts route to each other, each has subnets of its own. No two of a daemon's networks overlap, be it
//! here or behind a host: its gateways could not tell where a packet belongs.

use std::net::IpAddr;

use ipnet::IpNet;
use tapweave_ipam::Subnet;
use tapweave_net::{NetworkNo, PortNo, Timestamp};

use super::Model;
use crate::datapath::{OverlaySettings, PeerSettings};
use crate::model::NetworkRecord;
use crate::records::StationPlace;
use crate::{ControlError, Id};

/// A host that takes part in a network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PeerRecord {
    /// Whether there is a way to it.
    pub(crate) place: PeerPlace,
    /// The UDP port that it listens on; none for that of the network.
    pub(crate) udp_port: Option<u16>,
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
        /// When that was.
        at: Timestamp,
    },
    /// It is no host but the network's multicast group.
    Group,
}

impl PeerRecord {
    /// Returns when it was learned, if it was.
    pub(crate) const fn learned_at(&self) -> Option<Timestamp> {
        match self.origin {
            PeerOrigin::Learned { at } => Some(at),
            PeerOrigin::Static | PeerOrigin::Group => None,
        }
    }
}

/// Whether there is a way to a peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum PeerPlace {
    /// The packet path is making its port.
    Planned,
    /// By this port.
    At(PortNo),
    /// It was restored, and its port is still to be made; why it could not.
    Waiting(String),
}

impl PeerRecord {
    /// Returns its port, if it has one.
    pub(crate) const fn port_no(&self) -> Option<PortNo> {
        match &self.place {
            PeerPlace::At(port) => Some(*port),
            PeerPlace::Planned | PeerPlace::Waiting(_) => None,
        }
    }

    /// Returns what the packet path needs to make its port.
    pub(crate) fn settings(&self, address: IpAddr) -> PeerSettings {
        PeerSettings {
            address,
            port: self.udp_port,
            subnets: self.subnets.clone(),
        }
    }
}

/// What making a peer's port needs.
#[derive(Clone, Debug)]
pub(crate) struct PlannedPeer {
    /// Id of the network.
    pub(crate) network: Id,
    /// Number of the network.
    pub(crate) number: NetworkNo,
    /// The port of the learned peer that the planned one replaces.
    pub(crate) replaced: Option<PortNo>,
}

impl Model {
    /// Takes the address and the subnets of a peer to come. A learned one makes room for one that stays.
    pub(crate) fn plan_peer(
        &mut self,
        network: &str,
        address: IpAddr,
        peer: PeerRecord,
    ) -> Result<PlannedPeer, ControlError> {
        let address = address.to_canonical();
        let record = self.network(network)?;
        record.check_open()?;
        let overlay = record.check_overlay()?;
        let name = || record.name.clone();
        match (overlay.is_routed(), peer.subnets.is_empty()) {
            (true, true) => return Err(ControlError::PeerNeedsSubnet { network: name() }),
            (false, false) => return Err(ControlError::PeerWithSubnet { network: name() }),
            (true, false) | (false, true) => {}
        }
        self.check_peer_subnets(record, &peer.subnets)?;
        let known = record.peers.get(&address);
        if known.is_some_and(|known| known.learned_at().is_none()) {
            return Err(ControlError::PeerExists {
                network: name(),
                address,
            });
        }
        let planned = PlannedPeer {
            network: record.id.clone(),
            number: record.number,
            replaced: known.and_then(PeerRecord::port_no),
        };
        let peers = &mut self.network_mut(&planned.network)?.peers;
        peers.insert(address, peer);
        Ok(planned)
    }

    /// Notes the port of a planned or waiting peer; tells whether there still is such a one.
    pub(crate) fn seat_peer(&mut self, network: &Id, address: IpAddr, port: PortNo) -> bool {
        let record = self.network_mut(network).ok();
        let peer = record.and_then(|record| record.peers.get_mut(&address.to_canonical()));
        match peer {
            Some(peer) if peer.port_no().is_none() => {
                peer.place = PeerPlace::At(port);
                true
            }
            Some(_) | None => false,
        }
    }

    /// Forgets a peer that was planned.
    pub(crate) fn unplan_peer(&mut self, network: &Id, address: IpAddr) {
        if let Ok(record) = self.network_mut(network) {
            record.peers.remove(&address.to_canonical());
        }
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

    /// Forgets the peer at `address` if it was learned, and returns its port.
    pub(crate) fn unlearn_peer(&mut self, network: &Id, address: IpAddr) -> Option<PortNo> {
        let record = self.networks.get_mut(network)?;
        record.peers.get(&address)?.learned_at()?;
        record.forget_stations_at(&StationPlace::Peer(address));
        let peer = record.peers.remove(&address)?;
        peer.port_no()
    }

    /// Finds a peer of a network that can be removed, and returns the network's id.
    pub(crate) fn peer(
        &self,
        network: &str,
        address: IpAddr,
    ) -> Result<(Id, PeerRecord), ControlError> {
        let record = self.network(network)?;
        record.check_overlay()?;
        let peer = record.peers.get(&address.to_canonical());
        let peer = peer.filter(|peer| peer.place != PeerPlace::Planned);
        match peer {
            Some(peer) if peer.origin == PeerOrigin::Group => Err(ControlError::PeerIsGroup {
                network: record.name.clone(),
                address,
            }),
            Some(peer) => Ok((record.id.clone(), peer.clone())),
            None => Err(ControlError::NoPeer {
                network: record.name.clone(),
                address,
            }),
        }
    }

    /// Forgets a peer and returns its port, if it has one.
    pub(crate) fn forget_peer(&mut self, network: &Id, address: IpAddr) -> Option<PortNo> {
        let address = address.to_canonical();
        let record = self.networks.get_mut(network)?;
        record.forget_stations_at(&StationPlace::Peer(address));
        record.peers.remove(&address)?.port_no()
    }

    /// Forgets all peers of a network and returns their ports.
    pub(crate) fn forget_peers(&mut self, id: &Id) -> Vec<PortNo> {
        self.network_mut(id).map_or_else(
            |_gone| Vec::new(),
            |record| {
                let of_peer = |at: &StationPlace| matches!(at, StationPlace::Peer(_));
                record.stations.retain(|_, at| !of_peer(at));
                let peers = std::mem::take(&mut record.peers).into_values();
                peers.filter_map(|peer| peer.port_no()).collect()
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
            .find(|(_, peer)| peer.port_no() == Some(port))
            .map(|(addr, _)| *addr)
    }
}
