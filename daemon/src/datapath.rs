//! The packet path as the control plane sees it: networks and ports of the switch, joined to
//! interfaces in namespaces and to workers.
//!
//! Order matters when a port comes and goes. Coming: number, interface, workers; a failure undoes what
//! was done, last first. Going: the switch forgets the port, then every worker lets go of it and runs
//! on the new configuration, then the FDB is purged once more of what a worker may have learned in
//! between, and only then its number may be used again.
//!
//! The last descriptor of an interface is never closed by a worker: the kernel then removes the
//! interface, which takes 5 to 30 ms during which a worker would carry no frame. Nor does the caller wait
//! for all of it (`closing.rs`).

mod closing;
mod dhcp;
mod inside;
mod interfaces;
mod learning;
mod names;
mod outside;
mod parents;
mod probing;
mod translation;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use ipnet::IpNet;
use tapweave_carry::Carried;
use tapweave_control::Id;
use tapweave_control::datapath::{
    AttachedPort, ClientKey, Datapath, DatapathError, DatapathErrorKind as Kind, HeldLease,
    InterfaceSettings, NamespaceId, NamespaceMark, NamespaceRef, NatFlow, NatStats, NetworkNames,
    NetworkSettings, Observed, ObservedAddress, ObservedPort, OpenedNamespace, OverlayPlace,
    OverlaySettings, PeerSettings, PeerState, PortOwner, PublishedPorts, ReservedPort,
    ResolverStats, SandboxNo, ServerStats, UnderlayState, UplinkState, WorkerStats,
};
use tapweave_device::{HEADROOM, InterfaceSight, NamespaceError, PortQueue};
use tapweave_encap::{EncapKind, Layer};
use tapweave_net::{Frame, MacAddr, NetworkNo, Offload, PortNo, Vid};
use tapweave_switch::{
    AddressHolder, FdbEntry, MdbEntry, Neighbor, NeighborAddError, PortStats, RemoteConfig,
    StaticNeighbor, Stations, Switch,
};
use tracing::info;

use self::closing::Closing;
use self::inside::TakenUp;
pub(crate) use self::interfaces::Interfaces;
use self::interfaces::{Made, Origin};
use self::learning::Learning;
use self::outside::Outside;
use self::parents::Parents;
pub(crate) use self::translation::Translation;
use crate::carry::{self, FlowNews, Moment};
use crate::clock::Clock;
use crate::dhcp::DhcpServers;
use crate::overlay::{Overlay, Way};
use crate::port_queues::PortQueues;
use crate::resolver::Resolvers;
use crate::sandboxes::{AddError, Sandboxes};
use crate::settings::{network_config, port_config};
use crate::workers::{Readers, Workers};

/// Joins switch, workers and sandboxes.
#[derive(Debug)]
pub(crate) struct SwitchDatapath {
    switch: Arc<Switch>,
    clock: Clock,
    workers: Arc<Workers>,
    overlay: Overlay,
    sandboxes: Arc<Sandboxes>,
    interfaces: Interfaces,
    learning: Learning,
    ports: Mutex<BTreeMap<PortNo, Port>>,
    closing: Closing,
    taken_up: TakenUp,
    outside: Mutex<Outside>,
    parents: Mutex<Parents>,
    translation: Translation,
    resolvers: Resolvers,
    dhcp: DhcpServers,
    /// For threads that outlive a call and not this.
    this: Weak<Self>,
}

/// What gateways do besides forwarding.
#[derive(Debug)]
pub(crate) struct AtGateways {
    pub(crate) translation: Translation,
    pub(crate) resolvers: Resolvers,
    pub(crate) dhcp: DhcpServers,
}

/// A port that the workers know.
#[derive(Debug)]
struct Port {
    /// Whose it is, if it is one that the control plane asked for.
    owner: Option<(NetworkNo, PortOwner)>,
    /// The addresses that the flows of its sandbox are known by.
    addresses: Vec<(NetworkNo, IpAddr)>,
    readers: Readers,
    /// Kept until the workers have let go of theirs.
    queues: PortQueues,
    /// What shows whether its interface is there, if it has one in a sandbox, and which addresses that has.
    sight: Option<Arc<InterfaceSight>>,
}

