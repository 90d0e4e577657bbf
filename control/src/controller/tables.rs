//! Ports, forwarding tables and figures.

use std::collections::BTreeSet;

use tapweave_net::{MacAddr, NetworkNo, PortNo, Vid};
use tapweave_switch::{FdbEntry, FdbOrigin};

use super::Controller;
use crate::api::{
    FdbAdd, FdbEntryView, FdbKind, FdbStats, MdbEntryView, Port, PortCounters, PortKind, PortState,
    PortUnderlay, Stats,
};
use crate::error::Thing;
use crate::journal::Changes;
use crate::model::{EndpointRecord, Model, NetworkRecord, PeerRecord};
use crate::records::{FdbIntent, StationPlace};
use crate::{ControlError, Name};

impl Controller {
    /// Returns the ports of one network, or of all, in order of network and sandbox.
    ///
    /// # Errors
    ///
    /// `NoSuch` or `Ambiguous` for the network.
    pub fn ports(&self, network: Option<&str>) -> Result<Vec<Port>, ControlError> {
        let mut endpoints = Vec::new();
        {
            let model = self.model();
            for network in chosen(&model, network)? {
                endpoints.extend(model.endpoints_of(&network.id).cloned());
            }
        }
        endpoints.sort_by(|a, b| (&a.network, &a.sandbox_name).cmp(&(&b.network, &b.sandbox_name)));
        Ok(endpoints
            .iter()
            .filter_map(|endpoint| self.port_view(endpoint))
            .collect())
    }

    /// Returns the port called `NETWORK/SANDBOX[:IFNAME]`.
    ///
    /// # Errors
    ///
    /// `PortSyntax`, `NoSuch` or `Ambiguous`.
    pub fn port(&self, reference: &str) -> Result<Port, ControlError> {
        let (endpoint, is_overlay) = {
            let model = self.model();
            let endpoint = find_port(&model, reference)?.clone();
            let mut networks = model.networks();
            let network = networks.find(|network| network.name == endpoint.network);
            let is_overlay = network.is_some_and(|network| network.overlay.is_some());
            (endpoint, is_overlay)
        };
        let port = self.port_view(&endpoint);
        let mut port = port.ok_or_else(|| no_such_port(reference))?;
        port.underlay = is_overlay.then(|| self.port_underlay());
        Ok(port)
    }

    /// Returns the name of the port with a number, `None` when there is none.
    pub fn port_name(&self, port: PortNo) -> Option<String> {
        let model = self.model();
        model.endpoint_at(port).map(EndpointRecord::port_name)
    }

    /// Returns the forwarding table of one network, or those of all, in order of network, MAC and
    /// VLAN.
    ///
    /// # Errors
    ///
    /// `NoSuch` or `Ambiguous` for the network.
    pub fn fdb(&self, network: Option<&str>) -> Result<Vec<FdbEntryView>, ControlError> {
        let networks = self.numbers(network)?;
        let mut views = Vec::new();
        for (name, number) in networks {
            let entries = self.datapath.fdb_entries(number);
            let model = self.model();
            views.extend(entries.iter().map(|entry| fdb_view(&model, &name, entry)));
        }
        Ok(views)
    }

    /// Makes a static entry.
    ///
    /// # Errors
    ///
    /// When network or port are not known or do not belong together, or the table refuses.
    pub fn fdb_add(&self, request: &FdbAdd) -> Result<(), ControlError> {
        let name = self.model().network(&request.network)?.name.clone();
        let _turn = self.network_turns.take(&name);
        let station = (request.mac, request.vlan);
        let (id, number, at, port, before) = {
            let mut model = self.model();
            let network = model.network(name.as_str())?;
            network.check_open()?;
            let (at, port) = station_place(&model, network, request)?;
            let (id, number) = (network.id.clone(), network.number);
            let before = model.set_station(&id, station, Some(at.clone()));
            (id, number, at, port, before)
        };
        let (mac, vlan) = station;
        let intent = FdbIntent {
            network: id.clone(),
            mac,
            vlan,
            at,
        };
        let added = self.datapath.fdb_add(number, mac, vlan, port);
        let stored = added.map_err(ControlError::from).and_then(|()| {
            let mut changes = Changes::default();
            changes.put(&intent)?;
            self.journal.write(changes).inspect_err(|_not_stored| {
                self.datapath.fdb_del(number, mac, vlan);
            })
        });
        if stored.is_err() {
            // What it replaced comes back at the next audit.
            self.model().set_station(&id, station, before);
        }
        stored
    }

