//! The packet path as the control plane sees it: networks and ports of the switch, joined to
//! interfaces in namespaces and to workers.
//!
//! Order matters when a port comes and goes. Coming: number, interface, workers; a failure undoes what
//! was done, last first. Going: the switch forgets the port, then every worker lets go of it and runs
//! on the new configuration, then the FDB is purged once more of what a worker may have learned in
//! between, and only then its number may be used again.
//!
//! The last descriptor of an interface is never closed by a worker: the kernel then removes the
//! interface, which takes 5 to 30 ms during which a worker would carry no frame.

mod names;
mod outside;
mod parents;
mod probing;
mod translation;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use ipnet::IpNet;
use tapweave_control::datapath::{
    AttachedPort, Datapath, DatapathError, DatapathErrorKind as Kind, InterfaceSettings,
    NamespaceId, NamespaceMark, NamespaceRef, NatFlow, NatStats, NetworkNames, NetworkSettings,
    Observed, ObservedPort, OpenedNamespace, OverlayPlace, OverlaySettings, PeerSettings,
    PeerState, PortOwner, PublishedPorts, ReservedPort, ResolverStats, SandboxNo, UnderlayState,
    UplinkState, WorkerStats,
};
use tapweave_device::{AttachError, Attacher, HEADROOM, NamespaceError, PortQueue};
use tapweave_encap::{EncapKind, Layer};
use tapweave_net::{Frame, MacAddr, NetworkNo, Offload, PortNo, Vid};
use tapweave_switch::{
    AddressHolder, FdbEntry, MdbEntry, Neighbor, NeighborAddError, PortStats, RemoteConfig,
    StaticNeighbor, Stations, Switch,
};

use self::outside::Outside;
use self::parents::Parents;
pub(crate) use self::translation::Translation;
use crate::clock::Clock;
use crate::overlay::{Overlay, Way};
use crate::resolver::Resolvers;
use crate::sandboxes::{AddError, Sandboxes};
use crate::settings::{interface_spec, network_config, port_config};
use crate::workers::{Readers, Workers};

/// Joins switch, workers and sandboxes.
#[derive(Debug)]
pub(crate) struct SwitchDatapath {
    switch: Arc<Switch>,
    clock: Clock,
    workers: Arc<Workers>,
    overlay: Overlay,
    sandboxes: Arc<Sandboxes>,
    attacher: Attacher,
    ports: Mutex<BTreeMap<PortNo, Port>>,
    outside: Mutex<Outside>,
    parents: Mutex<Parents>,
    translation: Translation,
    resolvers: Resolvers,
    /// For threads that outlive a call and not this.
    this: Weak<Self>,
}

/// What gateways do besides forwarding.
#[derive(Debug)]
pub(crate) struct AtGateways {
    pub(crate) translation: Translation,
    pub(crate) resolvers: Resolvers,
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
    queues: Vec<Arc<dyn PortQueue>>,
}

impl SwitchDatapath {
    pub(crate) fn new(
        switch: Arc<Switch>,
        AtGateways {
            translation,
            resolvers,
        }: AtGateways,
        clock: Clock,
        workers: Arc<Workers>,
        overlay: Overlay,
        sandboxes: Arc<Sandboxes>,
        attacher: Attacher,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            switch,
            clock,
            workers,
            overlay,
            sandboxes,
            attacher,
            ports: Mutex::default(),
            outside: Mutex::new(Outside::new()),
            parents: Mutex::default(),
            translation,
            resolvers,
            this: Weak::clone(this),
        })
    }

    /// Removes every port, so that the interfaces in the sandboxes are gone.
    pub(crate) fn shut_down(&self) {
        self.drop_parents(None);
        let ports: Vec<PortNo> = self.ports().keys().copied().collect();
        for port in ports {
            self.remove_port(port);
        }
    }

    /// Looks after the underlay: see [`Overlay::follow`].
    pub(crate) fn follow_underlay(&self) {
        self.overlay.follow();
    }

    /// Probes the paths to other hosts: see [`Overlay::probe_paths`].
    pub(crate) fn probe_paths(&self) {
        self.overlay.probe_paths();
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
            let queue = ports.get(&port).and_then(|port| port.queues.first());
            queue.map(Arc::clone)
        };
        let mut buffer = vec![0; HEADROOM];
        buffer.extend_from_slice(frame);
        let mut frame = Frame::new(&mut buffer, HEADROOM, Offload::NONE);
        queue.is_some_and(|queue| queue.send(&mut frame).is_ok())
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

    fn add_network(&self, settings: &NetworkSettings) -> NetworkNo {
        let network = self.switch.add_network(network_config(settings));
        if let Some(gateway) = &settings.gateway {
            self.translation.add_network(network, gateway.way_out);
        }
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
        self.resolvers.forget(network);
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
        let outlet = Arc::clone(&queue) as Arc<dyn PortQueue>;
        let admitted = self
            .workers
            .add_outlet(port, &outlet)
            .map_err(|error| DatapathError::new(Kind::Internal, error))
            .and_then(|readers| {
                let queues = vec![outlet];
                let known = Port {
                    owner: Some((network, PortOwner::Peer(address))),
                    addresses: Vec::new(),
                    readers,
                    queues,
                };
                self.ports().insert(port, known);
                self.overlay.admit(network, queue, subnets, port)
            });
        match admitted {
            Ok(()) => Ok(port),
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
        let made = self
            .attacher
            .attach(&namespace, &interface_spec(interface))
            .map_err(attach_error)?;
        let port = self
            .switch
            .add_port(network, port_config(interface))
            .map_err(|error| DatapathError::new(Kind::Exhausted, error))?;
        let queues: Vec<Arc<dyn PortQueue>> = made
            .queues
            .into_iter()
            .map(|queue| Arc::new(queue) as Arc<dyn PortQueue>)
            .collect();
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
                let owner = PortOwner::Endpoint(interface.endpoint.clone());
                let known = Port {
                    owner: Some((network, owner)),
                    addresses,
                    readers,
                    queues,
                };
                self.ports().insert(port, known);
                Ok(AttachedPort {
                    port,
                    ifname: made.ifname,
                    offloads: made.offloads,
                })
            }
            Err(error) => {
                // It is known: it was added above. No worker knows it.
                let _ignored = self.switch.remove_port(port);
                self.switch.purge_port(port);
                Err(error)
            }
        }
    }

    fn remove_port(&self, port: PortNo) {
        self.overlay.dismiss(port);
        let Some(removed) = self.ports().remove(&port) else {
            return;
        };
        let Port {
            addresses,
            readers,
            queues,
            ..
        } = removed;
        // One of the two knows it: whoever takes it out of `ports` first is the only one to come here.
        let removed = self.switch.remove_port(port);
        let _ignored = removed.or_else(|_unknown| self.switch.remove_remote(port));
        self.workers.remove_port(port, &readers);
        self.switch.purge_port(port);
        // No packet of it is under way any more, and the next sandbox may get its addresses.
        self.translation.forget(&addresses);
        drop(queues);
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

    fn resolver_stats(&self, network: NetworkNo) -> Option<ResolverStats> {
        self.resolvers.stats().remove(&network)
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

fn attach_error(error: AttachError) -> DatapathError {
    DatapathError::new(Kind::Denied, error)
}
