//! A packet path and a host in memory, for tests and for embedding without a kernel.
//!
//! The namespace with number N is found by pid N, and by any path whose last part is N; anything else
//! is no namespace. Calls can be made to fail. No frame ever flows, so counters are zero and nothing
//! is learned; static FDB entries and neighbours are kept. It has a TUN uplink at `192.0.2.1` and `2001:db8::1`, and the
//! reserved ports and translated flows that a test gives it.
//!
//! This file decides what a packet path answers, and does what a test asks for beside that. It refuses to know how
//! namespaces, interface names and failures are worked out, which [`state`] does; the host is in [`host`].

mod host;
mod state;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use tapweave_dns::{ClientNo, Limits, Resolver, Step, Transport, Zone};
use tapweave_encap::{EncapKind, Underlay};
use tapweave_net::{MacAddr, NetworkNo, OffloadSet, PortNo, Timestamp, Vid};
use tapweave_switch::{
    AddressHolder, FdbEntry, FdbOrigin, MdbEntry, Neighbor, NeighborAt, PortStats, StaticNeighbor,
};

pub use self::host::MemoryHost;
use self::state::{Network, Port, State, refusal};
use crate::Id;
use crate::datapath::{
    AttachedPort, ClientKey, Datapath, DatapathError, DatapathErrorKind, HeldLease,
    InterfaceSettings, Lease, LeaseState, NamespaceId, NamespaceRef, NatFlow, NatStats,
    NetworkNames, NetworkSettings, Observed, ObservedAddress, ObservedPort, Offloading,
    OpenedNamespace, Origin, OverlayPlace, OverlaySettings, PeerSettings, PeerState, PortOwner,
    PublishedPorts, ReservedPort, ResolverStats, SandboxLife, SandboxNo, ServerStats,
    UnderlayState, UplinkKind, UplinkState, WorkerStats,
};

/// A packet path that carries nothing.
#[derive(Debug, Default)]
pub struct MemoryDatapath {
    state: Mutex<State>,
}

/// How much there is of what.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Population {
    /// Networks.
    pub networks: usize,
    /// Sandboxes that are watched.
    pub sandboxes: usize,
    /// Ports.
    pub ports: usize,
}

impl MemoryDatapath {
    /// Makes the call fail that comes after `calls` others which can fail, and no later one.
    pub fn fail_after(&self, calls: usize) {
        self.state().calls_until_failure = Some(calls);
    }

    /// Takes an order back that [`MemoryDatapath::fail_after`] gave, and tells whether it was still
    /// waiting.
    pub fn cancel_failure(&self) -> bool {
        self.state().calls_until_failure.take().is_some()
    }

    /// Counts what there is.
    pub fn population(&self) -> Population {
        let state = self.state();
        Population {
            networks: state.networks.len(),
            sandboxes: state.sandboxes.len(),
            ports: state.ports.len(),
        }
    }

    /// Returns the numbers of the sandboxes that are watched.
    pub fn sandboxes(&self) -> Vec<SandboxNo> {
        self.state().sandboxes.keys().copied().collect()
    }

    /// Returns the numbers of the ports.
    pub fn ports(&self) -> Vec<PortNo> {
        self.state().ports.keys().copied().collect()
    }

    /// Returns the settings of the networks, in order of their making.
    pub fn networks(&self) -> Vec<NetworkSettings> {
        let state = self.state();
        state
            .networks
            .values()
            .map(|network| network.settings.clone())
            .collect()
    }

    /// Returns the interfaces that were asked for, in order of their ports.
    pub fn interfaces(&self) -> Vec<InterfaceSettings> {
        let state = self.state();
        state
            .ports
            .values()
            .map(|port| port.interface.clone())
            .collect()
    }

    /// Returns the published ports, as they were set last.
    pub fn published(&self) -> Vec<PublishedPorts> {
        self.state().published.clone()
    }

    /// Makes a station that is no endpoint have `address` in every network.
    pub fn hold(&self, address: IpAddr, mac: MacAddr) {
        self.state().holders.insert(address, mac);
    }

    /// Returns how often it was looked for holders of addresses.
    pub fn probe_count(&self) -> usize {
        self.state().probe_count
    }

    /// Makes these the ports that the host uses itself.
    pub fn reserve(&self, ports: Vec<ReservedPort>) {
        self.state().reserved = ports;
    }

    /// Has these hosts send into networks that they are no peers of.
    pub fn send_as_strangers(&self, strangers: Vec<(NetworkNo, IpAddr)>) {
        self.state().strangers = strangers;
    }