impl SwitchDatapath {
    pub(crate) fn new(
        switch: Arc<Switch>,
        AtGateways {
            translation,
            resolvers,
            dhcp,
        }: AtGateways,
        clock: Clock,
        workers: Arc<Workers>,
        overlay: Overlay,
        sandboxes: Arc<Sandboxes>,
        interfaces: Interfaces,
    ) -> Arc<Self> {
        let learning = Learning::new(carry::snapshots(interfaces.holdings()));
        Arc::new_cyclic(|this| Self {
            switch,
            clock,
            workers,
            overlay,
            sandboxes,
            interfaces,
            learning,
            ports: Mutex::default(),
            closing: Closing::default(),
            taken_up: TakenUp::default(),
            outside: Mutex::new(Outside::new()),
            parents: Mutex::default(),
            translation,
            resolvers,
            dhcp,
            this: Weak::clone(this),
        })
    }

    /// Removes every port, so that the interfaces in the sandboxes are gone.
    pub(crate) fn shut_down(&self) {
        self.interfaces.end();
        self.drop_parents(None);
        let ports: Vec<PortNo> = self.ports().keys().copied().collect();
        for port in ports {
            self.remove_port(port);
        }
    }

    /// Stops to forward, writes down what was learned, and closes what sends to other hosts, so that another daemon can
    /// take over. What is kept for the other one is not taken down.
    pub(crate) fn stop_forwarding(&self) {
        let stopped = self.clock.now();
        self.workers.stop();
        self.translation.finish_journal();
        self.write_snapshot(Moment::Stopped(stopped));
        self.overlay.silence();
        if self.interfaces.holdings().keeps_anything() {
            self.ports().clear();
        } else {
            // The other one makes them anew, and by the same names.
            self.shut_down();
        }
    }

    /// Looks after the underlay: see [`Overlay::follow`].
    pub(crate) fn follow_underlay(&self) -> bool {
        self.overlay.follow()
    }

    /// Probes the paths to other hosts: see [`Overlay::probe_paths`].
    pub(crate) fn probe_paths(&self) {
        self.overlay.probe_paths();
    }

    /// Takes what an earlier daemon has left, before any port of it is there again.
    pub(crate) fn inherit(&self, learned: Carried) {
        let now = self.clock.now();
        self.learning.inherit(&self.switch, learned, now);
    }

    /// Takes the flows that an earlier daemon has left, or what became of them since the last call.
    pub(crate) fn inherit_flows(&self, news: FlowNews) {
        self.translation.inherit(news);
    }

    /// Has frames forwarded, and notes how long they were not.
    pub(crate) fn go_on(&self) {
        self.workers.go_on();
        self.learning.note_pause(self.clock.now());
    }

    /// Tells how long nothing was forwarded between the daemon that was taken over from and this one.
    pub(crate) fn tell_pause(&self) {
        if let Some(pause) = self.learning.pause() {
            info!(
                "another daemon was taken over from, forwarding paused for {} ms",
                pause.as_millis()
            );
        }
    }

    /// States that what was there before is there again: see [`Translation::settle`] and [`Learning::settle`].
    pub(crate) fn settle(&self) {
        self.translation.settle();
        self.learning.settle();
    }

    /// Writes the journal of flows: see [`Translation::write_journal`].
    pub(crate) fn write_journal(&self) {
        self.translation.write_journal();
    }

    /// Tells whether the journal of flows is to be written.
    pub(crate) fn is_journal_due(&self) -> bool {
        self.translation.is_journal_due()
    }

