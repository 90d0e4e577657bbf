//! What exists, and the snapshot that is made of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tapweave_net::{MacAddr, NetworkNo, PortNo};

use crate::counters::PortCounters;
use crate::fdb::Fdb;
use crate::gateway::{Endpoint, Gateway, Hosts, Remote, Router, StaticNeighbors, Uplink};
use crate::multicast::Snooping;
use crate::port_pool::PortPool;
use crate::probing::AddressWatch;
use crate::service::{PortPlaces, Services};
use crate::snapshot::{Member, Network, Port, Snapshot, Translator};
use crate::storm::StormMeters;
use crate::{PortConfig, RemoteConfig, StormLimits, Suppression};

/// What the next snapshot is made of.
#[derive(Default)]
pub(super) struct Control {
    pub(super) last_network: u32,
    pub(super) networks: BTreeMap<NetworkNo, ControlNetwork>,
    pub(super) ports: BTreeMap<PortNo, ControlPort>,
    pub(super) uplinks: BTreeMap<PortNo, Uplink>,
    pub(super) remotes: BTreeMap<PortNo, ControlRemote>,
    pub(super) translator: Option<Translator>,
    pub(super) pool: PortPool,
    /// Removed ports that workers may still know, with the tables of their network.
    pub(super) retired: BTreeMap<PortNo, Tables>,
    /// Removed uplinks and remote hosts that workers may still know.
    pub(super) retired_routed: BTreeSet<PortNo>,
    /// The network and bucket where the next sweep begins; none for the first.
    pub(super) sweep: Option<(NetworkNo, usize)>,
}

pub(super) struct ControlNetwork {
    pub(super) mtu: u16,
    pub(super) storm: StormLimits,
    pub(super) gateway: Option<Arc<Gateway>>,
    pub(super) services: Services,
    pub(super) suppression: Suppression,
    pub(super) address_watch: Arc<AddressWatch>,
    pub(super) neighbors: Arc<StaticNeighbors>,
    pub(super) tables: Tables,
}

/// What a network has learned.
#[derive(Clone)]
pub(super) struct Tables {
    pub(super) fdb: Arc<Fdb>,
    pub(super) snooping: Option<Arc<Snooping>>,
}

pub(super) struct ControlRemote {
    pub(super) network: NetworkNo,
    pub(super) config: Arc<RemoteConfig>,
    pub(super) counters: Arc<PortCounters>,
}

pub(super) struct ControlPort {
    pub(super) network: NetworkNo,
    pub(super) config: PortConfig,
    pub(super) storm: Option<Arc<StormMeters>>,
    pub(super) counters: Arc<PortCounters>,
    pub(super) places: Arc<PortPlaces>,
}

impl Control {
    /// Returns who is known in a network.
    fn hosts(&self, no: NetworkNo, network: &ControlNetwork) -> Hosts {
        if network.gateway.is_none() && network.suppression == Suppression::Off {
            return Hosts::default();
        }
        let ports = self.ports.iter();
        let ports = ports.filter(|(_, port)| port.network == no);
        let endpoints = ports.filter_map(|(&port, inner)| {
            Some(Endpoint {
                port,
                vlans: &inner.config.vlans,
                addresses: inner.config.addresses.as_deref()?,
                // A guard lets nobody advertise itself as a router.
                may_route: inner.config.guard.is_none(),
            })
        });
        Hosts::new(endpoints, Arc::clone(&network.neighbors))
    }

    /// Returns what the workers are to see.
    pub(super) fn snapshot(&self, generation: u64) -> Snapshot {
        let mut members: BTreeMap<NetworkNo, Vec<Member>> = BTreeMap::new();
        for (&port, inner) in &self.ports {
            members.entry(inner.network).or_default().push(Member {
                port,
                isolation: inner.config.isolation,
                flooding: inner.config.flooding,
                vlans: inner.config.vlans.clone(),
                is_endpoint: inner.config.addresses.is_some(),
            });
        }
        let networks: BTreeMap<_, _> = self
            .networks
            .iter()
            .map(|(&no, network)| {
                let network = Network {
                    no,
                    mtu: network.mtu,
                    fdb: Arc::clone(&network.tables.fdb),
                    snooping: network.tables.snooping.clone(),
                    gateway: network.gateway.clone(),
                    gateway_mac: network
                        .gateway
                        .as_ref()
                        .map_or(MacAddr::BROADCAST, |gateway| gateway.config.mac),
                    services: network.services.clone(),
                    suppression: network.suppression,
                    address_watch: Arc::clone(&network.address_watch),
                    hosts: self.hosts(no, network),
                    members: members.remove(&no).unwrap_or_default().into_boxed_slice(),
                };
                (no, Arc::new(network))
            })
            .collect();
        let len = self.ports.keys().map(|port| port.index() + 1).max();
        let mut ports: Vec<Option<Port>> = Vec::new();
        ports.resize_with(len.unwrap_or(0), || None);
        for (&no, inner) in &self.ports {
            let network = networks.get(&inner.network);
            if let (Some(network), Some(place)) = (network, ports.get_mut(no.index())) {
                *place = Some(Port {
                    no,
                    isolation: inner.config.isolation,
                    vlans: inner.config.vlans.clone(),
                    guard: inner.config.guard.clone(),
                    stations: inner.config.stations,
                    mac_limit: inner.config.mac_limit,
                    storm: inner.storm.clone(),
                    network: Arc::clone(network),
                    counters: Arc::clone(&inner.counters),
                    places: Arc::clone(&inner.places),
                });
            }
        }
        let subnets = self.networks.iter().filter_map(|(&no, network)| {
            let gateway = network.gateway.as_deref()?;
            let own = gateway.config.addresses.iter();
            Some(own.map(move |own| (*own, no)))
        });
        let remotes = self.remotes.iter().filter_map(|(&no, remote)| {
            Some(Arc::new(Remote {
                no,
                network: Arc::clone(networks.get(&remote.network)?),
                config: Arc::clone(&remote.config),
                counters: Arc::clone(&remote.counters),
            }))
        });
        let router = Router::new(
            subnets.flatten().collect(),
            &remotes.collect::<Vec<_>>(),
            self.uplinks.values().cloned().collect(),
        );
        Snapshot {
            generation,
            ports: ports.into_boxed_slice(),
            networks,
            router,
            translator: self.translator.clone(),
        }
    }
}

impl Tables {
    /// Removes all that is known of a port, static entries too.
    pub(super) fn forget(&self, port: PortNo) {
        self.fdb.remove_where(|_, at| at == port);
        if let Some(snooping) = &self.snooping {
            snooping.remove_port(port);
        }
    }
}