    /// Removes an entry of a VLAN or of none, learned or static.
    ///
    /// # Errors
    ///
    /// `NoFdbEntry`; `NoSuch` or `Ambiguous` for the network.
    pub fn fdb_del(
        &self,
        network: &str,
        mac: MacAddr,
        vlan: Option<Vid>,
    ) -> Result<(), ControlError> {
        let name = self.model().network(network)?.name.clone();
        let _turn = self.network_turns.take(&name);
        let (id, number, is_static) = {
            let model = self.model();
            let network = model.network(name.as_str())?;
            let is_static = network.stations.contains_key(&(mac, vlan));
            (network.id.clone(), network.number, is_static)
        };
        if is_static {
            let mut changes = Changes::default();
            changes.delete(&FdbIntent::key_of(&id, (mac, vlan)))?;
            self.journal.write(changes)?;
            self.model().set_station(&id, (mac, vlan), None);
        }
        if self.datapath.fdb_del(number, mac, vlan) || is_static {
            return Ok(());
        }
        let entries = self.datapath.fdb_entries(number);
        let others = entries.iter().filter(|entry| entry.mac == mac);
        Err(ControlError::NoFdbEntry {
            network: name,
            mac,
            vlan,
            others: others.map(|entry| entry.vid).collect(),
        })
    }

    /// Removes the learned entries of one network, or of all, and returns how many there were.
    ///
    /// # Errors
    ///
    /// `NoSuch` or `Ambiguous` for the network.
    pub fn fdb_flush(&self, network: Option<&str>) -> Result<usize, ControlError> {
        let networks = self.numbers(network)?;
        Ok(networks
            .into_iter()
            .map(|(_, number)| self.datapath.fdb_flush(number))
            .sum())
    }

    /// Returns the multicast database of one network, or those of all, in order of network: routers
    /// first, then VLANs, groups and ports.
    ///
    /// # Errors
    ///
    /// `NoSuch` or `Ambiguous` for the network.
    pub fn mdb(&self, network: Option<&str>) -> Result<Vec<MdbEntryView>, ControlError> {
        let networks = self.numbers(network)?;
        let mut views = Vec::new();
        for (name, number) in networks {
            let entries = self.datapath.mdb_entries(number);
            let model = self.model();
            views.extend(entries.iter().map(|entry| {
                let port = model.endpoint_at(entry.port);
                MdbEntryView::new(name.clone(), port.map(EndpointRecord::port_name), entry)
            }));
        }
        Ok(views)
    }

    /// Returns figures of the whole daemon.
    pub fn stats(&self) -> Stats {
        let (endpoints, networks, sandboxes) = {
            let model = self.model();
            let networks: Vec<_> = model
                .networks()
                .map(|network| {
                    (
                        network.name.clone(),
                        network.number,
                        network.settings.fdb_limit,
                    )
                })
                .collect();
            let endpoints: Vec<_> = model
                .networks()
                .flat_map(|network| model.endpoints_of(&network.id))
                .filter_map(EndpointRecord::port_no)
                .collect();
            (endpoints, networks, model.sandboxes().count())
        };
        let mut total = PortCounters::default();
        for stats in endpoints
            .iter()
            .filter_map(|port| self.datapath.port_stats(*port))
        {
            total.add(&PortCounters::from(&stats));
        }
        let fdb = networks
            .into_iter()
            .map(|(network, number, limit)| FdbStats {
                network,
                entries: self.datapath.fdb_entries(number).len(),
                limit,
            });
        let fdb: Vec<_> = fdb.collect();
        Stats {
            networks: fdb.len(),
            sandboxes,
            ports: endpoints.len(),
            fdb,
            repairs: self.repairs(),
            carried: self.datapath.carried(),
            uplink: self.datapath.uplink(),
            nat: self.datapath.nat_stats(),
            services: self.service_stats(),
            workers: self.datapath.worker_stats(),
            underlay: self.datapath.underlay(),
            total,
        }
    }

    fn numbers(&self, network: Option<&str>) -> Result<Vec<(Name, NetworkNo)>, ControlError> {
        let model = self.model();
        let networks = chosen(&model, network)?;
        Ok(networks
            .into_iter()
            .map(|network| (network.name.clone(), network.number))
            .collect())
    }