    /// Ends what nobody listens to any more, and asks who listens. Call it twice a second, from one thread.
    ///
    /// The queries go straight to the devices: they are few, and no worker has to be woken for them.
    pub(crate) fn tend_groups(&self) {
        for query in self.switch.poll_groups(self.clock.now()) {
            // One that is lost is asked again.
            if self.send(query.port, &query.frame) {
                self.switch.count_query_sent(query.port, query.frame.len());
            }
        }
    }

    /// Lets gateways and uplinks ask for neighbours and advertise themselves. Call it several times a second,
    /// from one thread: the first packet to a neighbour that is not known waits for it.
    pub(crate) fn tend_gateways(&self) {
        for sent in self.switch.poll_gateways(self.clock.now()) {
            // As with queries.
            if self.send(sent.port, &sent.frame) {
                self.switch
                    .count_gateway_frame_sent(sent.port, sent.frame.len());
            }
        }
    }

    /// Gives a frame of the switch's own straight to the device of a port; tells whether it took it.
    fn send(&self, port: PortNo, frame: &[u8]) -> bool {
        let queue = {
            let ports = self.ports();
            let queue = ports.get(&port).and_then(|port| port.queues.written());
            queue.map(Arc::clone)
        };
        let mut buffer = vec![0; HEADROOM];
        buffer.extend_from_slice(frame);
        let mut frame = Frame::new(&mut buffer, HEADROOM, Offload::NONE);
        queue.is_some_and(|queue| queue.send(&mut frame).is_ok())
    }

    /// Makes an interface a port of a network.
    fn join(
        &self,
        network: NetworkNo,
        interface: &InterfaceSettings,
        Made {
            interface: made,
            origin,
        }: Made,
    ) -> Result<AttachedPort, DatapathError> {
        let port = self
            .switch
            .add_port(network, port_config(interface))
            .map_err(|error| DatapathError::new(Kind::Exhausted, error))?;
        let queues = PortQueues::of_interface(made.queues, made.outlet);
        self.tell_station(network, port, interface);
        let owner = PortOwner::Endpoint(interface.endpoint.clone());
        let now = self.clock.now();
        let _none = self
            .learning
            .port_made(&self.switch, network, &owner, port, now);
        let readers = self
            .let_own_mac_send(network, port, interface)
            .and_then(|()| {
                let readers = self.workers.add_port(port, &queues);
                readers.map_err(|error| DatapathError::new(Kind::Internal, error))
            });
        match readers {
            Ok(readers) => {
                let addresses = interface.addresses.iter();
                let addresses: Vec<_> = addresses.map(|net| (network, net.addr())).collect();
                self.translation.limit(&addresses, interface.connections);
                let known = Port {
                    owner: Some((network, owner)),
                    addresses,
                    readers,
                    queues,
                    sight: Some(Arc::new(made.sight)),
                };
                self.ports().insert(port, known);
                if origin == Origin::TakenUp {
                    self.taken_up.note(port, interface.endpoint.clone());
                }
                Ok(AttachedPort {
                    port,
                    ifname: made.ifname,
                    offloads: made.offloads,
                })
            }
            Err(error) => {
                // It is known: it was added above. No worker knows it.
                let _ignored = self.switch.remove_port(port);
                self.dhcp.remove_station(port);
                self.switch.purge_port(port);
                Err(error)
            }
        }
    }

    /// Makes the static entry without which a locked port would let nobody send.
    fn let_own_mac_send(
        &self,
        network: NetworkNo,
        port: PortNo,
        interface: &InterfaceSettings,
    ) -> Result<(), DatapathError> {
        // A trunk without a native VLAN gets its static entries by hand, one a VLAN.
        let vid = interface.vlans.untagged();
        if interface.stations != Stations::Locked || !interface.vlans.carries(vid) {
            return Ok(());
        }
        let now = self.clock.now();
        self.switch
            .fdb_add(network, interface.mac, vid, port, now)
            .map_err(|error| DatapathError::new(Kind::Exhausted, error))
    }

