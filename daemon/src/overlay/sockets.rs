//! What listens on the underlay: the sockets of each UDP port, and who may send to them.
//!
//! The sockets of a port are there while a network needs them, on each of the underlay's addresses. When an
//! address changes they are made anew ([`Overlay::sync`]); who may send stays. They outlive the daemon
//! ([`super::kept`]).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use ipnet::IpNet;
use tapweave_device::{
    DatagramReceiver, FrameSource, Hearing, HeldKey, RawSender, SocketBuffer, SourceNo,
    UnderlaySender,
};
use tapweave_encap::{Encap, EncapKind, Peer};
use tapweave_net::{IpProtocol, NetworkNo, PortNo};
use tracing::warn;

use super::error::OverlayError;
use super::groups::Group;
use super::kept::{KeptReceiver, raw_sender_key, udp_sender_key};
use super::prefixes::Prefixes;
use super::routed_source::{OuterHeader, RoutedSource};
use super::segments::Segments;
use super::senders::Senders;
use super::source::VxlanSource;
use super::{NO_PORT, Network, Overlay, State};

/// What listens on a UDP port.
#[derive(Debug)]
pub(super) struct Endpoint {
    kind: EncapKind,
    directory: Directory,
    /// The sockets of each address.
    sockets: BTreeMap<IpAddr, Sockets>,
    pub(super) groups: BTreeMap<IpAddr, Group>,
}

/// Who may send what.
#[derive(Clone, Debug)]
enum Directory {
    Segments(Arc<ArcSwap<Segments>>),
    Prefixes(Arc<ArcSwap<Prefixes>>),
}

/// The sockets of an address and port, one a worker.
#[derive(Debug)]
pub(super) struct Sockets {
    /// What they are kept as, each.
    keys: Vec<HeldKey>,
    sources: Vec<(usize, SourceNo)>,
    pub(super) receive_buffer: SocketBuffer,
    pub(super) has_gro: bool,
}

impl Sockets {
    /// Returns how many there are.
    pub(super) const fn count(&self) -> usize {
        self.keys.len()
    }
}

impl Endpoint {
    /// Returns what listens on `port`, which may have no sockets yet.
    pub(super) fn of_kind(
        endpoints: &mut BTreeMap<Option<u16>, Self>,
        port: Option<u16>,
        kind: EncapKind,
    ) -> Result<&mut Self, OverlayError> {
        let found = endpoints.entry(port).or_insert_with(|| Self::new(kind));
        if found.kind != kind {
            return Err(OverlayError::PortInUse {
                port: port.unwrap_or(NO_PORT),
                kind: found.kind,
            });
        }
        Ok(found)
    }

    fn new(kind: EncapKind) -> Self {
        Self {
            kind,
            directory: match kind {
                EncapKind::Vxlan => Directory::Segments(Arc::default()),
                EncapKind::Fou | EncapKind::Gue | EncapKind::Ipip => {
                    Directory::Prefixes(Arc::default())
                }
            },
            sockets: BTreeMap::new(),
            groups: BTreeMap::new(),
        }
    }

    pub(super) const fn kind(&self) -> EncapKind {
        self.kind
    }

    /// Returns the sockets of all addresses and then those of all groups.
    pub(super) fn all_sockets(&self) -> impl Iterator<Item = (&IpAddr, &Sockets)> {
        let groups = self.groups.iter();
        let groups = groups.map(|(addr, group)| (addr, &group.sockets));
        self.sockets.iter().chain(groups)
    }

    pub(super) fn add_network(
        &self,
        network: NetworkNo,
        entry: &Network,
        subnets: &[IpNet],
    ) -> Result<(), OverlayError> {
        let Network {
            port,
            tunnel,
            mtu,
            admission,
            ..
        } = *entry;
        match (&self.directory, tunnel.encap) {
            (Directory::Segments(segments), Encap::Vxlan(vni)) => {
                let in_use = OverlayError::VniInUse {
                    vni,
                    port: port.unwrap_or(NO_PORT),
                };
                change(segments, |it| {
                    it.add_segment(vni, network, admission, tunnel, mtu)
                })
                .map_err(|_in_use| in_use)
            }
            (Directory::Prefixes(prefixes), _) => {
                let added = change(prefixes, |it| it.add_network(network, subnets, tunnel, mtu));
                Ok(added?)
            }
            (Directory::Segments(_), _) => Err(OverlayError::NoOverlay),
        }
    }

    /// Returns the hosts that have sent into open segments and take no part in them, since the last call.
    pub(super) fn take_strangers(&self) -> BTreeSet<(NetworkNo, IpAddr)> {
        match &self.directory {
            Directory::Segments(segments) => segments.load().take_strangers(),
            Directory::Prefixes(_) => BTreeSet::new(),
        }
    }