    fn port_view(&self, endpoint: &EndpointRecord) -> Option<Port> {
        let port = endpoint.port_no();
        let stats = port.and_then(|port| self.datapath.port_stats(port));
        Some(Port {
            endpoint: endpoint.view()?,
            kind: PortKind::Tap,
            state: match (port, &stats) {
                (_, Some(_)) => PortState::Up,
                (Some(_), None) => PortState::Gone,
                (None, None) => PortState::Waiting,
            },
            counters: stats.as_ref().map(PortCounters::from).unwrap_or_default(),
            underlay: None,
        })
    }

    fn port_underlay(&self) -> PortUnderlay {
        let workers = self.datapath.worker_stats();
        let loops: BTreeSet<_> = workers.into_iter().map(|worker| worker.backend).collect();
        PortUnderlay {
            addresses: self.datapath.underlay().addresses,
            event_loops: loops.into_iter().collect(),
        }
    }
}

/// Returns one network, or all.
pub(super) fn chosen<'m>(
    model: &'m Model,
    network: Option<&str>,
) -> Result<Vec<&'m NetworkRecord>, ControlError> {
    match network {
        Some(reference) => Ok(vec![model.network(reference)?]),
        None => Ok(model.networks().collect()),
    }
}

/// Returns where `request` says that a station is, and the port there.
fn station_place(
    model: &Model,
    network: &NetworkRecord,
    request: &FdbAdd,
) -> Result<(StationPlace, PortNo), ControlError> {
    let wanted = match (&request.port, request.vtep) {
        (Some(port), None) => port,
        (None, Some(address)) => {
            network.check_overlay()?;
            let address = address.to_canonical();
            let peer = network.peers.get(&address);
            let port = peer.and_then(PeerRecord::port_no);
            let port = port.ok_or_else(|| ControlError::NoPeer {
                network: network.name.clone(),
                address,
            })?;
            return Ok((StationPlace::Peer(address), port));
        }
        _ => return Err(ControlError::PortOrVtep),
    };
    let endpoint = find_port(model, wanted)?;
    if endpoint.network_id != network.id {
        return Err(ControlError::PortElsewhere {
            port: wanted.clone(),
            network: network.name.clone(),
        });
    }
    if !endpoint.vlans.carries(request.vlan) {
        return Err(ControlError::PortNotInVlan {
            port: endpoint.port_name(),
            vlan: request.vlan,
            vlans: endpoint.vlans.clone(),
        });
    }
    let port = port_no(endpoint, wanted)?;
    Ok((StationPlace::Endpoint(endpoint.id.clone()), port))
}

fn find_port<'m>(model: &'m Model, reference: &str) -> Result<&'m EndpointRecord, ControlError> {
    let syntax = || ControlError::PortSyntax {
        text: reference.to_owned(),
    };
    let (network, rest) = reference.split_once('/').ok_or_else(syntax)?;
    let (sandbox, ifname) = match rest.split_once(':') {
        Some((sandbox, ifname)) => (sandbox, Some(ifname)),
        None => (rest, None),
    };
    let endpoint = model.endpoint_between(model.network(network)?, model.sandbox(sandbox)?);
    let view = endpoint.and_then(EndpointRecord::view);
    let known = view.map(|view| format!("{network}/{sandbox}:{}", view.ifname));
    endpoint
        .filter(|endpoint| {
            endpoint
                .view()
                .is_some_and(|view| ifname.is_none_or(|ifname| view.ifname == ifname))
        })
        .ok_or_else(|| no_such_port(reference).or_meant(known.as_deref()))
}

fn port_no(endpoint: &EndpointRecord, reference: &str) -> Result<PortNo, ControlError> {
    endpoint.port_no().ok_or_else(|| no_such_port(reference))
}

fn no_such_port(reference: &str) -> ControlError {
    ControlError::no_such(Thing::Port, reference.to_owned())
}

fn fdb_view(model: &Model, network: &Name, entry: &FdbEntry) -> FdbEntryView {
    FdbEntryView {
        mac: entry.mac,
        vlan: entry.vid,
        network: network.clone(),
        port: model.endpoint_at(entry.port).map(EndpointRecord::port_name),
        vtep: model
            .network(network.as_str())
            .ok()
            .and_then(|network| network.peer_at(entry.port)),
        age_ms: u64::try_from(entry.age.as_millis()).unwrap_or(u64::MAX),
        kind: match entry.origin {
            FdbOrigin::Learned => FdbKind::Learned,
            FdbOrigin::Sticky => FdbKind::Sticky,
            FdbOrigin::Static => FdbKind::Static,
        },
    }
}
