//! Finding out how large a packet the path to a peer takes, where no ICMP message says so.
//!
//! # Theory of operation
//!
//! [`PathMtu`] says which size is to be tried when, and [`Prober`] and [`echo_request`] what the question is; this
//! file brings them together with the sockets. For each peer of each network, since no network shall depend on what
//! stations of another answer:
//!
//! ```text
//!  control side, several times a second            worker
//!  ────────────────────────────────────            ──────
//!  no station known: want one       ─── Peer ───►  the next frame from the peer shows one
//!  size due: number it, send it,    ─── Peer ───►  is this the answer? it goes no further
//!            want the answer
//!  answered? tell the machine       ◄── Peer ────  the number of the last one that was answered
//! ```
//!
//! A station that answers nothing in a whole round, since it has gone or is no neighbour but a router's host, is
//! exchanged for the next that is seen. A peer of which nothing comes is left alone: nothing is learned from that,
//! and it costs nobody anything. Nor is a multicast group asked, since many would answer.
//!
//! Workers pay one comparison of six bytes, and one load, for a frame.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tapweave_device::HEADROOM;
use tapweave_encap::{
    FoundPath, Layer, PathMtu, Peer, Prober, Station, Underlay, Wanted, echo_reply, echo_request,
};
use tapweave_net::{EtherType, EthernetView, Frame, Offload, Timestamp};

use super::Overlay;
use super::vtep::VtepQueue;

/// A peer of which nothing came for so long is not asked.
const SILENCE: Duration = Duration::from_mins(1);

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    pub(super) prober: Prober,
    /// From where hosts route to each other.
    pub(super) gateways: Gateways,
}

/// The addresses of a network's gateway, one of each family at most.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gateways {
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
}

impl FromIterator<IpNet> for Gateways {
    fn from_iter<I: IntoIterator<Item = IpNet>>(nets: I) -> Self {
        let mut gateways = Self::default();
        for net in nets {
            match net.addr() {
                IpAddr::V4(addr) => gateways.v4 = gateways.v4.or(Some(addr)),
                IpAddr::V6(addr) => gateways.v6 = gateways.v6.or(Some(addr)),
            }
        }
        gateways
    }
}

impl Gateways {
    /// Returns the address that can speak to `to`.
    fn towards(self, to: IpAddr) -> Option<IpAddr> {
        match to {
            IpAddr::V4(_) => self.v4.map(IpAddr::V4),
            IpAddr::V6(_) => self.v6.map(IpAddr::V6),
        }
    }
}

/// What is being found out of the path to one peer.
#[derive(Debug)]
pub(super) struct PathProbe {
    machine: PathMtu,
    queue: Arc<VtepQueue>,
    /// Number and size of the last probe.
    last: (u32, u16),
    /// Whether the station has answered in this round.
    is_answering: bool,
}

impl PathProbe {
    /// `nonce` is where the numbers of probes begin.
    pub(super) fn new(queue: Arc<VtepQueue>, nonce: u32) -> Self {
        let peer = queue.peer();
        peer.want_station();
        let underlay = Underlay::of(peer.vtep().addr());
        Self {
            machine: PathMtu::new(underlay, peer.kernel_mtu()),
            queue,
            last: (nonce, 0),
            is_answering: false,
        }
    }

    /// Returns what was found, if it is less than the kernel knows.
    pub(super) fn found(&self) -> Option<FoundPath> {
        self.machine.found()
    }

    /// Goes on with what an earlier daemon found.
    pub(super) fn resume(&mut self, found: FoundPath, now: Timestamp) {
        self.machine.resume(found, now);
        self.state();
    }

    /// Takes in an answer, sends what is to be sent and says what the path takes.
    fn poll(&mut self, now: Timestamp, asker: Asker) {
        let queue = Arc::clone(&self.queue);
        let peer = queue.peer();
        let (nonce, size) = self.last;
        self.machine.handle_ceiling(peer.kernel_mtu());
        if size > 0 && peer.answered() == nonce {
            self.machine.handle_answer(now, size);
            self.last = (nonce, 0);
            self.is_answering = true;
        }
        let is_silent = |heard| now.since(heard) >= SILENCE;
        if !peer.last_heard().is_none_or(is_silent)
            && let Some(station) = peer.station()
        {
            self.ask(now, asker, station);
        }
        self.state();
    }