    pub(super) fn remove_network(&self, network: NetworkNo, entry: &Network) {
        match (&self.directory, entry.tunnel.encap) {
            (Directory::Segments(segments), Encap::Vxlan(vni)) => {
                change(segments, |it| it.remove_segment(vni));
            }
            (Directory::Prefixes(prefixes), _) => {
                change(prefixes, |it| it.remove_network(network));
            }
            (Directory::Segments(_), _) => {}
        }
    }

    pub(super) fn add_peer(
        &self,
        network: NetworkNo,
        entry: &Network,
        peer: &Arc<Peer>,
        subnets: &[IpNet],
        port: PortNo,
    ) -> Result<(), OverlayError> {
        match (&self.directory, entry.tunnel.encap) {
            (Directory::Segments(segments), Encap::Vxlan(vni)) => {
                let exists = OverlayError::PeerExists(peer.vtep().addr());
                change(segments, |it| it.add_peer(vni, peer, port)).map_err(|_exists| exists)
            }
            (Directory::Prefixes(prefixes), _) => {
                let added = change(prefixes, |it| it.add_peer(network, peer, subnets, port));
                Ok(added?)
            }
            (Directory::Segments(_), _) => Err(OverlayError::NoOverlay),
        }
    }

    pub(super) fn remove_peer(&self, network: NetworkNo, entry: &Network, addr: IpAddr) {
        match (&self.directory, entry.tunnel.encap) {
            (Directory::Segments(segments), Encap::Vxlan(vni)) => {
                change(segments, |it| it.remove_peer(vni, addr));
            }
            (Directory::Prefixes(prefixes), _) => {
                change(prefixes, |it| it.remove_peer(network, addr));
            }
            (Directory::Segments(_), _) => {}
        }
    }
}

impl Directory {
    fn is_empty(&self) -> bool {
        match self {
            Self::Segments(segments) => segments.load().is_empty(),
            Self::Prefixes(prefixes) => prefixes.load().is_empty(),
        }
    }
}

/// Publishes a changed directory. The state's lock is held: nobody else changes it.
fn change<D: Clone, T>(directory: &ArcSwap<D>, change: impl FnOnce(&mut D) -> T) -> T {
    let mut changed = D::clone(&directory.load());
    let outcome = change(&mut changed);
    directory.store(Arc::new(changed));
    outcome
}

/// Has `place` hold a sender from the address that is `wanted`, if one is.
fn replace<S>(
    place: &ArcSwapOption<S>,
    local: impl Fn(&S) -> IpAddr,
    wanted: Option<IpAddr>,
    open: impl FnOnce(IpAddr) -> Result<S, OverlayError>,
    let_go: impl FnOnce(IpAddr),
) -> Result<(), OverlayError> {
    let there = place.load().as_deref().map(local);
    if there == wanted {
        return Ok(());
    }
    // The old one is closed first: both would want the same ports of one address.
    place.store(None);
    if let Some(addr) = there {
        let_go(addr);
    }
    if let Some(addr) = wanted {
        place.store(Some(Arc::new(open(addr)?)));
    }
    Ok(())
}

impl Overlay {
    /// Closes what sends, for good.
    pub(crate) fn silence(&self) {
        for Senders { udp, raw } in [&self.v4, &self.v6] {
            udp.store(None);
            raw.store(None);
        }
    }

    /// Makes the sockets that are missing and closes those that are too many.
    pub(super) fn sync(&self, state: &mut State) -> Result<(), OverlayError> {
        let local = state.local;
        let has_networks = !state.networks.is_empty();
        let mut networks = state.networks.values();
        let has_ipip = networks.any(|network| network.tunnel.encap == Encap::Ipip);
        for (Senders { udp, raw }, addr) in [
            (&self.v4, local.v4.map(IpAddr::V4)),
            (&self.v6, local.v6.map(IpAddr::V6)),
        ] {
            replace(
                raw,
                RawSender::local,
                addr.filter(|_| has_ipip),
                |addr| {
                    let opened = self.kept.raw_sender(addr);
                    opened.map_err(|error| OverlayError::raw(addr, error))
                },
                |addr| self.kept.let_go([&raw_sender_key(addr)]),
            )?;
            replace(
                udp,
                UnderlaySender::local,
                addr.filter(|_| has_networks),
                |addr| {
                    let opened = self.kept.udp_sender(addr, state.seed);
                    let (sender, seed) = opened.map_err(|error| OverlayError::Send(addr, error))?;
                    state.seed = seed;
                    Ok(sender)
                },
                |addr| self.kept.let_go([&udp_sender_key(addr)]),
            )?;
        }
        for (port, endpoint) in &mut state.endpoints {
            let is_wanted = !endpoint.directory.is_empty();
            let wanted = |addr: &IpAddr| is_wanted && local.iter().any(|local| local == *addr);
            endpoint.sockets.retain(|addr, sockets| {
                let stays = wanted(addr);
                if !stays {
                    self.close(sockets);
                }
                stays
            });
            for addr in local.iter().filter(wanted) {
                if !endpoint.sockets.contains_key(&addr) {
                    let listener = SocketAddr::new(addr, port.unwrap_or(NO_PORT));
                    let sockets = self.listen(listener, endpoint)?;
                    endpoint.sockets.insert(addr, sockets);
                }
            }
        }
        self.sync_groups(state)?;
        state
            .endpoints
            .retain(|_, endpoint| !endpoint.sockets.is_empty() || !endpoint.directory.is_empty());
        Ok(())
    }

