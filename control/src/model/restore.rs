//! Makes the model of what was stored.
//!
//! Everything has its id, its addresses and its MAC from the first moment, so that no request can take them;
//! namespaces are opened and ports are made later, when what there is is compared with it. What belongs to
//! something that is not stored is what a removal left when it was cut short: it is not restored, and its
//! record goes.

use std::collections::BTreeMap;

use tapweave_ipam::Released;
use tapweave_net::NetworkNo;
use tapweave_switch::{PortVlans, StaticNeighbor};

use super::{
    EndpointRecord, Model, NetworkRecord, PeerOrigin, PeerPlace, PeerRecord, Place, PortRules,
    Publication, SandboxRecord, Waiting,
};
use crate::ControlError;
use crate::datapath::{
    Addressing, Isolation, Offloading, OpenedNamespace, PublishedPorts, SandboxNo, Transport,
};
use crate::records::{
    AddressingIntent, DnsNameIntent, EndpointIntent, FdbIntent, NeighborIntent, PeerIntent,
    ProtocolIntent, PublishedIntent, RestingIntent, SandboxIntent, StationPlace,
};

/// Why something that is restored is not there yet, until that was tried.
pub(crate) const NOT_TRIED: &str = "it was not there yet when the daemon started";

/// Whether something was restored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Restored {
    /// It is in the model.
    Yes,
    /// What it belongs to is gone.
    Leftover,
}

impl Model {
    /// Takes name, namespace and id of a sandbox, and returns its number.
    ///
    /// # Errors
    ///
    /// When another one has the name.
    pub(crate) fn restore_sandbox(
        &mut self,
        intent: SandboxIntent,
    ) -> Result<SandboxNo, ControlError> {
        if self.sandbox_names.contains_key(&intent.name) {
            return Err(ControlError::SandboxElsewhere {
                sandbox: intent.name,
            });
        }
        self.last_sandbox += 1;
        let number = SandboxNo(self.last_sandbox);
        let (id, mark) = intent.identity();
        self.sandbox_names.insert(intent.name.clone(), number);
        self.sandbox_ids.insert(intent.id.clone(), number);
        let record = SandboxRecord {
            number,
            namespace: intent.reference(),
            id: intent.id,
            name: intent.name,
            identity: OpenedNamespace { id, mark },
            problem: Some(NOT_TRIED.to_owned()),
            endpoints: BTreeMap::new(),
        };
        self.sandboxes.insert(number, record);
        Ok(number)
    }

    /// Takes addresses and MAC of an endpoint.
    ///
    /// # Errors
    ///
    /// When an address is not the network's to give or not free, or the sandbox is in the network already.
    pub(crate) fn restore_endpoint(
        &mut self,
        intent: EndpointIntent,
    ) -> Result<Restored, ControlError> {
        let Some(network) = self.networks.get_mut(&intent.network) else {
            return Ok(Restored::Leftover);
        };
        let number = self.sandbox_ids.get(&intent.sandbox);
        let Some(sandbox) = number.and_then(|number| self.sandboxes.get_mut(number)) else {
            return Ok(Restored::Leftover);
        };
        if sandbox.endpoints.contains_key(&network.id) {
            return Err(ControlError::AlreadyConnected {
                sandbox: sandbox.name.clone(),
                network: network.name.clone(),
            });
        }
        let owner = network.owner(&sandbox.name);
        network.take(&intent, &owner)?;
        sandbox
            .endpoints
            .insert(network.id.clone(), intent.id.clone());
        let record = EndpointRecord::restored(intent, network, sandbox);
        self.endpoints.insert(record.id.clone(), record);
        Ok(Restored::Yes)
    }

    /// Takes address and subnets of a peer.
    ///
    /// # Errors
    ///
    /// When the network is no overlay or something else has its subnets.
    pub(crate) fn restore_peer(&mut self, intent: PeerIntent) -> Result<Restored, ControlError> {
        if !self.networks.contains_key(&intent.network) {
            return Ok(Restored::Leftover);
        }
        let peer = PeerRecord {
            place: PeerPlace::Waiting(NOT_TRIED.to_owned()),
            udp_port: intent.udp_port,
            subnets: intent.subnets,
            origin: PeerOrigin::Static,
        };
        let _planned = self.plan_peer(intent.network.as_str(), intent.address, peer)?;
        Ok(Restored::Yes)
    }

