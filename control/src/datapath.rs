//! What the control plane asks of the packet path, as a trait that the daemon implements.
//!
//! The control plane decides names, addresses and options; it does not know TAPs, threads or
//! namespaces. The packet path knows nothing of names and pools. Every method may block for
//! milliseconds (a helper process enters a namespace), so the controller calls them outside of the
//! async threads. Tests of the control plane use an implementation in memory.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tapweave_encap::EncapKind;
use tapweave_net::{MacAddr, NetworkNo, OffloadSet, PortNo, Vid};
use tapweave_switch::{
    AddressHolder, FdbEntry, MdbEntry, Neighbor, PortStats, PortVlans, SnoopingConfig,
    StaticNeighbor, Stations, StormLimits, Suppression,
};

use crate::{Id, Name};

mod dhcp;
mod observed;
mod outside;
mod overlay;

pub use dhcp::{
    Addressing, ClientIdError, ClientKey, DhcpSettings, HeldLease, KeptLease, Lease, LeaseState,
    Origin, ServerStats,
};
pub use observed::{Observed, ObservedAddress, ObservedPort, PortOwner, SandboxLife};
pub use outside::{
    ConnectionLimits, FlowCounters, FlowTuple, GatewaySettings, Names, NatFlow, NatStats,
    PublishedPorts, ReservedPort, Transport, UplinkKind, UplinkState, WayOut,
};

pub use tapweave_dns::{NameRecord, NetworkNames, ResolverStats, World};

pub use overlay::{
    OverlayPlace, OverlaySettings, PeerSettings, PeerState, SocketBufferState, UnderlayAddress,
    UnderlayState,
};

/// Where a sandbox's network namespace is found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NamespaceRef {
    /// A file of nsfs, such as `/run/netns/NAME`.
    Path(PathBuf),
    /// The network namespace that this process is in.
    Pid(u32),
}

/// The identity of a namespace: device and inode of its nsfs file (`man 7 namespaces`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NamespaceId {
    /// Device of nsfs.
    pub dev: u64,
    /// Inode of the namespace.
    pub ino: u64,
}

/// What tells a namespace from another one that has its inode later: the kernel gives inodes again.
///
/// For a file, when the kernel made the namespace's inode, which the file keeps; for a process, when that
/// began. It is the same for every daemon that looks, and means something until the machine is booted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NamespaceMark(pub u64);

/// A namespace that was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenedNamespace {
    /// Which one it is among those that there are now.
    pub id: NamespaceId,
    /// What tells it from those that were and will be.
    pub mark: NamespaceMark,
}

/// Names a sandbox towards the packet path. Chosen by the controller, never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SandboxNo(pub u64);

/// What the packet path has to know of a network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetworkSettings {
    /// Largest L3 packet, in bytes.
    pub mtu: u16,
    /// Time after which a learned FDB entry that was not seen again is forgotten.
    pub ageing: Duration,
    /// Most FDB entries.
    pub fdb_limit: u32,
    /// How multicast is limited to those who listen; none for not at all.
    pub snooping: Option<SnoopingConfig>,
    /// What each port may have flooded.
    pub storm: StormLimits,
    /// Whether its ports reach each other, or only the gateway.
    pub isolation: Isolation,
    /// Whether questions for neighbours that are known are answered in their place.
    pub suppression: Suppression,
    /// Whether it is looked whether an address is in use before it is given away ([`Datapath::find_holder`]).
    pub probing: AddressProbing,
    /// Its gateway; none for a network without addresses, or one whose gateway is not ours.
    pub gateway: Option<GatewaySettings>,
    /// The interface of the host whose LAN it is part of, if it is ([`Datapath::add_parent`]).
    pub parent: Option<String>,
}

/// Whether duplicate addresses are looked for before they are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddressProbing {
    /// They are.
    On,
    /// Addresses are given away unseen.
    Off,
}

/// Whether a port may exchange frames with other isolated ports.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// With every port of the network.
    Open,
    /// Only with ports that are not isolated, such as the gateway.
    Isolated,
}