    fn ports(&self) -> MutexGuard<'_, BTreeMap<PortNo, Port>> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Datapath for SwitchDatapath {
    fn add_parent(&self, network: NetworkNo, ifname: &str) -> Result<(), DatapathError> {
        self.keep_parent(network, ifname)
    }

    fn add_network(&self, id: &Id, settings: &NetworkSettings) -> NetworkNo {
        let network = self.switch.add_network(network_config(settings));
        let now = self.clock.now();
        self.learning.network_made(&self.switch, id, network, now);
        if let Some(gateway) = &settings.gateway {
            self.translation.add_network(network, id, gateway.way_out);
        }
        self.serve_dhcp(network, settings);
        network
    }

    fn remove_network(&self, network: NetworkNo) -> Result<(), DatapathError> {
        // Its port is one of the network too; the caller has seen to it that there are no others.
        self.drop_parents(Some(network));
        self.switch
            .remove_network(network)
            .map_err(|error| DatapathError::new(Kind::Conflict, error))?;
        self.overlay.remove_network(network);
        self.translation.remove_network(network);
        self.learning.network_gone(network);
        self.resolvers.forget(network);
        self.dhcp.forget(network);
        Ok(())
    }

    fn join_overlay(
        &self,
        network: NetworkNo,
        overlay: &OverlaySettings,
        subnets: &[IpNet],
    ) -> Result<(), DatapathError> {
        let mtu = self.switch.network_mtu(network);
        let mtu = mtu.ok_or_else(|| DatapathError::new(Kind::Invalid, "no such network"))?;
        let gateways = self.switch.gateway_addresses(network);
        let addresses = (subnets, &*gateways);
        self.overlay.add_network(network, *overlay, addresses, mtu)
    }

    fn overlay_mtu(&self, encap: EncapKind) -> Result<u16, DatapathError> {
        self.overlay.network_mtu(encap)
    }

    fn overlay_place(&self, network: NetworkNo) -> Option<OverlayPlace> {
        self.overlay.place(network)
    }

    fn add_peer(&self, network: NetworkNo, peer: &PeerSettings) -> Result<PortNo, DatapathError> {
        let (address, subnets) = (peer.address, &peer.subnets);
        let Way {
            tunnel,
            peer,
            queue,
            port,
        } = self.overlay.way(network, peer)?;
        let port = match tunnel.encap.kind().layer() {
            Layer::Link => self.switch.add_port(network, port),
            Layer::Network => {
                let config = RemoteConfig {
                    subnets: subnets.clone(),
                    tunnel,
                    peer: Arc::clone(&peer),
                };
                self.switch.add_remote(network, config)
            }
        };
        let port = port.map_err(|error| DatapathError::new(Kind::Exhausted, error))?;
        let owner = PortOwner::Peer(address);
        let now = self.clock.now();
        let known = self
            .learning
            .port_made(&self.switch, network, &owner, port, now);
        let queues = PortQueues::outlet(Arc::clone(&queue) as Arc<dyn PortQueue>);
        let admitted = self
            .workers
            .add_port(port, &queues)
            .map_err(|error| DatapathError::new(Kind::Internal, error))
            .and_then(|readers| {
                let of_peer = Port {
                    owner: Some((network, owner)),
                    addresses: Vec::new(),
                    readers,
                    queues,
                    sight: None,
                };
                self.ports().insert(port, of_peer);
                self.overlay.admit(network, queue, subnets, port)
            });
        match admitted {
            Ok(()) => {
                if let Some(known) = known {
                    self.overlay.restore_peer(port, &known);
                }
                Ok(port)
            }
            Err(error) => {
                self.remove_port(port);
                Err(error)
            }
        }
    }

    fn strangers(&self) -> Vec<(NetworkNo, IpAddr)> {
        self.overlay.strangers()
    }

    fn peer_state(&self, port: PortNo) -> Option<PeerState> {
        self.overlay.peer_state(port)
    }

    fn underlay(&self) -> UnderlayState {
        self.overlay.underlay()
    }

