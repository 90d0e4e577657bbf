//! Networks that span hosts.
//!
//! # Theory of operation
//!
//! A host that takes part in a network (a *peer*) is a port of the switch: what the FDB learns about its
//! stations, where frames are flooded (head-end replication), ageing, moves and counters are those of every
//! port, and ports of this kind never exchange frames ([`Isolation::Tunnel`]). Towards the port frames go
//! through a [`VtepQueue`] into datagrams; from it they come out of the sockets of the underlay
//! ([`VxlanSource`](source::VxlanSource)), which know the port by VNI and sender.
//!
//! ```text
//!   sandbox ─► switch ─► port of the peer ─► VtepQueue ─► UnderlaySender (one a family) ─► peer
//!   sandbox ◄─ switch ◄─ port of the peer ◄─ VxlanSource (one a worker, family and UDP port) ◄─ peer
//! ```
//!
//! Of FOU, GUE and IP in IP, which carry packets and no frames, a peer is the way to subnets (a *remote host* of the
//! switch): the gateway routes to it, what comes from it ([`RoutedSource`](routed_source::RoutedSource)) is known
//! by the inner addresses, and nothing is flooded.
//!
//! A network may have a multicast group. The group is a port like that of a peer, from which nothing comes, and the
//! only one to which is flooded: the underlay makes the copies. Who is in the group is not known here, so it
//! gives nobody leave to send; its receivers ([`groups`]) ask who may as those of the addresses do.
//!
//! Networks that listen on the same UDP port share its sockets ([`sockets`]), which are there while such a
//! network is. Workers see an immutable snapshot of who may send what ([`Segments`](segments::Segments),
//! [`Prefixes`](prefixes::Prefixes)).
//!
//! The underlay's addresses are looked at again and again ([`Overlay::follow`]). When one changes, the
//! sockets are made anew; ports, tables and peers stay, since peers answer to whatever address they know
//! us by. The path MTU of each peer is asked of the kernel, which hears the ICMP messages, at the same
//! time, and as soon as a packet turns out to be too large; where such messages are lost on the way, [`probes`]
//! find it.

mod groups;
mod ingress;
mod prefixes;
mod probes;
mod refusals;
mod routed_source;
mod segments;
mod senders;
mod sockets;
mod source;
mod strangers;
#[cfg(test)]
mod tests;
mod underlay;
mod vtep;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU8;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use ipnet::IpNet;
use rustix::event::{EventfdFlags, eventfd};
use tapweave_control::datapath::{
    DatapathError, DatapathErrorKind as Kind, OverlayPlace, OverlaySettings, PeerSettings,
    PeerState, SocketBufferState, UnderlayAddress, UnderlayState,
};
use tapweave_device::{SocketBuffer, UnderlaySender, interface_mtu};
use tapweave_encap::{
    Admission, Encap, EncapKind, HopLimit, Marking, Peer, Prober, RouteError, TagPolicy, Tunnel,
    Underlay, Vni, Vtep,
};
use tapweave_net::{NetworkNo, PortNo};
use tapweave_switch::{Flooding, Isolation, PortConfig};
use thiserror::Error;
use tracing::{info, warn};

use self::probes::{Gateways, PathProbe};
use self::refusals::RefusalCounters;
use self::senders::Senders;
use self::sockets::Endpoint;
use self::underlay::LocalAddresses;
use self::vtep::{VtepQueue, refresh_path_mtu};
use crate::clock::Clock;
use crate::workers::Workers;

pub use self::underlay::{UnderlayChoice, UnderlayChoiceError};

/// The port of hosts to which packets travel without UDP.
const NO_PORT: u16 = 0;

/// How far packets to a host go if nothing is said.
const USUAL_HOPS: HopLimit = HopLimit::Fixed(HopLimit::DEFAULT);

/// How far packets to a group go if nothing is said: not beyond the link, as the kernel's device has it.
const GROUP_HOPS: HopLimit = HopLimit::Fixed(NonZeroU8::MIN);