/// The interface that a sandbox gets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InterfaceSettings {
    /// The endpoint that it is of, by which the port is known again ([`Datapath::observe`]).
    pub endpoint: Id,
    /// The name of its sandbox, which a client of DHCP is told.
    pub sandbox: Name,
    /// Its name; none for the first free `ethN`.
    pub ifname: Option<String>,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Its MTU, in bytes.
    pub mtu: u16,
    /// Its addresses, each with the prefix length of its subnet.
    pub addresses: Vec<IpNet>,
    /// How it comes by these, and by its routes.
    pub addressing: Addressing,
    /// Leases that those behind it had before a restart.
    pub leases: Vec<KeptLease>,
    /// Next hops of the default routes, at most one of each family.
    pub default_gateways: Vec<IpAddr>,
    /// Metric of the default routes, 1 to 1023: of several networks of a sandbox, that with the lowest is used.
    pub route_metric: u32,
    /// Queues of the TAP, 1 to 16.
    pub queue_count: u16,
    /// Whether the port offers checksum and segmentation offloads.
    pub offload: Offloading,
    /// Whether the port is kept from its peers.
    pub isolation: Isolation,
    /// How the port takes part in VLANs.
    pub vlans: PortVlans,
    /// The addresses that the sandbox may use, each a host or a prefix; `None` when it is not guarded.
    pub guarded_addresses: Option<Vec<IpNet>>,
    /// Which stations may send from the port. A locked port gets a static entry for `mac`.
    pub stations: Stations,
    /// Most stations that the port learns, if that is limited.
    pub mac_limit: Option<NonZeroU32>,
    /// How many connections it may have through the gateway.
    pub connections: ConnectionLimits,
}

/// Whether a port is opened with `virtio_net_hdr` and offloads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Offloading {
    /// Super-frames and partial checksums cross the port.
    On,
    /// Only finished frames of at most the MTU cross the port.
    Off,
}

/// A port that carries frames.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AttachedPort {
    /// Its number.
    pub port: PortNo,
    /// The name that the interface got in the sandbox.
    pub ifname: String,
    /// What the kernel agreed to take off the sender's hands.
    pub offloads: OffloadSet,
}

/// One worker thread, as `stats` shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WorkerStats {
    /// Its number, from 0.
    pub worker: usize,
    /// The event loop it runs (`io_uring`, `epoll`).
    pub backend: String,
    /// What the kernel granted that event loop beyond the least (`registered files`, `registered
    /// buffers`).
    pub backend_uses: Vec<String>,
    /// Ports that it reads.
    pub port_count: usize,
    /// Times it woke up.
    pub wakeups: u64,
    /// Batches it handled.
    pub batches: u64,
    /// Frames it handled.
    pub frames: u64,
}

/// What kind of thing went wrong, so that the API can choose a status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DatapathErrorKind {
    /// The request names something that does not exist or is not what it should be.
    Invalid,
    /// The kernel or its permissions refused.
    Denied,
    /// Something of that name or number exists already.
    Conflict,
    /// A limit was reached.
    Exhausted,
    /// Anything else.
    Internal,
}

/// The packet path could not do what was asked; nothing was left half made.
#[derive(Debug)]
pub struct DatapathError {
    kind: DatapathErrorKind,
    source: Box<dyn Error + Send + Sync>,
}

impl DatapathError {
    /// Returns an error of `kind` that says what `source` says.
    pub fn new(kind: DatapathErrorKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            kind,
            source: source.into(),
        }
    }

    /// Returns the kind.
    pub const fn kind(&self) -> DatapathErrorKind {
        self.kind
    }
}

impl fmt::Display for DatapathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.source, f)
    }
}

impl Error for DatapathError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.source()
    }
}

