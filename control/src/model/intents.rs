//! What is stored of what exists: the model as records.

use std::net::IpAddr;

use tapweave_net::{MacAddr, Vid};
use tapweave_switch::StaticNeighbor;

use super::{EndpointRecord, Model, NetworkRecord, PeerOrigin, SandboxRecord};
use crate::Id;
use crate::datapath::{Isolation, Offloading, PublishedPorts, Transport};
use crate::records::{
    EndpointIntent, FdbIntent, NamespaceIntent, NeighborIntent, NetworkIntent, PeerIntent,
    ProtocolIntent, PublishedIntent, Record, RecordError, SandboxIntent, StationPlace, encode,
};

impl Model {
    /// Returns what is stored of an endpoint, `None` when there is none or while it is planned.
    pub(crate) fn endpoint_intent(&self, id: &str) -> Option<EndpointIntent> {
        let endpoint = self.endpoints.get(id)?;
        let sandbox = self.sandboxes.get(&endpoint.sandbox)?;
        endpoint.intent(&sandbox.id)
    }

    /// Returns what is stored of a sandbox that was opened in this boot of the machine.
    pub(crate) fn sandbox_intent(&self, id: &str, boot: &str) -> Option<SandboxIntent> {
        let number = self.sandbox_ids.get(id)?;
        Some(self.sandboxes.get(number)?.intent(boot))
    }

    /// Returns the record that belongs under a key of the store, `None` when there should be none.
    pub(crate) fn stored(&self, key: &str, boot: &str) -> Option<Result<Vec<u8>, RecordError>> {
        let (folder, path) = key.split_at_checked(key.find('/')? + 1)?;
        let (id, rest) = path.split_once('/').unwrap_or((path, ""));
        let network = || self.networks.get(id);
        match folder {
            NetworkIntent::FOLDER => Some(encode(&network()?.intent)),
            SandboxIntent::FOLDER => Some(encode(&self.sandbox_intent(id, boot)?)),
            EndpointIntent::FOLDER => Some(encode(&self.endpoint_intent(id)?)),
            PeerIntent::FOLDER => {
                let address = rest.parse().ok()?;
                Some(encode(&network()?.peer_intent(address)?))
            }
            NeighborIntent::FOLDER => {
                let address = rest.parse().ok()?;
                Some(encode(&network()?.neighbor_intent(address)?))
            }
            FdbIntent::FOLDER => {
                let (mac, vlan) = rest.split_once('/')?;
                let station = (mac.parse().ok()?, vlan.parse().ok());
                Some(encode(&network()?.station_intent(station)?))
            }
            _ => None,
        }
    }

    /// Notes a static FDB entry, or none, and returns the one before.
    pub(crate) fn set_station(
        &mut self,
        network: &Id,
        station: (MacAddr, Option<Vid>),
        at: Option<StationPlace>,
    ) -> Option<StationPlace> {
        let stations = &mut self.networks.get_mut(network)?.stations;
        match at {
            Some(at) => stations.insert(station, at),
            None => stations.remove(&station),
        }
    }

    /// Notes a static neighbour, or none, and returns the one before.
    pub(crate) fn set_neighbor(
        &mut self,
        network: &Id,
        address: IpAddr,
        neighbor: Option<StaticNeighbor>,
    ) -> Option<StaticNeighbor> {
        let neighbors = &mut self.networks.get_mut(network)?.neighbors;
        match neighbor {
            Some(neighbor) => neighbors.insert(address, neighbor),
            None => neighbors.remove(&address),
        }
    }

    /// Finds a network by its whole id.
    pub(crate) fn network_by_id(&self, id: &str) -> Option<&NetworkRecord> {
        self.networks.get(id)
    }
}

impl NetworkRecord {
    /// Returns what is stored of a peer, `None` for none and for one that nobody asked for.
    pub(crate) fn peer_intent(&self, address: IpAddr) -> Option<PeerIntent> {
        let peer = self.peers.get(&address)?;
        (peer.origin == PeerOrigin::Static).then(|| PeerIntent {
            network: self.id.clone(),
            address,
            udp_port: peer.udp_port,
            subnets: peer.subnets.clone(),
        })
    }

    /// Returns what is stored of a static neighbour.
    pub(crate) fn neighbor_intent(&self, address: IpAddr) -> Option<NeighborIntent> {
        let StaticNeighbor { mac, is_router } = *self.neighbors.get(&address)?;
        Some(NeighborIntent {
            network: self.id.clone(),
            address,
            mac,
            router: is_router,
        })
    }

    /// Returns what is stored of a static FDB entry.
    pub(crate) fn station_intent(&self, station: (MacAddr, Option<Vid>)) -> Option<FdbIntent> {
        let at = self.stations.get(&station)?;
        let (mac, vlan) = station;
        Some(FdbIntent {
            network: self.id.clone(),
            mac,
            vlan,
            at: at.clone(),
        })
    }

    /// Returns the static FDB entries that go when `place` goes.
    pub(crate) fn stations_at(
        &self,
        place: &StationPlace,
    ) -> impl Iterator<Item = (MacAddr, Option<Vid>)> {
        let stations = self.stations.iter();
        stations.filter_map(move |(station, at)| (at == place).then_some(*station))
    }
}

impl SandboxRecord {
    /// Returns what is stored of it.
    pub(crate) fn intent(&self, boot: &str) -> SandboxIntent {
        SandboxIntent {
            id: self.id.clone(),
            name: self.name.clone(),
            namespace: NamespaceIntent::from(&self.namespace),
            dev: self.identity.id.dev,
            ino: self.identity.id.ino,
            mark: self.identity.mark.0,
            boot: boot.to_owned(),
        }
    }
}

impl EndpointRecord {
    /// Returns what is stored of it, `None` while it is planned.
    fn intent(&self, sandbox: &Id) -> Option<EndpointIntent> {
        Some(EndpointIntent {
            id: self.id.clone(),
            network: self.network_id.clone(),
            sandbox: sandbox.clone(),
            asked_ifname: self.ifname.clone(),
            ifname: self.ifname_given()?.to_owned(),
            mac: self.mac,
            addresses: self.addresses.clone(),
            aliases: self.aliases.clone(),
            queues: self.queue_count,
            offload: self.offload == Offloading::On,
            isolated: self.isolation == Isolation::Isolated,
            vlan: self.vlans.untagged(),
            trunk: self.vlans.tagged().cloned(),
            guard: self.rules.guard(),
            allowed: self.rules.allowed.clone(),
            stations: self.rules.stations_intent(),
            mac_limit: self.rules.mac_limit,
            connection_limit: self.rules.connections.count,
            connection_rate: self.rules.connections.per_second,
            gw_priority: self.gateway_priority,
            route_metric: self.route_metric,
            published: self.published.iter().map(PublishedIntent::from).collect(),
        })
    }
}

impl From<&PublishedPorts> for PublishedIntent {
    fn from(ports: &PublishedPorts) -> Self {
        Self {
            protocol: match ports.transport {
                Transport::Tcp => ProtocolIntent::Tcp,
                Transport::Udp => ProtocolIntent::Udp,
            },
            host: ports.host,
            host_ports: ports.host_ports,
            target: ports.target,
            target_ports: ports.target_ports,
        }
    }
}