    /// Has nothing come from a peer for so long.
    pub fn silence(&self, peer: IpAddr, silent_for: Duration) {
        self.state().silence.insert(peer, silent_for);
    }

    /// Returns the static leases of a network.
    pub fn static_leases(&self, network: NetworkNo) -> Vec<(ClientKey, Ipv4Addr)> {
        let mut state = self.state();
        let network = state.network(network);
        network.map_or_else(|_| Vec::new(), |it| it.static_leases.clone())
    }

    /// Ends a namespace without a report.
    pub fn end_namespace(&self, number: u64) {
        self.state().gone.insert(number);
    }

    /// Puts another namespace in the place of one.
    pub fn replace_namespace(&self, number: u64) {
        *self.state().replaced.entry(number).or_default() += 1;
    }

    /// Gives the namespace at a path another one.
    pub fn rename_namespace(&self, from: &Path, to: &Path) {
        let mut state = self.state();
        let number = state.number_at(from);
        state.renamed.insert(from.to_owned(), None);
        state.renamed.insert(to.to_owned(), number);
    }

    /// Loses a port without a report.
    pub fn lose_port(&self, port: PortNo) {
        self.state().ports.remove(&port);
    }

    /// Makes the interface of a port one that an earlier daemon has made, and that has these addresses and no default route
    /// now.
    pub fn take_up(&self, port: PortNo, addresses: Vec<ObservedAddress>) {
        let mut state = self.state();
        if let Some(known) = state.ports.get_mut(&port) {
            known.addresses = addresses;
            known.default_gateways.clear();
            let endpoint = known.interface.endpoint.clone();
            state.taken_up.push((port, endpoint));
        }
    }

    /// Returns the next hops of the default routes that were added to the interface of a port.
    pub fn default_gateways(&self, port: PortNo) -> Vec<IpAddr> {
        let state = self.state();
        let port = state.ports.get(&port);
        port.map_or_else(Vec::new, |port| port.default_gateways.clone())
    }

    /// Takes the uplink away.
    pub fn cut_uplink(&self) {
        self.state().has_no_uplink = true;
    }