    fn add_sandbox(
        &self,
        sandbox: SandboxNo,
        namespace: &NamespaceRef,
    ) -> Result<OpenedNamespace, DatapathError> {
        let (id, mark) = self
            .sandboxes
            .add(sandbox, namespace)
            .map_err(sandbox_error)?;
        let id = NamespaceId {
            dev: id.dev(),
            ino: id.ino(),
        };
        let mark = NamespaceMark(mark.as_u64());
        Ok(OpenedNamespace { id, mark })
    }

    fn find_namespace(&self, path: &Path, identity: OpenedNamespace) -> Option<PathBuf> {
        let id = tapweave_device::NamespaceId::new(identity.id.dev, identity.id.ino);
        let mark = tapweave_device::NamespaceMark::from_u64(identity.mark.0);
        tapweave_device::NetNamespace::find_beside(path, id, mark)
    }

    fn remove_sandbox(&self, sandbox: SandboxNo) {
        self.sandboxes.remove(sandbox);
    }

    fn add_port(
        &self,
        sandbox: SandboxNo,
        network: NetworkNo,
        interface: &InterfaceSettings,
    ) -> Result<AttachedPort, DatapathError> {
        let namespace = self
            .sandboxes
            .namespace(sandbox)
            .ok_or_else(|| DatapathError::new(Kind::Invalid, "the sandbox has ended"))?;
        let segments_max = self.overlay.segments_max(network);
        let made = self.interfaces.make(&namespace, interface, segments_max)?;
        let added = self.join(network, interface, made);
        if added.is_err() {
            self.interfaces.let_go(&interface.endpoint);
        }
        added
    }

    fn remove_port(&self, port: PortNo) {
        self.overlay.dismiss(port);
        let Some(removed) = self.ports().remove(&port) else {
            return;
        };
        let Port {
            owner,
            addresses,
            readers,
            queues,
            sight,
        } = removed;
        // One of the two knows it: whoever takes it out of `ports` first is the only one to come here.
        let removed = self.switch.remove_port(port);
        let _ignored = removed.or_else(|_unknown| self.switch.remove_remote(port));
        self.workers.remove_port(port, &readers);
        self.dhcp.remove_station(port);
        self.switch.purge_port(port);
        // No packet of it is under way any more, and the next sandbox may get its addresses.
        self.translation.forget(&addresses);
        if let Some((_, PortOwner::Endpoint(endpoint))) = owner {
            self.interfaces.let_go(&endpoint);
        }
        self.closing.close(queues, sight.as_deref());
    }

    fn taken_up(&self) -> Vec<(PortNo, Id)> {
        self.taken_up.take()
    }

    fn interface_addresses(&self, port: PortNo) -> Result<Vec<ObservedAddress>, DatapathError> {
        self.addresses_inside(port)
    }

    fn interface_address_add(&self, port: PortNo, address: IpNet) -> Result<(), DatapathError> {
        self.add_address_inside(port, address)
    }

    fn interface_route_add(
        &self,
        port: PortNo,
        gateway: IpAddr,
        metric: u32,
    ) -> Result<bool, DatapathError> {
        self.add_route_inside(port, gateway, metric)
    }

    fn port_stats(&self, port: PortNo) -> Option<PortStats> {
        self.switch.port_stats(port)
    }

    fn fdb_entries(&self, network: NetworkNo) -> Vec<FdbEntry> {
        self.switch.fdb_entries(network, self.clock.now())
    }

    fn fdb_add(
        &self,
        network: NetworkNo,
        mac: MacAddr,
        vlan: Option<Vid>,
        port: PortNo,
    ) -> Result<(), DatapathError> {
        self.switch
            .fdb_add(network, mac, vlan, port, self.clock.now())
            .map_err(|error| DatapathError::new(Kind::Invalid, error))
    }

    fn fdb_del(&self, network: NetworkNo, mac: MacAddr, vlan: Option<Vid>) -> bool {
        self.switch.fdb_del(network, mac, vlan)
    }

