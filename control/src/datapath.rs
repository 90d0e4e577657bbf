//! What the control plane asks of the packet path, as a trait that the daemon implements.
//!
//! The control plane decides names, addresses and options; it does not know TAPs, threads or
//! namespaces. The packet path knows nothing of names and pools. Every method may block for
//! milliseconds (a helper process enters a namespace), so the controller calls them outside of the
//! async threads. Tests of the control plane use an implementation in memory.

use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
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

use crate::Id;

mod observed;
mod outside;
mod overlay;

pub use observed::{Observed, ObservedPort, PortOwner, SandboxLife};
pub use outside::{
    ConnectionLimits, FlowCounters, FlowTuple, GatewaySettings, NatFlow, NatStats, PublishedPorts,
    ReservedPort, Transport, UplinkKind, UplinkState, WayOut,
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
    /// Its name; none for the first free `ethN`.
    pub ifname: Option<String>,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Its MTU, in bytes.
    pub mtu: u16,
    /// Its addresses, each with the prefix length of its subnet.
    pub addresses: Vec<IpNet>,
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
    /// Makes a bridge domain.
    fn add_network(&self, settings: &NetworkSettings) -> NetworkNo;

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

    /// Returns what the resolver of a network did so far, `None` when it has none.
    fn resolver_stats(&self, network: NetworkNo) -> Option<ResolverStats>;

    /// Returns what there is at one moment, as far as it was asked for by the methods above.
    fn observe(&self) -> Observed;

    /// Returns what the workers did so far.
    fn worker_stats(&self) -> Vec<WorkerStats>;
}