    /// Makes these the translated flows.
    pub fn translate(&self, flows: Vec<NatFlow>) {
        self.state().flows = flows;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Datapath for MemoryDatapath {
    fn add_network(&self, _id: &Id, settings: &NetworkSettings) -> NetworkNo {
        let mut state = self.state();
        state.last_network += 1;
        let number = NetworkNo(state.last_network);
        let network = Network {
            settings: settings.clone(),
            overlay: None,
            has_parent: false,
            fdb: BTreeMap::new(),
            neighbors: BTreeMap::new(),
            names: None,
            static_leases: Vec::new(),
        };
        state.networks.insert(number, network);
        number
    }

    fn add_parent(&self, network: NetworkNo, _ifname: &str) -> Result<(), DatapathError> {
        let mut state = self.state();
        state.maybe_fail()?;
        state.network(network)?.has_parent = true;
        Ok(())
    }

    fn remove_network(&self, network: NetworkNo) -> Result<(), DatapathError> {
        let mut state = self.state();
        state.maybe_fail()?;
        state.network(network)?;
        let has_peers = state.peers.values().any(|(of, _)| *of == network);
        if has_peers || state.ports.values().any(|port| port.network == network) {
            return Err(refusal(DatapathErrorKind::Conflict, "network has ports"));
        }
        state.networks.remove(&network);
        Ok(())
    }

    fn join_overlay(
        &self,
        network: NetworkNo,
        overlay: &OverlaySettings,
        _subnets: &[IpNet],
    ) -> Result<(), DatapathError> {
        let mut state = self.state();
        state.maybe_fail()?;
        let mut others = state.networks.values();
        let has_vni = |other: OverlaySettings| !other.is_routed() && other.encap == overlay.encap;
        if others.any(|other| other.overlay.is_some_and(has_vni)) {
            return Err(refusal(DatapathErrorKind::Conflict, "the VNI is in use"));
        }
        state.network(network)?.overlay = Some(*overlay);
        Ok(())
    }

    fn overlay_mtu(&self, encap: EncapKind) -> Result<u16, DatapathError> {
        self.state().maybe_fail()?;
        Ok(1500 - encap.overhead(Underlay::V4))
    }

    fn overlay_place(&self, network: NetworkNo) -> Option<OverlayPlace> {
        let state = self.state();
        let overlay = state.networks.get(&network)?.overlay?;
        Some(OverlayPlace {
            port: Some(overlay.port.unwrap_or(4789)),
            addresses: vec![IpAddr::from([192, 0, 2, 1])],
        })
    }

    fn add_peer(&self, network: NetworkNo, peer: &PeerSettings) -> Result<PortNo, DatapathError> {
        let mut state = self.state();
        state.maybe_fail()?;
        state.network(network)?;
        state.last_port += 1;
        let port = PortNo::from_u32(state.last_port);
        state.peers.insert(port, (network, peer.clone()));
        Ok(port)
    }

    fn strangers(&self) -> Vec<(NetworkNo, IpAddr)> {
        std::mem::take(&mut self.state().strangers)
    }

    fn peer_state(&self, port: PortNo) -> Option<PeerState> {
        let state = self.state();
        let (_, peer) = state.peers.get(&port)?;
        Some(PeerState {
            port: Some(peer.port.unwrap_or(4789)),
            silent_for: state.silence.get(&peer.address).copied(),
            path_mtu: 1500,
            inner_mtu: Some(1450),
        })
    }

    fn underlay(&self) -> UnderlayState {
        UnderlayState::default()
    }

    fn add_sandbox(
        &self,
        sandbox: SandboxNo,
        namespace: &NamespaceRef,
    ) -> Result<OpenedNamespace, DatapathError> {
        let mut state = self.state();
        state.maybe_fail()?;
        let identity = state.identity(namespace).ok_or_else(|| {
            refusal(
                DatapathErrorKind::Invalid,
                format!("{namespace:?} is not a network namespace"),
            )
        })?;
        if state.gone.contains(&identity.ino) {
            let refusal = refusal(DatapathErrorKind::Invalid, "the namespace is gone");
            return Err(refusal);
        }
        state.sandboxes.insert(sandbox, identity);
        Ok(OpenedNamespace {
            id: identity,
            mark: state.mark(identity),
        })
    }

    fn find_namespace(&self, path: &Path, identity: OpenedNamespace) -> Option<PathBuf> {
        let state = self.state();
        let is_it = |number: u64| {
            let id = NamespaceId {
                dev: 4,
                ino: number,
            };
            let is_there = !state.gone.contains(&number);
            is_there && id == identity.id && state.mark(id) == identity.mark
        };
        let mut beside = state.renamed.iter().filter(|(other, number)| {
            other.as_path() != path && other.parent() == path.parent() && number.is_some_and(is_it)
        });
        beside.next().map(|(other, _)| other.clone())
    }

    fn remove_sandbox(&self, sandbox: SandboxNo) {
        self.state().sandboxes.remove(&sandbox);
    }

    fn add_port(
        &self,
        sandbox: SandboxNo,
        network: NetworkNo,
        interface: &InterfaceSettings,
    ) -> Result<AttachedPort, DatapathError> {
        let mut state = self.state();
        state.maybe_fail()?;
        state.network(network)?;
        let namespace = *state
            .sandboxes
            .get(&sandbox)
            .ok_or_else(|| refusal(DatapathErrorKind::Invalid, "no such sandbox"))?;
        let ifname = state
            .ifname(namespace, interface.ifname.as_deref())
            .ok_or_else(|| refusal(DatapathErrorKind::Conflict, "interface name is taken"))?;
        state.last_port += 1;
        let port = PortNo::from_u32(state.last_port);
        let record = Port {
            network,
            namespace,
            ifname: ifname.clone(),
            interface: interface.clone(),
            addresses: Vec::new(),
            default_gateways: Vec::new(),
        };
        state.ports.insert(port, record);
        let offloads = match interface.offload {
            Offloading::On => OffloadSet::ALL,
            Offloading::Off => OffloadSet::EMPTY,
        };
        Ok(AttachedPort {
            port,
            ifname,
            offloads,
        })
    }

    fn remove_port(&self, port: PortNo) {
        let mut state = self.state();
        state.ports.remove(&port);
        state.peers.remove(&port);
        for network in state.networks.values_mut() {
            network.fdb.retain(|_, at| *at != port);
        }
    }

    fn taken_up(&self) -> Vec<(PortNo, Id)> {
        std::mem::take(&mut self.state().taken_up)
    }

    fn interface_addresses(&self, port: PortNo) -> Result<Vec<ObservedAddress>, DatapathError> {
        let mut state = self.state();
        state.maybe_fail()?;
        Ok(state.port(port)?.addresses.clone())
    }

    fn interface_address_add(&self, port: PortNo, address: IpNet) -> Result<(), DatapathError> {
        let mut state = self.state();
        state.maybe_fail()?;
        state.port(port)?.addresses.push(ObservedAddress {
            net: address,
            is_permanent: true,
        });
        Ok(())
    }

    fn interface_route_add(
        &self,
        port: PortNo,
        gateway: IpAddr,
        _metric: u32,
    ) -> Result<bool, DatapathError> {
        let mut state = self.state();
        state.maybe_fail()?;
        let gateways = &mut state.port(port)?.default_gateways;
        let is_new = !gateways.contains(&gateway);
        if is_new {
            gateways.push(gateway);
        }
        Ok(is_new)
    }

    fn port_stats(&self, port: PortNo) -> Option<PortStats> {
        let state = self.state();
        let exists = state.ports.contains_key(&port) || state.peers.contains_key(&port);
        exists.then(PortStats::default)
    }

    fn fdb_entries(&self, network: NetworkNo) -> Vec<FdbEntry> {
        let mut state = self.state();
        let Ok(network) = state.network(network) else {
            return Vec::new();
        };
        let entry = |((mac, vid), port): (&(MacAddr, Option<Vid>), &PortNo)| FdbEntry {
            mac: *mac,
            vid: *vid,
            port: *port,
            origin: FdbOrigin::Static,
            age: Duration::ZERO,
        };
        network.fdb.iter().map(entry).collect()
    }

    fn fdb_add(
        &self,
        network: NetworkNo,
        mac: MacAddr,
        vlan: Option<Vid>,
        port: PortNo,
    ) -> Result<(), DatapathError> {
        let mut state = self.state();
        state.maybe_fail()?;
        if !mac.is_station() {
            return Err(refusal(
                DatapathErrorKind::Invalid,
                format!("{mac} is not the address of a station"),
            ));
        }
        state.network(network)?.fdb.insert((mac, vlan), port);
        Ok(())
    }

    fn fdb_del(&self, network: NetworkNo, mac: MacAddr, vlan: Option<Vid>) -> bool {
        let mut state = self.state();
        let network = state.network(network);
        network.is_ok_and(|network| network.fdb.remove(&(mac, vlan)).is_some())
    }

    fn fdb_flush(&self, _network: NetworkNo) -> usize {
        0
    }

    fn neighbors(&self, network: NetworkNo) -> Vec<Neighbor> {
        let mut state = self.state();
        let Ok(known) = state.network(network) else {
            return Vec::new();
        };
        let stated = known.neighbors.iter().map(|(address, station)| Neighbor {
            address: *address,
            mac: station.mac,
            at: NeighborAt::Stated {
                is_router: station.is_router,
            },
        });
        let mut neighbors: BTreeMap<_, _> = stated.map(|known| (known.address, known)).collect();
        for (no, port) in state.ports.iter().filter(|(_, it)| it.network == network) {
            neighbors.extend(port.interface.addresses.iter().map(|net| {
                let known = Neighbor {
                    address: net.addr(),
                    mac: port.interface.mac,
                    at: NeighborAt::Port(*no),
                };
                (net.addr(), known)
            }));
        }
        neighbors.into_values().collect()
    }

    fn neighbor_add(
        &self,
        network: NetworkNo,
        address: IpAddr,
        station: StaticNeighbor,
    ) -> Result<(), DatapathError> {
        let mut state = self.state();
        state.maybe_fail()?;
        state.network(network)?.neighbors.insert(address, station);
        Ok(())
    }

    fn neighbor_del(&self, network: NetworkNo, address: IpAddr) -> bool {
        let mut state = self.state();
        let network = state.network(network);
        network.is_ok_and(|network| network.neighbors.remove(&address).is_some())
    }

    fn find_holder(
        &self,
        _network: NetworkNo,
        _vlan: Option<Vid>,
        addresses: &[IpAddr],
    ) -> Option<AddressHolder> {
        let mut state = self.state();
        state.probe_count += 1;
        let mut found = addresses.iter().filter_map(|&address| {
            let mac = *state.holders.get(&address)?;
            Some(AddressHolder { address, mac })
        });
        found.next()
    }

    fn mdb_entries(&self, _network: NetworkNo) -> Vec<MdbEntry> {
        Vec::new()
    }

    fn set_published(&self, ports: &[PublishedPorts]) -> Result<(), DatapathError> {
        let mut state = self.state();
        state.maybe_fail()?;
        state.published = ports.to_vec();
        Ok(())
    }

    fn nat_flows(&self, network: Option<NetworkNo>, limit: usize) -> Vec<NatFlow> {
        let mut flows = self.state().flows.clone();
        flows.retain(|flow| network.is_none_or(|network| flow.network == network));
        flows.truncate(limit);
        flows
    }

    fn nat_flush(&self, network: Option<NetworkNo>) -> usize {
        let mut state = self.state();
        let before = state.flows.len();
        state
            .flows
            .retain(|flow| network.is_some_and(|network| flow.network != network));
        before - state.flows.len()
    }

    fn nat_stats(&self) -> NatStats {
        NatStats {
            entries: self.state().flows.len(),
            limit: 1024,
            ..NatStats::default()
        }
    }

    fn carried(&self) -> BTreeMap<String, u64> {
        BTreeMap::new()
    }

    fn uplink(&self) -> UplinkState {
        if self.state().has_no_uplink {
            return UplinkState::none("it was taken away");
        }
        UplinkState {
            kind: UplinkKind::Tun,
            ifname: Some("tapweave0".to_owned()),
            addresses: vec![
                IpNet::from(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))),
                IpNet::from(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))),
            ],
            reason: "it is in memory".to_owned(),
            missing: Vec::new(),
        }
    }

    fn reserved_ports(&self) -> Vec<ReservedPort> {
        self.state().reserved.clone()
    }

    fn set_names(&self, network: NetworkNo, names: Option<&NetworkNames>) {
        if let Ok(network) = self.state().network(network) {
            network.names = names.cloned();
        }
    }

    fn resolve(&self, network: NetworkNo, query: Vec<u8>) -> Option<Vec<u8>> {
        let names = self.state().network(network).ok()?.names.clone()?;
        let mut resolver = Resolver::new(Zone::new(&names), Limits::default());
        let (now, transport) = (Timestamp::ZERO, Transport::Stream);
        match resolver.handle_query(now, ClientNo(0), transport, &query, ()) {
            Step::Answer((), answer) => Some(answer),
            Step::Ask(_) | Step::Wait | Step::Ignore => None,
        }
    }

    fn resolver_stats(&self) -> BTreeMap<NetworkNo, ResolverStats> {
        let state = self.state();
        let networks = state.networks.iter();
        let resolving = networks.filter(|(_, network)| network.names.is_some());
        resolving
            .map(|(number, _)| (*number, ResolverStats::default()))
            .collect()
    }

    fn set_static_leases(&self, network: NetworkNo, leases: Vec<(ClientKey, Ipv4Addr)>) {
        if let Ok(network) = self.state().network(network) {
            network.static_leases = leases;
        }
    }

    fn leases(&self, network: NetworkNo) -> Vec<HeldLease> {
        let state = self.state();
        let ports = state.ports.iter();
        let ports = ports.filter(|(_, port)| port.network == network);
        let leases = ports.flat_map(|(number, port)| {
            port.interface.leases.iter().map(|kept| HeldLease {
                lease: Lease {
                    port: *number,
                    address: kept.address,
                    client: kept.client.clone(),
                    mac: kept.mac,
                    host_name: kept.host_name.clone(),
                    origin: Origin::Pool,
                    state: LeaseState::Bound,
                    expires: Timestamp::ZERO,
                },
                remaining: Duration::ZERO,
            })
        });
        leases.collect()
    }

    fn dhcp_stats(&self) -> BTreeMap<NetworkNo, ServerStats> {
        let state = self.state();
        let has_server = |network: &Network| {
            let gateway = network.settings.gateway.as_ref();
            gateway.is_some_and(|gateway| gateway.dhcp.is_some())
        };
        let networks = state.networks.iter();
        let serving = networks.filter(|(_, network)| has_server(network));
        serving
            .map(|(number, _)| (*number, ServerStats::default()))
            .collect()
    }

    fn observe(&self) -> Observed {
        let state = self.state();
        let of_endpoints = state.ports.iter().map(|(number, port)| {
            let owner = PortOwner::Endpoint(port.interface.endpoint.clone());
            let network = port.network;
            (*number, ObservedPort { network, owner })
        });
        let of_peers = state.peers.iter().map(|(number, (network, peer))| {
            let owner = PortOwner::Peer(peer.address);
            let network = *network;
            (*number, ObservedPort { network, owner })
        });
        let networks = state.networks.iter();
        let joined = networks.filter(|(_, it)| it.overlay.is_some() || it.has_parent);
        let life = |identity: &NamespaceId| {
            if state.gone.contains(&identity.ino) {
                SandboxLife::Ended
            } else {
                SandboxLife::Alive
            }
        };
        let sandboxes = state.sandboxes.iter();
        Observed {
            networks: state.networks.keys().copied().collect(),
            joined: joined.map(|(number, _)| *number).collect(),
            sandboxes: sandboxes
                .map(|(number, identity)| (*number, life(identity)))
                .collect(),
            ports: of_endpoints.chain(of_peers).collect(),
            published: state.published.clone(),
        }
    }

    fn worker_stats(&self) -> Vec<WorkerStats> {
        Vec::new()
    }
}