/// The packet path.
///
/// What happens to it by itself it reports to the controller:
/// [`crate::Controller::sandbox_ended`] and [`crate::Controller::port_failed`].
pub trait Datapath: Send + Sync + fmt::Debug + 'static {
    /// Makes the bridge domain of the network `id`, by which it is known again after a restart.
    fn add_network(&self, id: &Id, settings: &NetworkSettings) -> NetworkNo;

    /// Joins a network to the LAN of an interface of the host, from now until it is removed; when the
    /// interface goes and comes back, it is joined again.
    ///
    /// # Errors
    ///
    /// `Invalid` when there is no such interface, `Conflict` when it is the parent of another network,
    /// `Denied` when the daemon may not use it.
    fn add_parent(&self, network: NetworkNo, ifname: &str) -> Result<(), DatapathError>;

    /// Removes a bridge domain that has no ports of sandboxes.
    ///
    /// # Errors
    ///
    /// `Invalid` when there is no such network, `Conflict` while it has ports.
    fn remove_network(&self, network: NetworkNo) -> Result<(), DatapathError>;

    /// Makes a bridge domain without ports span hosts, whose ports it will get. `subnets` are those that
    /// it has here.
    ///
    /// # Errors
    ///
    /// `Invalid` when there is no underlay, `Conflict` when the VNI, the UDP port or a subnet is taken,
    /// `Denied` when the kernel refuses.
    fn join_overlay(
        &self,
        network: NetworkNo,
        overlay: &OverlaySettings,
        subnets: &[IpNet],
    ) -> Result<(), DatapathError>;

    /// Returns the MTU that the underlay leaves for an overlay network of this kind, in bytes.
    ///
    /// # Errors
    ///
    /// `Invalid` when there is no underlay, `Denied` when the kernel refuses.
    fn overlay_mtu(&self, encap: EncapKind) -> Result<u16, DatapathError>;

    /// Returns where an overlay network is on the underlay, `None` when it is none.
    fn overlay_place(&self, network: NetworkNo) -> Option<OverlayPlace>;

    /// Makes the port of another host. It goes by [`Datapath::remove_port`].
    ///
    /// # Errors
    ///
    /// `Invalid` when the network is no overlay or the address cannot be that of another host, `Conflict`
    /// when the host is there already or one of its subnets is elsewhere.
    fn add_peer(&self, network: NetworkNo, peer: &PeerSettings) -> Result<PortNo, DatapathError>;

    /// Returns the hosts that have sent into networks which are open to strangers, and are no peers of them, since
    /// the last call. Some may be missing: they send again.
    fn strangers(&self) -> Vec<(NetworkNo, IpAddr)>;

    /// Returns what is known of the host behind a port, `None` when there is none.
    fn peer_state(&self, port: PortNo) -> Option<PeerState>;

    /// Returns what overlays travel over.
    fn underlay(&self) -> UnderlayState;

    /// Opens a namespace and watches it from now on; when it ends, that is reported once.
    ///
    /// # Errors
    ///
    /// `Invalid` when `namespace` is no network namespace or no such process, `Denied` when it may
    /// not be opened.
    fn add_sandbox(
        &self,
        sandbox: SandboxNo,
        namespace: &NamespaceRef,
    ) -> Result<OpenedNamespace, DatapathError>;

    /// Looks for a namespace that is no longer where `path` leads, under other names in the folder of `path`, and returns
    /// one; `None` when it has none there. A bounded number of names is looked at.
    fn find_namespace(&self, path: &Path, identity: OpenedNamespace) -> Option<PathBuf>;

    /// Stops watching and lets go of the namespace. Its ports have been removed before.
    fn remove_sandbox(&self, sandbox: SandboxNo);

    /// Makes the interface inside the sandbox, configures it, brings it up and joins it to the
    /// network. On failure nothing is left in the sandbox.
    ///
    /// # Errors
    ///
    /// `Conflict` when the interface name is taken, `Denied` when the kernel refuses, `Invalid` when
    /// sandbox or network are not known, `Exhausted` when a limit is reached.
    fn add_port(
        &self,
        sandbox: SandboxNo,
        network: NetworkNo,
        interface: &InterfaceSettings,
    ) -> Result<AttachedPort, DatapathError>;

    /// Takes the port out of the network and closes every descriptor of it before it returns, so
    /// that the namespace is not pinned and the interface is gone. Unknown ports are ignored.
    fn remove_port(&self, port: PortNo);

    /// Returns the ports whose interface was taken up from an earlier daemon since the last call, with their endpoints, some
    /// of which may not have been told of their port yet. What is inside of their sandboxes may have been changed since it
    /// was made.
    fn taken_up(&self) -> Vec<(PortNo, Id)>;

    /// Returns the addresses that the interface of a port has.
    ///
    /// # Errors
    ///
    /// `Invalid` when there is no such interface, or an earlier version has left nothing to see it by, `Denied` when the
    /// kernel does not tell.
    fn interface_addresses(&self, port: PortNo) -> Result<Vec<ObservedAddress>, DatapathError>;

    /// Gives the interface of a port an address.
    ///
    /// # Errors
    ///
    /// As [`Datapath::interface_addresses`].
    fn interface_address_add(&self, port: PortNo, address: IpNet) -> Result<(), DatapathError>;

    /// Makes a default route of the interface of a port, unless the sandbox has one of that family that is somebody else's;
    /// tells whether it was made.
    ///
    /// # Errors
    ///
    /// As [`Datapath::interface_addresses`].
    fn interface_route_add(
        &self,
        port: PortNo,
        gateway: IpAddr,
        metric: u32,
    ) -> Result<bool, DatapathError>;

    /// Returns the counters of a port, `None` when there is none.
    fn port_stats(&self, port: PortNo) -> Option<PortStats>;

    /// Returns the entries of a network's FDB, in order of MAC and VID; empty for an unknown network.
    fn fdb_entries(&self, network: NetworkNo) -> Vec<FdbEntry>;

    /// Makes a static FDB entry in a VLAN or in none.
    ///
    /// # Errors
    ///
    /// `Invalid` when network, port or MAC cannot be used or the port does not carry the VLAN,
    /// `Exhausted` when the table is full.
    fn fdb_add(
        &self,
        network: NetworkNo,
        mac: MacAddr,
        vlan: Option<Vid>,
        port: PortNo,
    ) -> Result<(), DatapathError>;

    /// Removes an FDB entry of a VLAN or of none, learned or static; tells whether there was one.
    fn fdb_del(&self, network: NetworkNo, mac: MacAddr, vlan: Option<Vid>) -> bool;

    /// Removes the learned entries of a network and returns how many there were.
    fn fdb_flush(&self, network: NetworkNo) -> usize;

    /// Returns the neighbours that are known in a network, in order of addresses; empty for an unknown network.
    fn neighbors(&self, network: NetworkNo) -> Vec<Neighbor>;

    /// States the MAC address of a neighbour, in the place of what was stated before.
    ///
    /// # Errors
    ///
    /// `Invalid` when network, address or MAC cannot be used, `Exhausted` when there are too many.
    fn neighbor_add(
        &self,
        network: NetworkNo,
        address: IpAddr,
        station: StaticNeighbor,
    ) -> Result<(), DatapathError>;

    /// Takes back what was stated of a neighbour; tells whether something was.
    fn neighbor_del(&self, network: NetworkNo, address: IpAddr) -> bool;

    /// Looks for a station that has one of `addresses` in a network, in a VLAN or in none, though it has no endpoint
    /// with it: asks on ports of which it is not known who is behind them, such as a LAN's or a tunnel's. Takes
    /// a fraction of a second where there are such ports, and no time where there are none.
    fn find_holder(
        &self,
        network: NetworkNo,
        vlan: Option<Vid>,
        addresses: &[IpAddr],
    ) -> Option<AddressHolder>;

    /// Returns the multicast database of a network: routers first, then groups in order; empty for an
    /// unknown network and for one without snooping.
    fn mdb_entries(&self, network: NetworkNo) -> Vec<MdbEntry>;

    /// Makes `ports` the published ports of all networks, in the place of those that were. What goes on
    /// over one that is no longer among them ends.
    ///
    /// # Errors
    ///
    /// `Conflict` when the uplink cannot give one of them; then all is as it was.
    fn set_published(&self, ports: &[PublishedPorts]) -> Result<(), DatapathError>;

    /// Returns at most `limit` translated flows of a network, or of all, in no order. Those that come or
    /// go meanwhile may be missing.
    fn nat_flows(&self, network: Option<NetworkNo>, limit: usize) -> Vec<NatFlow>;

    /// Forgets the translated flows of a network, or of all, and returns how many there were.
    fn nat_flush(&self, network: Option<NetworkNo>) -> usize;

    /// Returns what the gateways did so far.
    fn nat_stats(&self) -> NatStats;

    /// Returns how the networks reach the world.
    fn uplink(&self) -> UplinkState;

    /// Returns the ports of the uplink's addresses that the host uses itself, which can be neither
    /// published nor taken for a translation. Looks for the holders in `/proc`.
    fn reserved_ports(&self) -> Vec<ReservedPort>;

    /// Makes `names` what the resolver at a network's gateway answers from, in the place of what it knew; without
    /// names nobody answers there any more. A name is known before a port that is added later can ask for it.
    fn set_names(&self, network: NetworkNo, names: Option<&NetworkNames>);

    /// Asks the resolver of a network as a sandbox of it would, and returns its answer; `None` when the network has
    /// no resolver or `query` is no query. Takes five seconds at most.
    fn resolve(&self, network: NetworkNo, query: Vec<u8>) -> Option<Vec<u8>>;

    /// Returns what the resolvers did so far, by network.
    fn resolver_stats(&self) -> BTreeMap<NetworkNo, ResolverStats>;

    /// Makes `leases` the addresses that the DHCP server of a network has fixed for clients, in the place of those before.
    /// It is known before a port that is added later can ask.
    fn set_static_leases(&self, network: NetworkNo, leases: Vec<(ClientKey, Ipv4Addr)>);

    /// Returns the leases of a network's DHCP server; empty when it has none. Not to be called by who is asked for
    /// leases ([`crate::Controller::take_lease`] and its kin).
    fn leases(&self, network: NetworkNo) -> Vec<HeldLease>;

    /// Returns what the DHCP servers did so far, by network.
    fn dhcp_stats(&self) -> BTreeMap<NetworkNo, ServerStats>;

    /// Returns what was carried over from an earlier daemon and written down for the next one, by the names that users
    /// see; zeros are left out.
    fn carried(&self) -> BTreeMap<String, u64>;

    /// Returns what there is at one moment, as far as it was asked for by the methods above.
    fn observe(&self) -> Observed;

    /// Returns what the workers did so far.
    fn worker_stats(&self) -> Vec<WorkerStats>;
}
