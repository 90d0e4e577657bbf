//! The hosts that take part in overlay networks: the way to each, and its coming and going.

use std::net::IpAddr;
use std::num::NonZeroU8;
use std::sync::Arc;

use ipnet::IpNet;
use tapweave_control::datapath::{DatapathError, PeerSettings, PeerState};
use tapweave_encap::{HopLimit, Peer, Tunnel, Vtep};
use tapweave_net::{NetworkNo, PortNo};
use tapweave_switch::{Flooding, Isolation, PortConfig};

use super::error::OverlayError;
use super::probes::PathProbe;
use super::vtep::{VtepQueue, refresh_path_mtu};
use super::{NO_PORT, Network, Overlay, USUAL_MTU};

/// How far packets to a group go if nothing is said: not beyond the link, as the kernel's device has it.
const GROUP_HOPS: HopLimit = HopLimit::Fixed(NonZeroU8::MIN);

/// The way to a new peer, before its port is known.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) tunnel: Tunnel,
    pub(crate) peer: Arc<Peer>,
    pub(crate) queue: Arc<VtepQueue>,
    /// Of the port, where frames travel.
    pub(crate) port: PortConfig,
}

/// The port of a peer.
#[derive(Debug)]
pub(super) struct PeerPort {
    pub(super) network: NetworkNo,
    pub(super) peer: Arc<Peer>,
    /// None of a group.
    pub(super) probe: Option<PathProbe>,
}

impl Overlay {
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
            state.seed,
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
}
