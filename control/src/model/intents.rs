//! What is stored of what exists: the model as records.

use std::net::IpAddr;

use ipnet::IpNet;
use tapweave_net::{MacAddr, Vid};
use tapweave_switch::StaticNeighbor;

use super::{EndpointRecord, Model, NetworkRecord, PeerOrigin, SandboxRecord};
use crate::datapath::{Addressing, Isolation, Offloading, PublishedPorts, Transport};
use crate::records::{
    AddressingIntent, DnsNameIntent, EndpointIntent, FdbIntent, LeaseIntent, NamespaceIntent,
    NeighborIntent, NetworkIntent, PeerIntent, ProtocolIntent, PublishedIntent, Record,
    RecordError, RestingIntent, SandboxIntent, StaticLeaseIntent, StationPlace, encode,
};
use crate::{Id, Name};

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
            LeaseIntent::FOLDER => {
                let address = rest.parse().ok()?;
                Some(encode(&self.lease_intent(id, address)?))
            }
            StaticLeaseIntent::FOLDER => {
                let address = rest.parse().ok()?;
                Some(encode(&network()?.static_lease_intent(address)?))
            }
            DnsNameIntent::FOLDER => {
                let (name, address) = rest.split_once('/')?;
                let stated = (name.parse().ok()?, address.parse().ok()?);
                Some(encode(&network()?.name_intent(&stated)?))
            }
            RestingIntent::FOLDER => {
                let address = rest.parse().ok()?;
                Some(encode(&network()?.resting_intent(address)?))
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

    /// Notes an address of a static name; tells whether it was not there.
    pub(crate) fn add_name(&mut self, network: &Id, stated: (Name, IpAddr)) -> bool {
        let network = self.networks.get_mut(network);
        network.is_some_and(|network| network.names.insert(stated))
    }

    /// Forgets an address of a static name.
    pub(crate) fn forget_name(&mut self, network: &Id, stated: &(Name, IpAddr)) {
        if let Some(network) = self.networks.get_mut(network) {
            network.names.remove(stated);
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

    /// Returns what is stored of an address of a static name.
    fn name_intent(&self, stated: &(Name, IpAddr)) -> Option<DnsNameIntent> {
        let (name, address) = self.names.get(stated)?;
        Some(DnsNameIntent {
            network: self.id.clone(),
            name: name.clone(),
            address: *address,
        })
    }

    /// Returns what is stored of all static names.
    pub(crate) fn name_intents(&self) -> impl Iterator<Item = DnsNameIntent> {
        let names = self.names.iter();
        names.filter_map(|stated| self.name_intent(stated))
    }

    /// Returns what is stored of an address that rests.
    fn resting_intent(&self, address: IpAddr) -> Option<RestingIntent> {
        let owner = self.addresses.last_owner(address)?;
        Some(RestingIntent {
            network: self.id.clone(),
            address,
            sandbox: sandbox_of(owner)?,
        })
    }

    /// Returns what is stored of all addresses that rest, the one released first coming first in each subnet.
    pub(crate) fn resting_intents(&self) -> impl Iterator<Item = RestingIntent> {
        self.addresses.released().filter_map(|released| {
            Some(RestingIntent {
                network: self.id.clone(),
                address: released.address,
                sandbox: sandbox_of(&released.owner)?,
            })
        })
    }

    /// Returns what is stored of the addresses of a sandbox in this network once it has gone.
    pub(crate) fn resting_after<'n>(
        &'n self,
        addresses: &'n [IpNet],
        sandbox: &'n Name,
    ) -> impl Iterator<Item = RestingIntent> + use<'n> {
        let addresses = addresses.iter().map(IpNet::addr);
        let resting = addresses.filter(|address| self.addresses.will_rest(*address));
        resting.map(|address| RestingIntent {
            network: self.id.clone(),
            address,
            sandbox: sandbox.clone(),
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
            addressing: match self.addressing {
                Addressing::Static => AddressingIntent::Static,
                Addressing::Dhcp => AddressingIntent::Dhcp,
            },
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
            published: self
                .published
                .iter()
                .map(|publication| PublishedIntent::from(&publication.ports))
                .collect(),
        })
    }
}

/// Returns the sandbox that ipam knows as `owner`.
fn sandbox_of(owner: &str) -> Option<Name> {
    let (_network, sandbox) = owner.split_once('/')?;
    sandbox.parse().ok()
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