/// Path MTU of a peer to which there is no route yet.
const USUAL_MTU: u16 = 1500;

/// The overlay networks of one daemon.
#[derive(Debug)]
pub(crate) struct Overlay {
    choices: Vec<UnderlayChoice>,
    /// Of networks that do not say which.
    default_port: u16,
    workers: Arc<Workers>,
    clock: Clock,
    /// Of flow hashes: a flow keeps its source port.
    seed: u64,
    prober: Prober,
    /// Where the numbers of probes begin.
    nonce: u32,
    v4: Senders,
    v6: Senders,
    refusals: Arc<RefusalCounters>,
    silence: Arc<OwnedFd>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    local: LocalAddresses,
    /// By UDP port; none for what has no ports.
    endpoints: BTreeMap<Option<u16>, Endpoint>,
    networks: BTreeMap<NetworkNo, Network>,
    peers: BTreeMap<PortNo, PeerPort>,
}

#[derive(Clone, Copy, Debug)]
struct Network {
    /// None where there is no UDP.
    port: Option<u16>,
    tunnel: Tunnel,
    mtu: u16,
    /// Who may send into the segment.
    admission: Admission,
    /// To whom is flooded; none for every peer.
    group: Option<IpAddr>,
    /// Whether nobody has said how far packets go.
    has_usual_hops: bool,
    gateways: Gateways,
}

/// The way to a new peer, before its port is known.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) tunnel: Tunnel,
    pub(crate) peer: Arc<Peer>,
    pub(crate) queue: Arc<VtepQueue>,
    /// Of the port, where frames travel.
    pub(crate) port: PortConfig,
}

#[derive(Debug)]
struct PeerPort {
    network: NetworkNo,
    peer: Arc<Peer>,
    /// None of a group.
    probe: Option<PathProbe>,
}

