//! Messages out of frames, and the frames that answer them.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV6};

use tapweave_dhcp::{Reply, ReplyTo};
use tapweave_net::{FlowKey, MacAddr, ParsedFrame, UdpView};

use crate::udp;

/// The ports of DHCP (RFC 2131 §4.1, RFC 8415 §7.2).
const SERVER: u16 = 67;
const CLIENT: u16 = 68;
const SERVER_V6: u16 = 547;

/// Returns the message in a frame.
pub(super) fn message<'f>(frame: &'f [u8], parsed: &ParsedFrame) -> Option<&'f [u8]> {
    let datagram = UdpView::parse(parsed.l4_bytes(frame)?).ok()?;
    Some(datagram.payload())
}

/// Returns the frame that brings an answer to who asked by `question`, from the gateway with this MAC address.
pub(super) fn answer(
    question: &[u8],
    parsed: &ParsedFrame,
    gateway: MacAddr,
    reply: &Reply,
) -> Option<Vec<u8>> {
    let (mac, address) = match reply.to {
        ReplyTo::Everybody => (MacAddr::BROADCAST, Ipv4Addr::BROADCAST),
        ReplyTo::Station(mac, address) => (mac, address),
    };
    let from = SocketAddr::from((reply.server, SERVER));
    let to = SocketAddr::from((address, CLIENT));
    let packet = udp::packet(from, to, &reply.message)?;
    frame(question, parsed, (gateway, mac), &packet)
}

/// Returns the frame that brings an answer over IPv6, from the gateway's link-local address: it goes to the address and
/// port that the question came from.
pub(super) fn answer_v6(
    question: &[u8],
    parsed: &ParsedFrame,
    gateway: MacAddr,
    message: &[u8],
) -> Option<Vec<u8>> {
    let FlowKey::V6 { src, ports, .. } = *parsed.flow() else {
        return None;
    };
    let own = u128::from(gateway.interface_id()) | 0xfe80 << 112;
    let from = SocketAddr::from((std::net::Ipv6Addr::from_bits(own), SERVER_V6));
    let to = SocketAddr::V6(SocketAddrV6::new(src, ports?.src, 0, 0));
    let packet = udp::packet(from, to, message)?;
    frame(question, parsed, (gateway, parsed.src()), &packet)
}

/// Returns a frame with the tags of the question, in whose VLAN the answer belongs.
fn frame(
    question: &[u8],
    parsed: &ParsedFrame,
    (src, dst): (MacAddr, MacAddr),
    packet: &[u8],
) -> Option<Vec<u8>> {
    let tags = question.get(2 * MacAddr::LEN..parsed.l3_offset())?;
    Some([&dst.octets()[..], &src.octets(), tags, packet].concat())
}
