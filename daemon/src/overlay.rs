//! Networks that span hosts.
//!
//! # Theory of operation
//!
//! A host that takes part in a network (a *peer*) is a port of the switch: what the FDB learns about its
//! stations, where frames are flooded (head-end replication), ageing, moves and counters are those of every
//! port, and ports of this kind never exchange frames ([`Isolation::Tunnel`]). Towards the port frames go
//! through a [`VtepQueue`] into datagrams; from it they come out of the sockets of the underlay
//! ([`VxlanSource`]), which know the port by VNI and sender.
//!
//! ```text
//!   sandbox ─► switch ─► port of the peer ─► VtepQueue ─► UnderlaySender (one a family) ─► peer
//!   sandbox ◄─ switch ◄─ port of the peer ◄─ VxlanSource (one a worker, family and UDP port) ◄─ peer
//! ```
//!
//! Networks that listen on the same UDP port share its sockets, which are there while such a network is.
//! Workers see an immutable snapshot of who may send what ([`Segments`]).
//!
//! The underlay's addresses are looked at again and again ([`Overlay::follow`]). When one changes, the
//! sockets are made anew; ports, tables and peers stay, since peers answer to whatever address they know
//! us by. The path MTU of each peer is asked of the kernel, which hears the ICMP messages, at the same
//! time, and as soon as a packet turns out to be too large.

mod refusals;
mod segments;
mod source;
#[cfg(test)]
mod tests;
mod underlay;
mod vtep;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use rustix::event::{EventfdFlags, eventfd};
use tapweave_control::datapath::{
    DatapathError, DatapathErrorKind as Kind, OverlaySettings, PeerSettings, PeerState,
    SocketBufferState, UnderlayAddress, UnderlayState,
};
use tapweave_device::{
    DatagramReceiver, PortQueue, SocketBuffer, SourceNo, UnderlaySender, interface_mtu,
};
use tapweave_encap::{
    Encap, EncapKind, HopLimit, Marking, Peer, TagPolicy, Tunnel, Underlay, Vni, Vtep,
};
use tapweave_net::{NetworkNo, PortNo};
use tapweave_switch::{Isolation, PortConfig};
use thiserror::Error;
use tracing::{info, warn};

use self::refusals::RefusalCounters;
use self::segments::Segments;
use self::source::VxlanSource;
use self::underlay::LocalAddresses;
use self::vtep::{VtepQueue, refresh_path_mtu};
use crate::clock::Clock;
use crate::workers::Workers;

pub use self::underlay::{UnderlayChoice, UnderlayChoiceError};

/// Path MTU of a peer to which there is no route yet.
const USUAL_MTU: u16 = 1500;

/// The way of the ports of peers.
pub(crate) const PEER_PORT: PortConfig = PortConfig {
    isolation: Isolation::Tunnel,
    ..PortConfig::OPEN
};

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
    v4: Arc<ArcSwapOption<UnderlaySender>>,
    v6: Arc<ArcSwapOption<UnderlaySender>>,
    refusals: Arc<RefusalCounters>,
    silence: Arc<OwnedFd>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    local: LocalAddresses,
    /// By UDP port.
    endpoints: BTreeMap<u16, Endpoint>,
    networks: BTreeMap<NetworkNo, Network>,
    peers: BTreeMap<PortNo, PeerPort>,
}

/// What listens on a UDP port.
#[derive(Debug, Default)]
struct Endpoint {
    segments: Arc<ArcSwap<Segments>>,
    /// The sockets of each address.
    sockets: BTreeMap<IpAddr, Sockets>,
}

/// The sockets of an address and port, one a worker.
#[derive(Debug)]
struct Sockets {
    sources: Vec<(usize, SourceNo)>,
    receive_buffer: SocketBuffer,
    has_gro: bool,
}

#[derive(Clone, Copy, Debug)]
struct Network {
    vni: Vni,
    port: u16,
    tunnel: Tunnel,
    mtu: u16,
}

