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
//! The underlay's addresses are looked at when the kernel tells of a change, and again and again
//! ([`Overlay::follow`]). When one changes, the sockets are made anew; ports, tables and peers stay, since peers
//! answer to whatever address they know us by. The path MTU of each peer is asked of the kernel, which hears the
//! ICMP messages, at the same time, and as soon as a packet turns out to be too large; where such messages are lost
//! on the way, [`probes`] find it.
//!
//! Sockets outlive the daemon ([`kept`]): peers see the ports that they know, and what they send meanwhile waits.

mod carrying;
mod error;
mod groups;
mod ingress;
mod kept;
mod peers;
mod prefixes;
mod probes;
mod refusals;
mod routed_source;
mod segments;
mod senders;
mod shown;
mod sockets;
mod source;
mod strangers;
#[cfg(test)]
mod tests;
mod turn;
mod underlay;
mod vtep;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use ipnet::IpNet;
use rustix::event::{EventfdFlags, eventfd};
use tapweave_control::datapath::{DatapathError, OverlaySettings};
use tapweave_device::{UnderlaySender, interface_mtu};
use tapweave_encap::{
    Admission, Encap, EncapKind, HopLimit, Marking, Prober, TagPolicy, Tunnel, Underlay,
};
use tapweave_net::{NetworkNo, PortNo};
use tracing::{info, warn};

use self::error::OverlayError;
use self::kept::Kept;
use self::peers::PeerPort;
use self::probes::Gateways;
use self::refusals::RefusalCounters;
use self::senders::Senders;
use self::sockets::Endpoint;
use self::underlay::LocalAddresses;
use self::vtep::refresh_path_mtu;
use crate::clock::Clock;
use crate::holdings::Holdings;
use crate::workers::Workers;

pub(crate) use self::peers::Way;
pub(crate) use self::underlay::UnderlayLine;
pub use self::underlay::{UnderlayChoice, UnderlayChoiceError};

/// The port of hosts to which packets travel without UDP.
const NO_PORT: u16 = 0;

/// How far packets to a host go if nothing is said.
const USUAL_HOPS: HopLimit = HopLimit::Fixed(HopLimit::DEFAULT);

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
    kept: Kept,
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
    /// The addresses that there were at the last look.
    seen: LocalAddresses,
    /// Of flow hashes: a flow keeps its source port.
    seed: u64,
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

impl Overlay {
    /// Prepares for overlays. `seed` spreads flows over source ports, unless an earlier daemon has spread them already.
    pub(crate) fn new(
        choices: Vec<UnderlayChoice>,
        default_port: u16,
        workers: Arc<Workers>,
        clock: Clock,
        seed: u64,
        holdings: Arc<Holdings>,
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
            kept: Kept::new(holdings),
            prober: Prober::new([a, b, c, d]),
            nonce: u32::from_ne_bytes(nonce),
            v4: Senders::default(),
            v6: Senders::default(),
            refusals: Arc::default(),
            silence: Arc::new(eventfd(0, flags)?),
            state: Mutex::new(State {
                seed,
                ..State::default()
            }),
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

    /// Returns how many segments a super-frame from a sandbox should have at most, so that it fits one message; none
    /// where that means nothing.
    pub(crate) fn segments_max(&self, network: NetworkNo) -> Option<u16> {
        let state = self.state();
        let Network { tunnel, mtu, .. } = state.networks.get(&network)?;
        let count = tunnel.encap.kind().segments_a_message(*mtu)?;
        u16::try_from(count).ok()
    }

    /// Returns the networks that are overlays.
    pub(crate) fn networks(&self) -> BTreeSet<NetworkNo> {
        self.state().networks.keys().copied().collect()
    }

    /// Forgets a network, whose peers are gone, if it is an overlay.
    pub(crate) fn remove_network(&self, network: NetworkNo) {
        self.forget_network(&mut self.state(), network);
    }

    /// Returns the hosts that have sent into open networks and are no peers of them, since the last call.
    pub(crate) fn strangers(&self) -> Vec<(NetworkNo, IpAddr)> {
        let state = self.state();
        let endpoints = state.endpoints.values();
        endpoints.flat_map(Endpoint::take_strangers).collect()
    }

    /// Looks at the underlay's addresses and the paths to peers again. Call it when an interface or an address of the
    /// host has changed, and every few seconds. Tells whether the addresses have changed, also while there is no overlay:
    /// one may wait for them.
    pub(crate) fn follow(&self) -> bool {
        let mut state = self.state();
        // An interface that is gone has no address.
        let local = LocalAddresses::resolve(&self.choices).unwrap_or_default();
        let has_changed = std::mem::replace(&mut state.seen, local) != local;
        if state.networks.is_empty() {
            return has_changed;
        }
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
        has_changed
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
