//! Neighbours: what ARP and ND suppression answers from.

use std::collections::BTreeMap;
use std::net::IpAddr;

use tapweave_net::MacAddr;
use tapweave_switch::{NeighborAt, StaticNeighbor, Suppression};
use tracing::info;

use super::Controller;
use super::tables::chosen;
use crate::ControlError;
use crate::api::{NeighborAdd, NeighborKind, NeighborView};
use crate::journal::Changes;
use crate::model::{EndpointRecord, NetworkRecord};
use crate::records::NeighborIntent;

impl Controller {
    /// Returns the neighbours that are answered for in one network, or in all, in order of network and address.
    ///
    /// # Errors
    ///
    /// `NoSuch` or `Ambiguous` for the network.
    pub fn neighbors(&self, network: Option<&str>) -> Result<Vec<NeighborView>, ControlError> {
        let networks: Vec<_> = {
            let model = self.model();
            let networks = chosen(&model, network)?.into_iter();
            let answering = networks.filter(|network| network.suppression() == Suppression::On);
            answering
                .map(|network| (network.name.clone(), network.number))
                .collect()
        };
        let mut views = Vec::new();
        for (name, number) in networks {
            let neighbors = self.datapath.neighbors(number);
            let entries = self.datapath.fdb_entries(number);
            let places: BTreeMap<MacAddr, _> = entries
                .iter()
                .filter(|entry| entry.vid.is_none())
                .map(|entry| (entry.mac, entry.port))
                .collect();
            let model = self.model();
            let record = model.network(name.as_str()).ok();
            views.extend(neighbors.iter().map(|neighbor| {
                let (kind, router, at) = match neighbor.at {
                    NeighborAt::Port(port) => (NeighborKind::Sandbox, false, Some(port)),
                    NeighborAt::Stated { is_router } => {
                        let at = places.get(&neighbor.mac).copied();
                        (NeighborKind::Static, is_router, at)
                    }
                };
                NeighborView {
                    network: name.clone(),
                    address: neighbor.address,
                    mac: neighbor.mac,
                    kind,
                    router,
                    port: at
                        .and_then(|port| model.endpoint_at(port))
                        .map(EndpointRecord::port_name),
                    vtep: at.and_then(|port| record.and_then(|record| record.peer_at(port))),
                }
            }));
        }
        Ok(views)
    }

    /// States the MAC address of a neighbour, in the place of what was stated before.
    ///
    /// # Errors
    ///
    /// `NoSuch` or `Ambiguous` for the network, `NoSuppression`; `AddressInUse` when a sandbox of this host has the
    /// address; what the packet path says.
    pub fn neighbor_add(&self, request: &NeighborAdd) -> Result<(), ControlError> {
        let address = request.address.to_canonical();
        let name = self.model().network(&request.network)?.name.clone();
        let _turn = self.network_turns.take(&name);
        let station = StaticNeighbor {
            mac: request.mac,
            is_router: request.router,
        };
        let (id, number, before) = {
            let mut model = self.model();
            let network = model.network(name.as_str())?;
            network.check_open()?;
            network.check_suppression()?;
            let mut endpoints = model.endpoints_of(&network.id);
            let has = |endpoint: &&EndpointRecord| {
                let mut own = endpoint.addresses.iter();
                own.any(|own| own.addr() == address)
            };
            if let Some(endpoint) = endpoints.find(has) {
                return Err(ControlError::AddressInUse {
                    address,
                    port: endpoint.port_name(),
                });
            }
            drop(endpoints);
            let (id, number) = (network.id.clone(), network.number);
            let before = model.set_neighbor(&id, address, Some(station));
            (id, number, before)
        };
        let intent = NeighborIntent {
            network: id.clone(),
            address,
            mac: station.mac,
            router: station.is_router,
        };
        let added = self.datapath.neighbor_add(number, address, station);
        let stored = added.map_err(ControlError::from).and_then(|()| {
            let mut changes = Changes::default();
            changes.put(&intent)?;
            self.journal.write(changes).inspect_err(|_not_stored| {
                self.datapath.neighbor_del(number, address);
            })
        });
        match stored {
            Ok(()) => info!(network = %name, mac = %request.mac, "neighbour added"),
            Err(_) => {
                // What it replaced comes back at the next audit.
                self.model().set_neighbor(&id, address, before);
            }
        }
        stored
    }

    /// Takes back what was stated of a neighbour.
    ///
    /// # Errors
    ///
    /// `NoSuch` or `Ambiguous` for the network; `NoNeighbor`.
    pub fn neighbor_del(&self, network: &str, address: IpAddr) -> Result<(), ControlError> {
        let address = address.to_canonical();
        let name = self.model().network(network)?.name.clone();
        let _turn = self.network_turns.take(&name);
        let (id, number, is_known) = {
            let model = self.model();
            let network = model.network(name.as_str())?;
            let is_known = network.neighbors.contains_key(&address);
            (network.id.clone(), network.number, is_known)
        };
        if is_known {
            let mut changes = Changes::default();
            changes.delete(&NeighborIntent::key_of(&id, address))?;
            self.journal.write(changes)?;
            self.model().set_neighbor(&id, address, None);
        }
        if self.datapath.neighbor_del(number, address) || is_known {
            return Ok(());
        }
        Err(ControlError::NoNeighbor {
            network: name,
            address,
        })
    }
}

impl NetworkRecord {
    /// Tells whether questions for neighbours are answered.
    const fn suppression(&self) -> Suppression {
        self.settings.suppression
    }

    /// Refuses where questions for neighbours are not answered.
    fn check_suppression(&self) -> Result<(), ControlError> {
        match self.suppression() {
            Suppression::On => Ok(()),
            Suppression::Off => Err(ControlError::NoSuppression {
                network: self.name.clone(),
            }),
        }
    }
}