#[derive(Debug)]
struct PeerPort {
    network: NetworkNo,
    peer: Arc<Peer>,
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
    #[error("cannot send from {0}")]
    Send(IpAddr, #[source] io::Error),
    #[error("VNI {vni} on UDP port {port} belongs to another network")]
    VniInUse { vni: Vni, port: u16 },
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
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self {
            choices,
            default_port,
            workers,
            clock,
            seed,
            v4: Arc::default(),
            v6: Arc::default(),
            refusals: Arc::default(),
            silence: Arc::new(eventfd(0, flags)?),
            state: Mutex::default(),
        })
    }

    /// Returns the MTU that the underlay leaves for a network.
    pub(crate) fn network_mtu(&self) -> Result<u16, DatapathError> {
        let local = LocalAddresses::resolve(&self.choices).map_err(OverlayError::Addresses)?;
        let addr = local.iter().next().ok_or(OverlayError::NoAddress)?;
        let link_mtu = interface_mtu(addr)
            .map_err(OverlayError::Addresses)?
            .unwrap_or(USUAL_MTU);
        let mtu = EncapKind::Vxlan.inner_mtu(Underlay::of(addr), link_mtu, TagPolicy::Refuse);
        Ok(mtu.ok_or(OverlayError::TooNarrow(link_mtu))?)
    }

    /// Makes `network` an overlay without peers.
    pub(crate) fn add_network(
        &self,
        network: NetworkNo,
        settings: OverlaySettings,
        mtu: u16,
    ) -> Result<(), DatapathError> {
        let tunnel = Tunnel {
            encap: Encap::Vxlan(settings.vni),
            marking: Marking::default(),
            tags: TagPolicy::Refuse,
        };
        let mut state = self.state();
        state.local = LocalAddresses::resolve(&self.choices).map_err(OverlayError::Addresses)?;
        if state.local == LocalAddresses::default() {
            return Err(OverlayError::NoAddress.into());
        }
        let (vni, port) = (settings.vni, settings.port.unwrap_or(self.default_port));
        let endpoint = state.endpoints.entry(port).or_default();
        endpoint
            .change(|segments| segments.add_segment(vni, network, tunnel, mtu))
            .map_err(|_in_use| OverlayError::VniInUse { vni, port })?;
        let entry = Network {
            vni,
            port,
            tunnel,
            mtu,
        };
        state.networks.insert(network, entry);
        if let Err(error) = self.sync(&mut state) {
            self.forget_network(&mut state, network);
            return Err(error.into());
        }
        Ok(())
    }

    /// Forgets a network, whose peers are gone, if it is an overlay.
    pub(crate) fn remove_network(&self, network: NetworkNo) {
        self.forget_network(&mut self.state(), network);
    }

    /// Returns the queue of a new peer of `network`, for its port.
    pub(crate) fn queue(
        &self,
        network: NetworkNo,
        settings: PeerSettings,
    ) -> Result<(Arc<Peer>, Arc<dyn PortQueue>), DatapathError> {
        let state = self.state();
        let entry = state
            .networks
            .get(&network)
            .ok_or(OverlayError::NoOverlay)?;
        let vtep = Vtep::new(settings.address, settings.port.unwrap_or(entry.port));
        let addr = vtep.addr();
        if !Vtep::is_possible(addr) {
            return Err(OverlayError::NotAHost(addr).into());
        }
        if state.local.iter().any(|local| local == addr) {
            return Err(OverlayError::Itself(addr).into());
        }
        let (sender, family, has_address) = match addr {
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
        let known = state.peers.values().find(|other| other.peer.vtep() == vtep);
        let peer = known.map_or_else(
            || Arc::new(Peer::new(vtep, USUAL_MTU)),
            |known| Arc::clone(&known.peer),
        );
        if let Some(sender) = sender.load_full() {
            refresh_path_mtu(&sender, &peer);
        }
        let queue = VtepQueue::new(
            entry.tunnel,
            Arc::clone(&peer),
            entry.mtu,
            Arc::clone(sender),
            self.seed,
            Arc::clone(&self.silence),
        );
        Ok((peer, Arc::new(queue)))
    }

    /// Lets a peer, whose port the workers know, send.
    pub(crate) fn admit(
        &self,
        network: NetworkNo,
        peer: Arc<Peer>,
        port: PortNo,
    ) -> Result<(), DatapathError> {
        let mut state = self.state();
        let entry = *state
            .networks
            .get(&network)
            .ok_or(OverlayError::NoOverlay)?;
        let addr = peer.vtep().addr();
        if let Some(endpoint) = state.endpoints.get(&entry.port) {
            endpoint
                .change(|segments| segments.add_peer(entry.vni, &peer, port))
                .map_err(|_exists| OverlayError::PeerExists(addr))?;
        }
        state.peers.insert(port, PeerPort { network, peer });
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
            let addr = gone.peer.vtep().addr();
            endpoint.change(|segments| segments.remove_peer(entry.vni, addr));
        }
    }

    /// Returns what is known of the peer behind a port.
    pub(crate) fn peer_state(&self, port: PortNo) -> Option<PeerState> {
        let state = self.state();
        let PeerPort { network, peer } = state.peers.get(&port)?;
        let tunnel = state.networks.get(network)?.tunnel;
        let now = self.clock.now();
        Some(PeerState {
            port: peer.vtep().port(),
            silent_for: peer.last_heard().map(|heard| now.since(heard)),
            path_mtu: peer.path_mtu(),
            inner_mtu: tunnel.inner_mtu(peer),
        })
    }

    /// Returns what the underlay is and what it refused.
    pub(crate) fn underlay(&self) -> UnderlayState {
        let state = self.state();
        let mut addresses = Vec::new();
        for (port, endpoint) in &state.endpoints {
            for (addr, sockets) in &endpoint.sockets {
                let sender = self.sender(*addr).load_full();
                let refusal = sender.as_ref().and_then(|it| it.segmentation_refusal());
                addresses.push(UnderlayAddress {
                    address: *addr,
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

    /// Makes the sockets that are missing and closes those that are too many.
    fn sync(&self, state: &mut State) -> Result<(), OverlayError> {
        let local = state.local;
        let has_networks = !state.networks.is_empty();
        for (place, addr) in [
            (&self.v4, local.v4.map(IpAddr::V4)),
            (&self.v6, local.v6.map(IpAddr::V6)),
        ] {
            let wanted = addr.filter(|_| has_networks);
            if place.load().as_ref().map(|sender| sender.local()) != wanted {
                // The old one is closed first: both would want the same ports of one address.
                place.store(None);
                if let Some(addr) = wanted {
                    let sender = UnderlaySender::new(addr, HopLimit::DEFAULT.get())
                        .map_err(|error| OverlayError::Send(addr, error))?;
                    place.store(Some(Arc::new(sender)));
                }
            }
        }
        for (port, endpoint) in &mut state.endpoints {
            let is_wanted = !endpoint.segments.load().is_empty();
            let wanted = |addr: &IpAddr| is_wanted && local.iter().any(|local| local == *addr);
            endpoint.sockets.retain(|addr, sockets| {
                let stays = wanted(addr);
                if !stays {
                    self.close(sockets);
                }
                stays
            });
            for addr in local.iter().filter(wanted) {
                if let Entry::Vacant(place) = endpoint.sockets.entry(addr) {
                    let sockets = self.listen(SocketAddr::new(addr, *port), &endpoint.segments)?;
                    place.insert(sockets);
                }
            }
        }
        state.endpoints.retain(|_, endpoint| {
            !endpoint.sockets.is_empty() || !endpoint.segments.load().is_empty()
        });
        Ok(())
    }

    /// Has every worker listen on `addr`.
    fn listen(
        &self,
        addr: SocketAddr,
        segments: &Arc<ArcSwap<Segments>>,
    ) -> Result<Sockets, OverlayError> {
        let failed = |error| OverlayError::Listen(addr, error);
        let receivers = (0..self.workers.count())
            .map(|_worker| DatagramReceiver::bind(addr))
            .collect::<io::Result<Vec<_>>>()
            .map_err(failed)?;
        let mut sockets = Sockets {
            sources: Vec::new(),
            receive_buffer: SocketBuffer {
                asked_len: 0,
                granted_len: 0,
            },
            has_gro: false,
        };
        for (worker, receiver) in receivers.into_iter().enumerate() {
            sockets.receive_buffer = receiver.receive_buffer();
            sockets.has_gro = receiver.has_gro();
            let source = VxlanSource::new(
                receiver,
                Arc::clone(segments),
                Arc::clone(&self.refusals),
                self.clock,
            );
            match self.workers.add_source(worker, Box::new(source)) {
                Ok(number) => sockets.sources.push((worker, number)),
                Err(error) => {
                    self.close(&sockets);
                    return Err(failed(error));
                }
            }
        }
        if sockets.receive_buffer.is_clamped() {
            let SocketBuffer {
                asked_len,
                granted_len,
            } = sockets.receive_buffer;
            warn!(%addr, asked_len, granted_len, "the receive buffer is smaller than it should be: raise net.core.rmem_max");
        }
        Ok(sockets)
    }

    fn close(&self, sockets: &Sockets) {
        for (worker, source) in &sockets.sources {
            self.workers.remove_source(*worker, *source);
        }
    }

    fn forget_network(&self, state: &mut State, network: NetworkNo) {
        let Some(Network { vni, port, .. }) = state.networks.remove(&network) else {
            return;
        };
        if let Some(endpoint) = state.endpoints.get(&port) {
            endpoint.change(|segments| segments.remove_segment(vni));
        }
        if let Err(error) = self.sync(state) {
            warn!(%error, "an overlay's socket is missing");
        }
    }

    const fn sender(&self, addr: IpAddr) -> &Arc<ArcSwapOption<UnderlaySender>> {
        match addr {
            IpAddr::V4(_) => &self.v4,
            IpAddr::V6(_) => &self.v6,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Endpoint {
    /// Publishes changed segments. The state's lock is held: nobody else changes them.
    fn change<T>(&self, change: impl FnOnce(&mut Segments) -> T) -> T {
        let mut segments = Segments::clone(&self.segments.load());
        let outcome = change(&mut segments);
        self.segments.store(Arc::new(segments));
        outcome
    }
}

const fn buffer_state(buffer: SocketBuffer) -> SocketBufferState {
    SocketBufferState {
        asked_len: buffer.asked_len,
        granted_len: buffer.granted_len,
    }
}

impl From<OverlayError> for DatapathError {
    fn from(error: OverlayError) -> Self {
        let kind = match &error {
            OverlayError::VniInUse { .. } | OverlayError::PeerExists(_) => Kind::Conflict,
            OverlayError::Listen(_, cause) if cause.kind() == io::ErrorKind::AddrInUse => {
                Kind::Conflict
            }
            OverlayError::Listen(..) | OverlayError::Send(..) | OverlayError::Addresses(_) => {
                Kind::Denied
            }
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