/// What an overlay cannot do.
#[derive(Debug, Error)]
enum OverlayError {
    #[error(
        "the underlay has no address; name one, or an interface, with `tapweave daemon --underlay`"
    )]
    NoAddress,
    #[error("cannot find the underlay's addresses")]
    Addresses(#[source] io::Error),
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    #[error("cannot open a raw socket for IP in IP at {0}")]
    Raw(IpAddr, #[source] io::Error),
    #[error(
        "IP in IP needs raw sockets, and the daemon may open none: it has no CAP_NET_RAW in its network namespace"
    )]
    NoRawSockets(#[source] io::Error),
    #[error("cannot hear the group {0}")]
    Join(IpAddr, #[source] io::Error),
    #[error("cannot send from {0}")]
    Send(IpAddr, #[source] io::Error),
    #[error("VNI {vni} on UDP port {port} belongs to another network")]
    VniInUse { vni: Vni, port: u16 },
    #[error("UDP port {port} belongs to overlays of {kind}")]
    PortInUse { port: u16, kind: EncapKind },
    #[error(transparent)]
    Route(#[from] RouteError),
    #[error("the network is no overlay")]
    NoOverlay,
    #[error("{0} is not the address of one host")]
    NotAHost(IpAddr),
    #[error("{0} is an address of this host")]
    Itself(IpAddr),
    #[error("the underlay has no {0} address")]
    NoFamily(&'static str),
    #[error("{0} is a peer of the network already")]
    PeerExists(IpAddr),
    #[error("a path of {0} bytes leaves no room for packets")]
    TooNarrow(u16),
}

impl Overlay {
    pub(crate) fn new(
        choices: Vec<UnderlayChoice>,
        default_port: u16,
        workers: Arc<Workers>,
        clock: Clock,
        seed: u64,
    ) -> io::Result<Self> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let [a, b, c, d, nonce @ ..] = random;
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self {
            choices,
            default_port,
            workers,
            clock,
            seed,
            prober: Prober::new([a, b, c, d]),
            nonce: u32::from_ne_bytes(nonce),
            v4: Senders::default(),
            v6: Senders::default(),
            refusals: Arc::default(),
            silence: Arc::new(eventfd(0, flags)?),
            state: Mutex::default(),
        })
    }

    /// Returns the MTU that the underlay leaves for a network.
    pub(crate) fn network_mtu(&self, encap: EncapKind) -> Result<u16, DatapathError> {
        let local = LocalAddresses::resolve(&self.choices).map_err(OverlayError::Addresses)?;
        let addr = local.iter().next().ok_or(OverlayError::NoAddress)?;
        let link_mtu = interface_mtu(addr)
            .map_err(OverlayError::Addresses)?
            .unwrap_or(USUAL_MTU);
        let mtu = encap.inner_mtu(Underlay::of(addr), link_mtu, TagPolicy::Refuse);
        Ok(mtu.ok_or(OverlayError::TooNarrow(link_mtu))?)
    }

    /// Makes `network`, which has these subnets and addresses of its gateway here, an overlay without peers.
    pub(crate) fn add_network(
        &self,
        network: NetworkNo,
        settings: OverlaySettings,
        (subnets, gateways): (&[IpNet], &[IpNet]),
        mtu: u16,
    ) -> Result<(), DatapathError> {
        let encap = settings.encap;
        let tunnel = Tunnel {
            encap,
            marking: Marking {
                dscp: settings.dscp,
                hop_limit: settings.hop_limit.unwrap_or(USUAL_HOPS),
                ..Marking::default()
            },
            tags: TagPolicy::Refuse,
        };
        let mut state = self.state();
        state.local = LocalAddresses::resolve(&self.choices).map_err(OverlayError::Addresses)?;
        if state.local == LocalAddresses::default() {
            return Err(OverlayError::NoAddress.into());
        }
        let usual = match encap {
            Encap::Vxlan(_) => Some(self.default_port),
            Encap::Fou | Encap::Gue | Encap::Ipip => encap.kind().default_port(),
        };
        let port = usual.map(|usual| settings.port.unwrap_or(usual));
        let entry = Network {
            port,
            tunnel,
            mtu,
            admission: settings.admission,
            group: settings.group,
            has_usual_hops: settings.hop_limit.is_none(),
            gateways: gateways.iter().copied().collect(),
        };
        let endpoints = &mut state.endpoints;
        let endpoint = Endpoint::of_kind(endpoints, port, encap.kind())?;
        endpoint.add_network(network, &entry, subnets)?;
        state.networks.insert(network, entry);
        if let Err(error) = self.sync(&mut state) {
            self.forget_network(&mut state, network);
            return Err(error.into());
        }
        Ok(())
    }

    /// Returns the networks that are overlays.
    pub(crate) fn networks(&self) -> BTreeSet<NetworkNo> {
        self.state().networks.keys().copied().collect()
    }

    /// Forgets a network, whose peers are gone, if it is an overlay.
    pub(crate) fn remove_network(&self, network: NetworkNo) {
        self.forget_network(&mut self.state(), network);
    }

    /// Returns the way to a new peer of `network`.
    pub(crate) fn way(
        &self,
        network: NetworkNo,
        settings: &PeerSettings,
    ) -> Result<Way, DatapathError> {
        let state = self.state();
        let entry = state
            .networks
            .get(&network)
            .ok_or(OverlayError::NoOverlay)?;
        let port = entry.port.map(|usual| settings.port.unwrap_or(usual));
        let vtep = Vtep::new(settings.address, port.unwrap_or(NO_PORT));
        let addr = vtep.addr();
        let is_group = entry.group == Some(addr);
        if !is_group && !Vtep::is_possible(addr) {
            return Err(OverlayError::NotAHost(addr).into());
        }
        if state.local.iter().any(|local| local == addr) {
            return Err(OverlayError::Itself(addr).into());
        }
        let (senders, family, has_address) = match addr {
            IpAddr::V4(_) => (&self.v4, "IPv4", state.local.v4.is_some()),
            IpAddr::V6(_) => (&self.v6, "IPv6", state.local.v6.is_some()),
        };
        if !has_address {
            return Err(OverlayError::NoFamily(family).into());
        }
        let mut peers = state.peers.values();
        if peers.any(|other| other.network == network && other.peer.vtep().addr() == addr) {
            return Err(OverlayError::PeerExists(addr).into());
        }
        let peer = Arc::new(Peer::new(vtep, USUAL_MTU));
        if let Some(sender) = senders.udp.load_full() {
            refresh_path_mtu(&sender, &peer);
        }
        let mut tunnel = entry.tunnel;
        if is_group && entry.has_usual_hops {
            tunnel.marking.hop_limit = GROUP_HOPS;
        }
        let queue = VtepQueue::new(
            tunnel,
            Arc::clone(&peer),
            entry.mtu,
            senders.clone(),
            self.seed,
            Arc::clone(&self.silence),
        );
        Ok(Way {
            tunnel: entry.tunnel,
            peer,
            queue: Arc::new(queue),
            port: PortConfig {
                isolation: Isolation::Tunnel,
                flooding: if is_group || entry.group.is_none() {
                    Flooding::On
                } else {
                    Flooding::Off
                },
                ..PortConfig::OPEN
            },
        })
    }

    /// Lets a peer, whose port the workers know, send; where hosts route to each other, from these subnets.
    pub(crate) fn admit(
        &self,
        network: NetworkNo,
        queue: Arc<VtepQueue>,
        subnets: &[IpNet],
        port: PortNo,
    ) -> Result<(), DatapathError> {
        let peer = Arc::clone(queue.shared_peer());
        let mut state = self.state();
        let entry = *state
            .networks
            .get(&network)
            .ok_or(OverlayError::NoOverlay)?;
        let is_host = entry.group != Some(peer.vtep().addr());
        if let Some(endpoint) = state.endpoints.get(&entry.port).filter(|_| is_host) {
            endpoint.add_peer(network, &entry, &peer, subnets, port)?;
        }
        let probe = is_host.then(|| PathProbe::new(queue, self.nonce));
        let entry = PeerPort {
            network,
            peer,
            probe,
        };
        state.peers.insert(port, entry);
        Ok(())
    }

    /// Lets a peer send no more, if `port` is one's.
    pub(crate) fn dismiss(&self, port: PortNo) {
        let mut state = self.state();
        let Some(gone) = state.peers.remove(&port) else {
            return;
        };
        let Some(entry) = state.networks.get(&gone.network).copied() else {
            return;
        };
        if let Some(endpoint) = state.endpoints.get(&entry.port) {
            // Of a group, which may not send, nothing is removed.
            let addr = gone.peer.vtep().addr();
            endpoint.remove_peer(gone.network, &entry, addr);
        }
    }

    /// Returns what is known of the peer behind a port.
    pub(crate) fn peer_state(&self, port: PortNo) -> Option<PeerState> {
        let state = self.state();
        let PeerPort { network, peer, .. } = state.peers.get(&port)?;
        let Network { tunnel, port, .. } = state.networks.get(network)?;
        let now = self.clock.now();
        Some(PeerState {
            port: port.map(|_udp| peer.vtep().port()),
            silent_for: peer.last_heard().map(|heard| now.since(heard)),
            path_mtu: peer.path_mtu(),
            inner_mtu: tunnel.inner_mtu(peer),
        })
    }

    /// Returns where a network is on the underlay, `None` when it is no overlay.
    pub(crate) fn place(&self, network: NetworkNo) -> Option<OverlayPlace> {
        let state = self.state();
        let port = state.networks.get(&network)?.port;
        let addresses = state.local.iter().collect();
        Some(OverlayPlace { port, addresses })
    }

    /// Returns what the underlay is and what it refused.
    pub(crate) fn underlay(&self) -> UnderlayState {
        let state = self.state();
        let mut addresses = Vec::new();
        for (port, endpoint) in &state.endpoints {
            for (addr, sockets) in endpoint.all_sockets() {
                let sender = self.sender(*addr).load_full();
                let refusal = sender.as_ref().and_then(|it| it.segmentation_refusal());
                addresses.push(UnderlayAddress {
                    address: *addr,
                    encap: endpoint.kind().to_string(),
                    port: *port,
                    sockets: sockets.sources.len(),
                    segmentation: sender.as_ref().is_some_and(|it| it.has_segmentation()),
                    segmentation_refusal: refusal.map(|error| error.to_string()),
                    gro: sockets.has_gro,
                    receive_buffer: buffer_state(sockets.receive_buffer),
                    send_buffer: sender.map(|sender| buffer_state(sender.send_buffer())),
                });
            }
        }
        let refused = self.refusals.nonzero();
        UnderlayState {
            addresses,
            refused: refused
                .map(|(reason, count)| (reason.as_str().to_owned(), count))
                .collect(),
        }
    }

    /// Returns the hosts that have sent into open networks and are no peers of them, since the last call.
    pub(crate) fn strangers(&self) -> Vec<(NetworkNo, IpAddr)> {
        let state = self.state();
        let endpoints = state.endpoints.values();
        endpoints.flat_map(Endpoint::take_strangers).collect()
    }

    /// Looks at the underlay's addresses and the paths to peers again. Call it every few seconds.
    pub(crate) fn follow(&self) {
        let mut state = self.state();
        if state.networks.is_empty() {
            return;
        }
        // An interface that is gone has no address.
        let local = LocalAddresses::resolve(&self.choices).unwrap_or_default();
        if local != state.local {
            info!(?local, "the underlay's addresses have changed");
            state.local = local;
        }
        if let Err(error) = self.sync(&mut state) {
            warn!(%error, "an overlay's socket is missing");
        }
        for peer in state.peers.values().map(|port| &port.peer) {
            if let Some(sender) = self.sender(peer.vtep().addr()).load_full() {
                refresh_path_mtu(&sender, peer);
            }
        }
    }

    fn forget_network(&self, state: &mut State, network: NetworkNo) {
        let Some(entry) = state.networks.remove(&network) else {
            return;
        };
        if let Some(endpoint) = state.endpoints.get(&entry.port) {
            endpoint.remove_network(network, &entry);
        }
        if let Err(error) = self.sync(state) {
            warn!(%error, "an overlay's socket is missing");
        }
    }

    fn sender(&self, addr: IpAddr) -> &ArcSwapOption<UnderlaySender> {
        match addr {
            IpAddr::V4(_) => &self.v4.udp,
            IpAddr::V6(_) => &self.v6.udp,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn buffer_state(buffer: SocketBuffer) -> SocketBufferState {
    SocketBufferState {
        asked_len: buffer.asked_len,
        granted_len: buffer.granted_len,
    }
}

impl OverlayError {
    /// Returns what it means that there is no raw socket at `addr`.
    fn raw(addr: IpAddr, cause: io::Error) -> Self {
        if cause.kind() == io::ErrorKind::PermissionDenied {
            Self::NoRawSockets(cause)
        } else {
            Self::Raw(addr, cause)
        }
    }
}

impl From<OverlayError> for DatapathError {
    fn from(error: OverlayError) -> Self {
        let kind = match &error {
            OverlayError::VniInUse { .. }
            | OverlayError::PortInUse { .. }
            | OverlayError::Route(_)
            | OverlayError::PeerExists(_) => Kind::Conflict,
            OverlayError::Listen(_, cause) if cause.kind() == io::ErrorKind::AddrInUse => {
                Kind::Conflict
            }
            OverlayError::Listen(..)
            | OverlayError::Raw(..)
            | OverlayError::NoRawSockets(_)
            | OverlayError::Join(..)
            | OverlayError::Send(..)
            | OverlayError::Addresses(_) => Kind::Denied,
            OverlayError::NoAddress
            | OverlayError::NoOverlay
            | OverlayError::NotAHost(_)
            | OverlayError::Itself(_)
            | OverlayError::NoFamily(_)
            | OverlayError::TooNarrow(_) => Kind::Invalid,
        };
        Self::new(kind, error)
    }
}
