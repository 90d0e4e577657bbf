//! Queries in datagrams, and the frames that answer them.

use std::net::{IpAddr, SocketAddr};

use tapweave_net::checksum::{Verification, verify_transport};
use tapweave_net::{ChecksumOffload, FlowKey, GsoKind, MacAddr, ParsedFrame, PortNo, UdpView};
use tapweave_switch::{Place, ServicePacket};

use crate::udp;

/// Bytes of IPv6 and UDP headers; IPv4 has fewer.
const HEADERS_LEN: u16 = 48;

/// How an answer gets to who asked.
#[derive(Debug)]
pub(super) struct WayBack {
    pub(super) port: PortNo,
    link: LinkHeader,
    /// Who asked.
    client: IpAddr,
    client_port: u16,
    /// Who was asked.
    gateway: IpAddr,
    gateway_port: u16,
    /// Held until the answer is sent. The queries of one super-frame have one between them.
    _place: Option<Place>,
}

/// The Ethernet header of an answer, VLAN tags included: that of the question, turned around.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct LinkHeader(Vec<u8>);

impl LinkHeader {
    /// Returns the header that answers `frame`, whose packet begins at `l3_offset`.
    pub(super) fn turned(frame: &[u8], l3_offset: usize) -> Option<Self> {
        let mut header = frame.get(..l3_offset)?.to_vec();
        let (macs, _tags) = header.split_at_mut_checked(2 * MacAddr::LEN)?;
        macs.rotate_left(MacAddr::LEN);
        Some(Self(header))
    }

    /// Returns the frame that carries `packet`.
    pub(super) fn frame(&self, packet: &[u8]) -> Vec<u8> {
        [&self.0, packet].concat()
    }
}

/// Returns the most bytes of an answer that need no fragments on a link with this MTU.
pub(super) fn max_answer_len(mtu: u16) -> u16 {
    mtu.saturating_sub(HEADERS_LEN).max(512)
}

/// Tells whether the checksum of a packet is right, as far as it is there.
pub(crate) fn is_intact(packet: &ServicePacket, parsed: &ParsedFrame) -> bool {
    match packet.offload.checksum {
        ChecksumOffload::Partial { .. } | ChecksumOffload::Validated => true,
        ChecksumOffload::Complete => matches!(
            verify_transport(&packet.frame, parsed),
            Verification::Right | Verification::Absent
        ),
    }
}

/// Returns the queries of a packet, each with its way back: several where it is a super-frame.
pub(super) fn queries(packet: ServicePacket, parsed: &ParsedFrame) -> Vec<(Vec<u8>, WayBack)> {
    let ServicePacket {
        port,
        frame,
        offload,
        place,
        ..
    } = packet;
    let (client, gateway, ports) = match *parsed.flow() {
        FlowKey::V4 {
            src, dst, ports, ..
        } => (IpAddr::V4(src), IpAddr::V4(dst), ports),
        FlowKey::V6 {
            src, dst, ports, ..
        } => (IpAddr::V6(src), IpAddr::V6(dst), ports),
        FlowKey::Link { .. } => return Vec::new(),
    };
    let view = parsed.l4_bytes(&frame).map(UdpView::parse);
    let link = LinkHeader::turned(&frame, parsed.l3_offset());
    let (Some(Ok(view)), Some(link), Some(ports)) = (view, link, ports) else {
        return Vec::new();
    };
    let whole = view.payload();
    let segment_len = match offload.gso {
        Some(gso) if gso.kind == GsoKind::Udp => usize::from(gso.size),
        Some(_) => return Vec::new(),
        None => whole.len(),
    };
    let mut place = Some(place);
    let payloads = whole.chunks(segment_len.max(1));
    let queries = payloads.map(|payload| {
        let back = WayBack {
            port,
            link: link.clone(),
            client,
            client_port: ports.src,
            gateway,
            gateway_port: ports.dst,
            _place: place.take(),
        };
        (payload.to_vec(), back)
    });
    queries.collect()
}

impl WayBack {
    /// Returns the frame that brings `payload` to who asked; `None` when it is too long for one.
    pub(super) fn frame(&self, payload: &[u8]) -> Option<Vec<u8>> {
        let from = SocketAddr::new(self.gateway, self.gateway_port);
        let to = SocketAddr::new(self.client, self.client_port);
        let packet = udp::packet(from, to, payload)?;
        Some(self.link.frame(&packet))
    }
}

#[cfg(test)]
#[path = "datagram_tests.rs"]
mod tests;
