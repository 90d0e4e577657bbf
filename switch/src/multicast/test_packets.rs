//! Packets of IGMP and MLD for tests, with right checksums.

use core::net::{Ipv4Addr, Ipv6Addr};

use tapweave_net::checksum::Sum;
use tapweave_net::{EtherType, IpProtocol};

use super::{Checksum, Heard, hear};

/// A packet and its EtherType.
pub(crate) struct Packet {
    ethertype: EtherType,
    pub(crate) bytes: Vec<u8>,
}

impl Packet {
    /// Reads the packet as snooping does.
    pub(crate) fn heard(&self) -> Heard<'_> {
        hear(self.ethertype, &self.bytes, Checksum::Present)
    }
}

/// Returns an IGMP message in IPv4 with Router Alert and TTL 1; its checksum is filled in.
pub(crate) fn igmp(src: &str, dst: &str, message: &[u8]) -> Packet {
    let mut message = message.to_vec();
    message[2..4].fill(0);
    let checksum = Sum::of(&message).checksum();
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    Packet {
        ethertype: EtherType::IPV4,
        bytes: ipv4(src, dst, 2, &[0x94, 4, 0, 0], &message),
    }
}

/// Returns an IPv4 packet with TTL 1.
pub(crate) fn ipv4(src: &str, dst: &str, protocol: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let octets = |text: &str| text.parse::<Ipv4Addr>().unwrap().octets();
    let header_len = 20 + options.len();
    let len = u16::try_from(header_len + payload.len()).unwrap();
    let first = 0x40 | u8::try_from(header_len / 4).unwrap();
    let mut bytes = vec![first, 0xc0, 0, 0, 0, 0, 0, 0, 1, protocol, 0, 0];
    bytes[2..4].copy_from_slice(&len.to_be_bytes());
    bytes.extend(octets(src));
    bytes.extend(octets(dst));
    bytes.extend(options);
    let checksum = Sum::of(&bytes).checksum();
    bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Hop-by-Hop Options with Router Alert, before ICMP.
pub(crate) const ALERT: [u8; 8] = [58, 0, 5, 2, 0, 0, 1, 0];

/// Returns an MLD message in IPv6 with Router Alert and hop limit 1; its checksum is filled in.
pub(crate) fn mld(src: &str, dst: &str, message: &[u8]) -> Packet {
    mld_behind(src, dst, 0, &ALERT, message)
}

/// Returns an MLD message behind `extensions`, of which the first is `next`.
pub(crate) fn mld_behind(
    src: &str,
    dst: &str,
    next: u8,
    extensions: &[u8],
    message: &[u8],
) -> Packet {
    let (src, dst): (Ipv6Addr, Ipv6Addr) = (src.parse().unwrap(), dst.parse().unwrap());
    let mut message = message.to_vec();
    message[2..4].fill(0);
    let len = u32::try_from(message.len()).unwrap();
    let pseudo = Sum::pseudo_v6(src, dst, IpProtocol::ICMPV6, len);
    let checksum = pseudo.and_bytes(&message).checksum();
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    let len = u16::try_from(extensions.len() + message.len()).unwrap();
    let mut bytes = vec![0x60, 0, 0, 0, 0, 0, next, 1];
    bytes[4..6].copy_from_slice(&len.to_be_bytes());
    bytes.extend(src.octets());
    bytes.extend(dst.octets());
    bytes.extend(extensions);
    bytes.extend(message);
    Packet {
        ethertype: EtherType::IPV6,
        bytes,
    }
}

/// Returns a packet of data for a group.
pub(crate) fn data(dst: &str) -> Packet {
    if dst.contains(':') {
        let mut bytes = vec![0x60, 0, 0, 0, 0, 0, 17, 64];
        bytes.extend("fe80::9".parse::<Ipv6Addr>().unwrap().octets());
        bytes.extend(dst.parse::<Ipv6Addr>().unwrap().octets());
        return Packet {
            ethertype: EtherType::IPV6,
            bytes,
        };
    }
    Packet {
        ethertype: EtherType::IPV4,
        bytes: ipv4("10.0.0.9", dst, 17, &[], &[0; 8]),
    }
}

fn address(group: &str) -> Vec<u8> {
    if group.contains(':') {
        group.parse::<Ipv6Addr>().unwrap().octets().to_vec()
    } else {
        group.parse::<Ipv4Addr>().unwrap().octets().to_vec()
    }
}

/// Returns a report of IGMPv3 or MLDv2 with records of a kind, a group and a number of sources.
pub(crate) fn report(records: &[(u8, &str, u8)]) -> Packet {
    let v6 = records[0].1.contains(':');
    let mut message = vec![if v6 { 143 } else { 0x22 }, 0, 0, 0, 0, 0, 0, 0];
    message[7] = u8::try_from(records.len()).unwrap();
    for &(kind, group, source_count) in records {
        let group = address(group);
        message.extend([kind, 0, 0, source_count]);
        message.extend(&group);
        let sources = usize::from(source_count) * group.len();
        message.resize(message.len() + sources, 9);
    }
    if v6 {
        mld("fe80::2", "ff02::16", &message)
    } else {
        igmp("10.0.0.2", "224.0.0.22", &message)
    }
}

/// Returns a report of IGMPv3 or MLDv2 that joins a group.
pub(crate) fn join(group: &str) -> Packet {
    report(&[(4, group, 0)])
}

/// Returns a report of IGMPv3 or MLDv2 that leaves a group.
pub(crate) fn leave(group: &str) -> Packet {
    report(&[(3, group, 0)])
}

/// Returns a general query of version 2 or of `MLDv1`, whose response time is `secs`.
pub(crate) fn query(src: &str, secs: u8) -> Packet {
    if src.contains(':') {
        let millis = u16::from(secs) * 1000;
        let [high, low] = millis.to_be_bytes();
        let mut message = vec![130, 0, 0, 0, high, low, 0, 0];
        message.extend([0; 16]);
        return mld(src, "ff02::1", &message);
    }
    igmp(src, "224.0.0.1", &[0x11, secs * 10, 0, 0, 0, 0, 0, 0])
}

/// Returns a query of IGMPv3 for a group, with these flags and number of sources, and a response time of
/// one second.
pub(crate) fn group_query(group: &str, flags: u8, source_count: u8) -> Packet {
    let mut message = vec![0x11, 10, 0, 0];
    message.extend(address(group));
    message.extend([flags, 125, 0, source_count]);
    message.resize(message.len() + usize::from(source_count) * 4, 9);
    igmp("10.0.0.1", group, &message)
}
