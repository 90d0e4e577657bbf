//! The hosts that take part in each overlay network.

use std::net::IpAddr;

use tapweave_net::{NetworkNo, PortNo};

use super::Model;
use crate::ControlError;
use crate::model::NetworkRecord;

impl Model {
    /// Returns the number of an overlay network that may get a peer at `address`.
    pub(crate) fn check_peer(
        &self,
        network: &str,
        address: IpAddr,
    ) -> Result<NetworkNo, ControlError> {
        let network = self.network(network)?;
        network.check_open()?;
        network.check_overlay()?;
        if network.peers.contains_key(&address.to_canonical()) {
            return Err(ControlError::PeerExists {
                network: network.name.clone(),
                address,
            });
        }
        Ok(network.number)
    }

    /// Notes the port of a peer, unless the network has gone meanwhile.
    pub(crate) fn seat_peer(
        &mut self,
        network: NetworkNo,
        address: IpAddr,
        port: PortNo,
    ) -> Result<(), ControlError> {
        let mut networks = self.networks.values_mut();
        let record = networks.find(|record| record.number == network);
        let record = record.ok_or_else(|| ControlError::NoSuch {
            what: crate::Thing::Network,
            reference: network.0.to_string(),
        })?;
        record.check_open()?;
        record.peers.insert(address.to_canonical(), port);
        Ok(())
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
        let port = record.peers.remove(&address.to_canonical());
        port.ok_or_else(|| ControlError::NoPeer {
            network: record.name.clone(),
            address,
        })
    }

    /// Forgets all peers of a network and returns their ports.
    pub(crate) fn forget_peers(&mut self, id: &crate::Id) -> Vec<PortNo> {
        self.network_mut(id).map_or_else(
            |_gone| Vec::new(),
            |record| std::mem::take(&mut record.peers).into_values().collect(),
        )
    }
}

impl NetworkRecord {
    /// Refuses what only an overlay has.
    pub(crate) fn check_overlay(&self) -> Result<(), ControlError> {
        if self.overlay.is_some() {
            return Ok(());
        }
        Err(ControlError::NoOverlay {
            network: self.name.clone(),
        })
    }

    /// Returns the address of the peer that has a port.
    pub(crate) fn peer_at(&self, port: PortNo) -> Option<IpAddr> {
        let mut peers = self.peers.iter();
        peers.find(|(_, at)| **at == port).map(|(addr, _)| *addr)
    }
}