    /// States what the path takes.
    fn state(&self) {
        let peer = self.queue.peer();
        let (found, ceiling) = (self.machine.current(), peer.kernel_mtu());
        peer.set_probed_mtu(if found < ceiling { found } else { u16::MAX });
    }

    fn ask(&mut self, now: Timestamp, asker: Asker, station: Station) {
        let was_asking = self.machine.probed().is_some();
        if let Some(size) = self.machine.poll_probe(now) {
            let nonce = self.last.0.wrapping_add(1);
            self.last = (nonce, size);
            if let Some(frame) = self.question(asker, station, nonce, size) {
                self.queue.peer().want_answer(nonce);
                let mut buffer = vec![0; HEADROOM];
                buffer.extend(frame);
                let mut frame = Frame::new(&mut buffer, HEADROOM, Offload::NONE);
                // One that is not sent is not answered.
                let _lost = self.queue.send_probe(&mut frame);
            }
        } else if was_asking && self.machine.probed().is_none() {
            if self.is_answering {
                self.queue.peer().want_nothing();
            } else {
                self.queue.peer().want_station();
            }
            self.is_answering = false;
        }
    }

    /// Returns the frame whose outer packet is of this size.
    fn question(&self, asker: Asker, to: Station, nonce: u32, size: u16) -> Option<Vec<u8>> {
        let kind = self.queue.kind();
        let underlay = Underlay::of(self.queue.peer().vtep().addr());
        let len = size.checked_sub(underlay.header_len() + kind.header_len())?;
        match kind.layer() {
            Layer::Link => asker.prober.question(to, len.into()),
            Layer::Network => {
                let from = asker.gateways.towards(to.addr)?;
                let packet = echo_request(from, to.addr, nonce, len.into())?;
                let ethertype = match from {
                    IpAddr::V4(_) => EtherType::IPV4,
                    IpAddr::V6(_) => EtherType::IPV6,
                };
                let mut frame = vec![0; EthernetView::LEN - size_of::<EtherType>()];
                frame.extend(ethertype.0.to_be_bytes());
                frame.extend(packet);
                Some(frame)
            }
        }
    }
}

/// Whether what came from a peer is for who probes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Addressee {
    /// It is, and goes no further.
    Prober,
    /// It is not.
    Switch,
}

/// Looks at a frame that came from a peer.
#[inline]
pub(super) fn look_at_frame(prober: Prober, peer: &Peer, frame: &[u8]) -> Addressee {
    if prober.is_addressee(frame) {
        let is_answer = |station| prober.is_answer(station, frame);
        if peer.wanted() == Wanted::Answer && peer.station().is_some_and(is_answer) {
            peer.handle_answer();
        }
        return Addressee::Prober;
    }
    if peer.wanted() == Wanted::Station
        && let Some(station) = Station::of_frame(frame)
    {
        peer.handle_station(station);
    }
    Addressee::Switch
}

/// Looks at a packet that came from a peer.
#[inline]
pub(super) fn look_at_packet(peer: &Peer, packet: &[u8]) -> Addressee {
    match peer.wanted() {
        Wanted::Station => {
            if let Some(station) = Station::of_packet(packet) {
                peer.handle_station(station);
            }
            Addressee::Switch
        }
        Wanted::Answer if echo_reply(packet) == Some(peer.asked()) => {
            peer.handle_answer();
            Addressee::Prober
        }
        Wanted::Nothing | Wanted::Answer => Addressee::Switch,
    }
}

impl Overlay {
    /// Probes the paths to peers. Call it several times a second.
    pub(crate) fn probe_paths(&self) {
        let now = self.clock.now();
        let mut state = self.state();
        let state = &mut *state;
        for port in state.peers.values_mut() {
            let gateways = state.networks.get(&port.network);
            let gateways = gateways.map(|network| network.gateways);
            if let (Some(probe), Some(gateways)) = (&mut port.probe, gateways) {
                let prober = self.prober;
                probe.poll(now, Asker { prober, gateways });
            }
        }
    }
}
