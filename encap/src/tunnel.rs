//! One network's tunnel: what is put in front of a frame, and what is checked behind it.
//!
//! ```text
//! sending     Inner::parse ─► Tunnel::push or ::segments ─► bytes of the payload   ┐
//!                         └─► Tunnel::outer              ─► Outer                  ┴─► socket
//! receiving   socket ─► pop (datagram.rs) ─► peer and network (vxlan_table.rs, route_table.rs)
//!                                         └─► Tunnel::admit ─► the inner frame or packet
//! ```
//!
//! A tunnel knows neither peers nor sockets.

use tapweave_net::{
    EtherType, EthernetView, Frame, Ipv4View, Ipv6View, Network, Offload, SplitError,
};
use thiserror::Error;

use crate::{
    EncapKind, Inner, Layer, Marking, Outer, Peer, Refusal, Segments, TrafficClass, Underlay, Vni,
    Vtep, VxlanHeader,
};

/// How the frames of one network travel to other hosts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tunnel {
    /// What they are put into.
    pub encap: Encap,
    /// What inner and outer IP header have to do with each other.
    pub marking: Marking,
    /// Whether inner VLAN tags are let through; means nothing to tunnels that carry IP.
    pub tags: TagPolicy,
}

/// An encapsulation with what tells its networks apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Encap {
    /// VXLAN of this segment.
    Vxlan(Vni),
    /// IP in UDP on a port for IP of either version. One of Linux takes one version (`ipproto 4` or
    /// `ipproto 41`); the other then has to travel to another port, as another network.
    Fou,
    /// IP of either version in UDP, GUE variant 1.
    Gue,
    /// IP of either version in IP.
    Ipip,
}

/// Whether VLAN tags in inner frames are let through (RFC 7348 §6.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum TagPolicy {
    /// A tagged frame is refused on its way out and on its way in.
    #[default]
    Refuse,
    /// Tags are carried as part of the frame; the kernel's device does the same.
    Pass,
}

/// The bytes that go in front of an inner frame or packet, if any.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TunnelHeader {
    /// A VXLAN header.
    Vxlan([u8; VxlanHeader::LEN]),
    /// Nothing: the inner packet begins at once.
    None,
}

/// A super-frame cannot be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum SegmentsError {
    /// The tunnel does not carry it.
    #[error("the tunnel does not carry the frame: {0}")]
    Refused(Refusal),
    /// It cannot be cut.
    #[error("the frame cannot be cut")]
    Split(#[from] SplitError),
}

impl Encap {
    /// Returns the encapsulation without what tells its networks apart.
    pub const fn kind(self) -> EncapKind {
        match self {
            Self::Vxlan(_) => EncapKind::Vxlan,
            Self::Fou => EncapKind::Fou,
            Self::Gue => EncapKind::Gue,
            Self::Ipip => EncapKind::Ipip,
        }
    }
}

impl TunnelHeader {
    /// Returns the bytes.
    pub const fn bytes(&self) -> &[u8] {
        match self {
            Self::Vxlan(header) => header,
            Self::None => &[],
        }
    }
}

impl Tunnel {
    /// Returns what goes in front of every inner frame or packet.
    #[inline]
    pub const fn header(&self) -> TunnelHeader {
        match self.encap {
            Encap::Vxlan(vni) => TunnelHeader::Vxlan(VxlanHeader { vni }.encode()),
            Encap::Fou | Encap::Gue | Encap::Ipip => TunnelHeader::None,
        }
    }

    /// Returns the largest inner IP packet that reaches `peer`, in bytes; `None` when none does.
    ///
    /// A frame with a larger one is [`Refusal::TooBig`]; its sender is told by
    /// [`tapweave_net::IcmpError`], and SYNs are lowered by [`tapweave_net::clamp_mss`].
    #[inline]
    pub fn inner_mtu(&self, peer: &Peer) -> Option<u16> {
        let underlay = Underlay::of(peer.vtep().addr());
        let kind = self.encap.kind();
        kind.inner_mtu(underlay, peer.path_mtu(), self.tags)
    }

    /// Returns the outer headers of a frame on its way to `to`. All segments of a super-frame have
    /// them in common.
    #[inline]
    pub fn outer(&self, inner: &Inner, to: Vtep) -> Outer {
        Outer {
            to,
            src_port: inner.src_port(),
            class: self.marking.outer_class(inner),
            hop_limit: self.marking.outer_hop_limit(inner),
            flow_label: inner.flow_label(),
        }
    }