    fn fdb_flush(&self, network: NetworkNo) -> usize {
        self.switch.fdb_flush(network, None)
    }

    fn neighbors(&self, network: NetworkNo) -> Vec<Neighbor> {
        self.switch.neighbors(network)
    }

    fn neighbor_add(
        &self,
        network: NetworkNo,
        address: IpAddr,
        station: StaticNeighbor,
    ) -> Result<(), DatapathError> {
        let added = self.switch.neighbor_add(network, address, station);
        added.map_err(|error| {
            let kind = if error == NeighborAddError::Full {
                Kind::Exhausted
            } else {
                Kind::Invalid
            };
            DatapathError::new(kind, error)
        })
    }

    fn neighbor_del(&self, network: NetworkNo, address: IpAddr) -> bool {
        self.switch.neighbor_del(network, address)
    }

    fn find_holder(
        &self,
        network: NetworkNo,
        vlan: Option<Vid>,
        addresses: &[IpAddr],
    ) -> Option<AddressHolder> {
        self.probe(network, vlan, addresses)
    }

    fn mdb_entries(&self, network: NetworkNo) -> Vec<MdbEntry> {
        self.switch.mdb_entries(network, self.clock.now())
    }

    fn set_published(&self, ports: &[PublishedPorts]) -> Result<(), DatapathError> {
        self.translation
            .set_published(ports)
            .map_err(|error| DatapathError::new(Kind::Conflict, error))
    }

    fn nat_flows(&self, network: Option<NetworkNo>, limit: usize) -> Vec<NatFlow> {
        self.translation.flows(self.clock.now(), network, limit)
    }

    fn nat_flush(&self, network: Option<NetworkNo>) -> usize {
        self.translation.flush(network)
    }

    fn nat_stats(&self) -> NatStats {
        self.translation.stats()
    }

    fn uplink(&self) -> UplinkState {
        self.uplink_state()
    }

    fn reserved_ports(&self) -> Vec<ReservedPort> {
        self.ports_in_use()
    }

    fn set_names(&self, network: NetworkNo, names: Option<&NetworkNames>) {
        self.tell_names(network, names);
    }

    fn resolve(&self, network: NetworkNo, query: Vec<u8>) -> Option<Vec<u8>> {
        self.resolvers.ask(network, query)
    }

    fn resolver_stats(&self) -> BTreeMap<NetworkNo, ResolverStats> {
        self.resolvers.stats()
    }

    fn set_static_leases(&self, network: NetworkNo, leases: Vec<(ClientKey, Ipv4Addr)>) {
        self.dhcp.set_static_leases(network, leases);
    }

    fn leases(&self, network: NetworkNo) -> Vec<HeldLease> {
        self.dhcp.leases(network)
    }

    fn dhcp_stats(&self) -> BTreeMap<NetworkNo, ServerStats> {
        self.dhcp.stats()
    }

    fn carried(&self) -> BTreeMap<String, u64> {
        self.learning.counters()
    }

    fn observe(&self) -> Observed {
        let mut joined = self.overlay.networks();
        joined.extend(self.networks_with_parents());
        let ports = self.ports();
        let owned = ports.iter().filter_map(|(number, port)| {
            let (network, owner) = port.owner.clone()?;
            Some((*number, ObservedPort { network, owner }))
        });
        Observed {
            networks: self.switch.network_numbers().into_iter().collect(),
            joined,
            sandboxes: self.sandboxes.lives(),
            ports: owned.collect(),
            published: self.translation.published(),
        }
    }

    fn worker_stats(&self) -> Vec<WorkerStats> {
        self.workers.stats()
    }
}

fn sandbox_error(error: AddError) -> DatapathError {
    let kind = match &error {
        AddError::Namespace(
            NamespaceError::Permission { .. } | NamespaceError::ProcessPermission { .. },
        ) => Kind::Denied,
        AddError::Namespace(_) => Kind::Invalid,
        AddError::Watch(_) => Kind::Internal,
    };
    DatapathError::new(kind, error)
}