    /// Has every worker listen on `addr`; for IP in IP, one for each protocol, since each raw socket gets
    /// everything.
    fn listen(&self, addr: SocketAddr, endpoint: &Endpoint) -> Result<Sockets, OverlayError> {
        let (kind, ip) = (endpoint.kind, addr.ip());
        let receivers = if kind == EncapKind::Ipip {
            let receive = |protocol| {
                let received = self
                    .kept
                    .receivers(kind, Hearing::Protocol(ip, protocol), 1);
                received.map_err(|error| OverlayError::raw(ip, error))
            };
            let mut receivers = receive(IpProtocol::IPV4)?;
            match receive(IpProtocol::IPV6) {
                Ok(others) => receivers.extend(others),
                Err(error) => {
                    self.kept.let_go(receivers.iter().map(|it| &it.key));
                    return Err(error);
                }
            }
            receivers
        } else {
            let count = self.workers.count();
            let receivers = self.kept.receivers(kind, Hearing::Port(addr), count);
            receivers.map_err(|error| OverlayError::Listen(addr, error))?
        };
        self.read_by_workers(receivers, 0, endpoint, addr)
    }

    /// Has workers, beginning with this one, read a receiver each.
    pub(super) fn read_by_workers(
        &self,
        receivers: Vec<KeptReceiver>,
        first_worker: usize,
        endpoint: &Endpoint,
        addr: SocketAddr,
    ) -> Result<Sockets, OverlayError> {
        let mut sockets = Sockets {
            keys: Vec::new(),
            sources: Vec::new(),
            receive_buffer: SocketBuffer {
                asked_len: 0,
                granted_len: 0,
            },
            has_gro: false,
        };
        // Where there are more sockets than workers, some workers have two.
        for (index, KeptReceiver { receiver, key }) in receivers.into_iter().enumerate() {
            let worker = (first_worker + index) % self.workers.count().max(1);
            sockets.receive_buffer = receiver.receive_buffer();
            sockets.has_gro = receiver.has_gro();
            sockets.keys.push(key);
            let source = self.source(receiver, endpoint, addr);
            match self.workers.add_source(worker, source) {
                Ok(number) => sockets.sources.push((worker, number)),
                Err(error) => {
                    self.close(&sockets);
                    return Err(OverlayError::Listen(addr, error));
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

    /// Returns what takes apart what a socket receives.
    fn source(
        &self,
        receiver: DatagramReceiver,
        endpoint: &Endpoint,
        addr: SocketAddr,
    ) -> Box<dyn FrameSource> {
        let refusals = Arc::clone(&self.refusals);
        match &endpoint.directory {
            Directory::Segments(segments) => {
                let segments = Arc::clone(segments);
                let source =
                    VxlanSource::new(receiver, segments, refusals, self.prober, self.clock);
                Box::new(source)
            }
            Directory::Prefixes(prefixes) => {
                let prefixes = Arc::clone(prefixes);
                let header = match (endpoint.kind, addr) {
                    (EncapKind::Ipip, SocketAddr::V4(_)) => OuterHeader::Present,
                    _ => OuterHeader::Absent,
                };
                let framing = (endpoint.kind, header);
                let source = RoutedSource::new(receiver, framing, prefixes, refusals, self.clock);
                Box::new(source)
            }
        }
    }

    /// Has sockets go, as soon as no worker reads them any more.
    pub(super) fn close(&self, sockets: &Sockets) {
        self.kept.let_go(&sockets.keys);
        for (worker, source) in &sockets.sources {
            self.workers.remove_source(*worker, *source);
        }
    }
}