    /// Pushes the tunnel's header in front of the frame of which `inner` was read, and returns what
    /// the outer UDP header, or for IP in IP the outer IP header, carries. Nothing is copied but
    /// the header; for tunnels that carry IP the Ethernet header and padding are left out.
    ///
    /// The frame's checksums must be complete and it must not be a super-frame: see
    /// [`tapweave_net::checksum::complete`] and [`Tunnel::segments`].
    ///
    /// # Errors
    ///
    /// [`Refusal::InnerTagged`], [`Refusal::NoHeadroom`]; for tunnels that carry IP
    /// [`Refusal::NotIp`], [`Refusal::InnerMalformed`].
    #[inline]
    pub fn push<'f>(&self, frame: &'f mut Frame<'_>, inner: &Inner) -> Result<&'f [u8], Refusal> {
        let start = self.start_of(inner)?;
        match self.header() {
            TunnelHeader::Vxlan(header) => frame.with_header(header).ok_or(Refusal::NoHeadroom),
            TunnelHeader::None => {
                let end = inner.packet().ok_or(Refusal::InnerMalformed)?.end;
                frame.data().get(start..end).ok_or(Refusal::InnerMalformed)
            }
        }
    }

    /// Prepares to send the super-frame `frame`, of which `inner` was read, in segments.
    ///
    /// # Errors
    ///
    /// What [`Tunnel::push`] refuses; [`SegmentsError::Split`] when the frame is not what `offload`
    /// says.
    pub fn segments<'f>(
        &self,
        frame: &'f [u8],
        offload: Offload,
        inner: &Inner,
    ) -> Result<Segments<'f>, SegmentsError> {
        let start = self.start_of(inner).map_err(SegmentsError::Refused)?;
        Ok(Segments::new(frame, offload, self.header(), start)?)
    }

    /// Returns where what the tunnel carries begins in a frame that it carries.
    #[inline]
    fn start_of(&self, inner: &Inner) -> Result<usize, Refusal> {
        match self.encap.kind().layer() {
            Layer::Link if inner.tag().is_some() && self.tags == TagPolicy::Refuse => {
                Err(Refusal::InnerTagged)
            }
            Layer::Link => Ok(0),
            Layer::Network => {
                let packet = inner.packet().ok_or(Refusal::InnerMalformed)?;
                if inner.tag().is_some() {
                    return Err(Refusal::InnerTagged);
                }
                match packet.network {
                    Network::V4 | Network::V6 => Ok(packet.start),
                    Network::Other => Err(Refusal::NotIp),
                }
            }
        }
    }

    /// Checks the inner frame or packet that came out of a datagram and brings in what the
    /// datagram's outer header, of traffic class `outer`, tells.
    ///
    /// `inner` is what [`pop`](crate::pop) returned, and its sender has been found to be a peer of
    /// this tunnel's network.
    ///
    /// # Errors
    ///
    /// [`Refusal::InnerMalformed`], [`Refusal::InnerTagged`], [`Refusal::InnerVersion`],
    /// [`Refusal::EcnDrop`]. The packet must be dropped then.
    #[inline]
    pub fn admit(&self, inner: &mut [u8], outer: TrafficClass) -> Result<(), Refusal> {
        match self.encap.kind().layer() {
            Layer::Link => self.admit_frame(inner, outer),
            Layer::Network => self.admit_packet(inner, outer),
        }
    }

    #[inline]
    fn admit_frame(&self, frame: &mut [u8], outer: TrafficClass) -> Result<(), Refusal> {
        let ethernet = EthernetView::parse(frame).map_err(|_runt| Refusal::InnerMalformed)?;
        if ethernet.tags().outer().is_some() && self.tags == TagPolicy::Refuse {
            return Err(Refusal::InnerTagged);
        }
        let network = match ethernet.ethertype() {
            EtherType::IPV4 => Network::V4,
            EtherType::IPV6 => Network::V6,
            _ => return Ok(()),
        };
        let l3_offset = ethernet.payload_offset();
        let l3 = frame.get_mut(l3_offset..).unwrap_or_default();
        self.marking.bring_in(network, l3, outer)
    }

    #[inline]
    fn admit_packet(&self, packet: &mut [u8], outer: TrafficClass) -> Result<(), Refusal> {
        let malformed = |_error| Refusal::InnerMalformed;
        let network = match packet.first().map(|octet| octet >> 4) {
            Some(4) => Ipv4View::parse(packet).map(|_| Network::V4),
            Some(6) => Ipv6View::parse(packet).map(|_| Network::V6),
            Some(_) => return Err(Refusal::InnerVersion),
            None => return Err(Refusal::InnerMalformed),
        };
        let network = network.map_err(malformed)?;
        self.marking.bring_in(network, packet, outer)
    }
}

#[cfg(test)]
mod tests;
