//! Puts frames together from the inside out.

use core::net::{Ipv4Addr, Ipv6Addr};

use tapweave_net::{ArpPacket, MacAddr};

pub(super) const OWN_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0x0a]);
pub(super) const OTHER_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0x0b]);
pub(super) const OWN_V4: Ipv4Addr = Ipv4Addr::new(10, 192, 0, 10);
pub(super) const OTHER_V4: Ipv4Addr = Ipv4Addr::new(10, 192, 0, 11);
pub(super) const NOBODY_V4: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
pub(super) const OWN_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x0a);
pub(super) const OTHER_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x0b);
pub(super) const NOBODY_V6: Ipv6Addr = Ipv6Addr::UNSPECIFIED;
/// What the kernel makes of [`OWN_MAC`].
pub(super) const OWN_LINK_LOCAL: Ipv6Addr =
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0x0000, 0x00ff, 0xfe00, 0x000a);
/// What the kernel makes of [`OTHER_MAC`].
pub(super) const OTHER_LINK_LOCAL: Ipv6Addr =
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0x0000, 0x00ff, 0xfe00, 0x000b);
pub(super) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

pub(super) const ICMP: u8 = 1;
pub(super) const IGMP: u8 = 2;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const ICMPV6: u8 = 58;
pub(super) const HOP_BY_HOP: u8 = 0;
pub(super) const ROUTING: u8 = 43;
pub(super) const FRAGMENT: u8 = 44;
pub(super) const DESTINATION: u8 = 60;

/// An Ethernet frame of the endpoint to everybody. `types` are the tags, if any, and the EtherType.
pub(super) fn ethernet(types: &[u16], payload: &[u8]) -> Vec<u8> {
    from_mac(OWN_MAC, types, payload)
}

pub(super) fn from_mac(source: MacAddr, types: &[u16], payload: &[u8]) -> Vec<u8> {
    let mut frame = [[0xff; 6], source.octets()].concat();
    for (place, ethertype) in types.iter().enumerate() {
        frame.extend(ethertype.to_be_bytes());
        if place + 1 < types.len() {
            frame.extend([0, 7]);
        }
    }
    frame.extend(payload);
    frame
}

pub(super) fn arp(packet: &ArpPacket) -> Vec<u8> {
    ethernet(&[0x0806], &packet.encode())
}

/// An IPv4 packet; `fragment` is the field of flags and offset.
pub(super) fn v4_part(
    src: Ipv4Addr,
    dst: Ipv4Addr,
    protocol: u8,
    fragment: u16,
    payload: &[u8],
) -> Vec<u8> {
    let total_len = u16::try_from(20 + payload.len()).unwrap();
    let mut packet = vec![0x45, 0];
    packet.extend(total_len.to_be_bytes());
    packet.extend([0, 1]);
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    packet.extend(src.octets());
    packet.extend(dst.octets());
    packet.extend(payload);
    packet
}

/// A frame with a whole IPv4 packet.
pub(super) fn v4(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    ethernet(&[0x0800], &v4_part(src, dst, protocol, 0, payload))
}

/// An IPv6 packet.
pub(super) fn v6_packet(src: Ipv6Addr, dst: Ipv6Addr, next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    packet.extend([next, 255]);
    packet.extend(src.octets());
    packet.extend(dst.octets());
    packet.extend(payload);
    packet
}

/// A frame with an IPv6 packet.
pub(super) fn v6(src: Ipv6Addr, dst: Ipv6Addr, next: u8, payload: &[u8]) -> Vec<u8> {
    ethernet(&[0x86dd], &v6_packet(src, dst, next, payload))
}

/// An extension header of `8 * (1 + more)` octets, padded with `PadN`, before `rest`.
pub(super) fn extension(next: u8, more: u8, rest: &[u8]) -> Vec<u8> {
    let len = 8 * (1 + usize::from(more));
    let mut header = vec![next, more, 1, u8::try_from(len - 4).unwrap()];
    header.resize(len, 0);
    [&header, rest].concat()
}

/// A Fragment header before `rest`; `field` is offset, two reserved bits and M.
pub(super) fn fragment(next: u8, field: u16, rest: &[u8]) -> Vec<u8> {
    let [high, low] = field.to_be_bytes();
    [&[next, 0, high, low, 0, 0, 0, 1], rest].concat()
}

pub(super) fn udp(src_port: u16, dst_port: u16) -> Vec<u8> {
    let mut datagram = [src_port.to_be_bytes(), dst_port.to_be_bytes()].concat();
    datagram.extend([0, 16, 0, 0]);
    datagram.extend([0xa5; 8]);
    datagram
}

pub(super) fn tcp() -> Vec<u8> {
    let mut segment = vec![0xa5; 20];
    segment[12] = 0x50;
    segment
}

/// An ICMP message for IPv6 with four octets of flags or identifiers and a body.
pub(super) fn icmpv6(kind: u8, rest_of_header: u32, body: &[&[u8]]) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0];
    message.extend(rest_of_header.to_be_bytes());
    message.extend(body.concat());
    message
}

pub(super) fn solicitation(target: Ipv6Addr, options: &[u8]) -> Vec<u8> {
    icmpv6(135, 0, &[&target.octets(), options])
}

/// A solicited advertisement that overrides what is in a cache.
pub(super) fn advertisement(target: Ipv6Addr, options: &[u8]) -> Vec<u8> {
    icmpv6(136, 0x6000_0000, &[&target.octets(), options])
}

pub(super) fn router_advertisement() -> Vec<u8> {
    icmpv6(134, 0x4000_0708, &[&[0; 8], &source_option(OWN_MAC)])
}

pub(super) fn source_option(mac: MacAddr) -> Vec<u8> {
    [&[1, 1], &mac.octets()[..]].concat()
}

pub(super) fn target_option(mac: MacAddr) -> Vec<u8> {
    [&[2, 1], &mac.octets()[..]].concat()
}