    /// Notes a static FDB entry.
    pub(crate) fn restore_station(&mut self, intent: FdbIntent) -> Restored {
        let Some(network) = self.networks.get_mut(&intent.network) else {
            return Restored::Leftover;
        };
        let is_there = match &intent.at {
            StationPlace::Endpoint(id) => network.endpoints.contains(id),
            StationPlace::Peer(address) => network.peers.contains_key(address),
        };
        if !is_there {
            return Restored::Leftover;
        }
        network
            .stations
            .insert((intent.mac, intent.vlan), intent.at);
        Restored::Yes
    }

    /// Notes a static neighbour.
    pub(crate) fn restore_neighbor(&mut self, intent: &NeighborIntent) -> Restored {
        let Some(network) = self.networks.get_mut(&intent.network) else {
            return Restored::Leftover;
        };
        let station = StaticNeighbor {
            mac: intent.mac,
            is_router: intent.router,
        };
        network.neighbors.insert(intent.address, station);
        Restored::Yes
    }

    /// Remembers which sandbox had an address last, as the last one so far that was released. Leases come first.
    pub(crate) fn restore_resting(&mut self, intent: &RestingIntent) -> Restored {
        let Some(network) = self.networks.get_mut(&intent.network) else {
            return Restored::Leftover;
        };
        let address = intent.address;
        let owner = network.owner(&intent.sandbox);
        network.addresses.remember([&Released { address, owner }]);
        match network.addresses.last_owner(address) {
            Some(_) => Restored::Yes,
            None => Restored::Leftover,
        }
    }

    /// Notes a static name.
    pub(crate) fn restore_name(&mut self, intent: DnsNameIntent) -> Restored {
        let Some(network) = self.networks.get_mut(&intent.network) else {
            return Restored::Leftover;
        };
        network.names.insert((intent.name, intent.address));
        Restored::Yes
    }
}

impl NetworkRecord {
    /// Takes the addresses and the MAC of an endpoint.
    fn take(&mut self, intent: &EndpointIntent, owner: &str) -> Result<(), ControlError> {
        for address in &intent.addresses {
            let leased = self.addresses.lease(address.addr(), owner);
            leased.map_err(|source| ControlError::Address {
                network: self.name.clone(),
                source,
            })?;
        }
        self.macs.insert(intent.mac);
        self.endpoints.insert(intent.id.clone());
        Ok(())
    }
}

impl EndpointRecord {
    fn restored(intent: EndpointIntent, network: &NetworkRecord, sandbox: &SandboxRecord) -> Self {
        let published = intent.published.iter();
        Self {
            network: network.name.clone(),
            network_id: network.id.clone(),
            network_no: network.number,
            sandbox: sandbox.number,
            sandbox_name: sandbox.name.clone(),
            default_gateways: network.default_gateways(&intent.addresses),
            resolvers: network.resolvers_of(&intent.addresses),
            mtu: network.settings.mtu,
            rules: PortRules::restored(&intent),
            published: published
                .map(|ports| Publication::restored(ports.restored(network.number)))
                .collect(),
            vlans: match (intent.vlan, intent.trunk) {
                (None, None) => PortVlans::Transparent,
                (Some(vid), None) => PortVlans::Access(vid),
                (native, Some(tagged)) => PortVlans::Trunk { tagged, native },
            },
            offload: if intent.offload {
                Offloading::On
            } else {
                Offloading::Off
            },
            isolation: if intent.isolated {
                Isolation::Isolated
            } else {
                Isolation::Open
            },
            id: intent.id,
            ifname: intent.asked_ifname,
            mac: intent.mac,
            addresses: intent.addresses,
            addressing: match intent.addressing {
                AddressingIntent::Static => Addressing::Static,
                AddressingIntent::Dhcp => Addressing::Dhcp,
            },
            leases: BTreeMap::new(),
            gateway_priority: intent.gw_priority,
            route_metric: intent.route_metric,
            aliases: intent.aliases,
            queue_count: intent.queues,
            place: Place::Waiting(Waiting {
                ifname: intent.ifname,
                reason: NOT_TRIED.to_owned(),
            }),
        }
    }
}

impl PublishedIntent {
    const fn restored(&self, network: NetworkNo) -> PublishedPorts {
        PublishedPorts {
            transport: match self.protocol {
                ProtocolIntent::Tcp => Transport::Tcp,
                ProtocolIntent::Udp => Transport::Udp,
            },
            host: self.host,
            host_ports: self.host_ports,
            network,
            target: self.target,
            target_ports: self.target_ports,
        }
    }
}
