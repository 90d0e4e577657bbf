//! Frames that a gateway or an uplink sends by itself: questions for neighbours, and what ICMP for IPv6 is put
//! into. Made by the control side.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tapweave_net::checksum::Sum;
use tapweave_net::{ArpOperation, ArpPacket, EtherType, Icmpv6Type, IpProtocol, MacAddr};

/// The Hop Limit of Neighbor Discovery: a packet that was forwarded has less (RFC 4861 §7.1).
const ND_HOP_LIMIT: u8 = 255;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    pub(super) mac: MacAddr,
    pub(super) address: IpAddr,
}

/// Returns the frame that asks everybody who has `target`: by ARP (RFC 826) or a neighbor solicitation (RFC
/// 4861 §4.3). `None` when the asker is of the other family.
pub(super) fn question(asker: Asker, target: IpAddr) -> Option<Vec<u8>> {
    match (asker.address, target) {
        (IpAddr::V4(own), IpAddr::V4(target)) => Some(arp_request(asker.mac, own, target)),
        (IpAddr::V6(own), IpAddr::V6(target)) => Some(solicitation(asker.mac, own, target)),
        _ => None,
    }
}

/// Returns the frame that asks everybody whether they have `target`, which is not ours yet (RFC 5227 §2.1.1, RFC
/// 4862 §5.4.2).
pub(crate) fn probe_frame(mac: MacAddr, target: IpAddr) -> Vec<u8> {
    match target {
        IpAddr::V4(target) => arp_request(mac, Ipv4Addr::UNSPECIFIED, target),
        IpAddr::V6(target) => icmpv6_frame(&Icmpv6 {
            mac,
            src: Ipv6Addr::UNSPECIFIED,
            dst: solicited_node(target),
            kind: Icmpv6Type::NEIGHBOR_SOLICITATION,
            rest_of_header: 0,
            body: &target.octets(),
        }),
    }
}

fn arp_request(mac: MacAddr, own: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let request = ArpPacket {
        operation: ArpOperation::Request,
        sender_mac: mac,
        sender_ip: own,
        target_mac: MacAddr::ZERO,
        target_ip: target,
    };
    let mut frame = MacAddr::BROADCAST.octets().to_vec();
    frame.extend(mac.octets());
    frame.extend(EtherType::ARP.0.to_be_bytes());
    frame.extend(request.encode());
    frame
}

fn solicitation(mac: MacAddr, own: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let mut body = target.octets().to_vec();
    body.extend(source_link_layer(mac));
    let message = Icmpv6 {
        mac,
        src: own,
        dst: solicited_node(target),
        kind: Icmpv6Type::NEIGHBOR_SOLICITATION,
        rest_of_header: 0,
        body: &body,
    };
    icmpv6_frame(&message)
}

/// Returns the option Source Link-Layer Address (RFC 4861 §4.6.1).
pub(super) fn source_link_layer(mac: MacAddr) -> impl Iterator<Item = u8> {
    [1, 1].into_iter().chain(mac.octets())
}

/// Returns the group that hosts with this address listen to (RFC 4291 §2.7.1).
fn solicited_node(target: Ipv6Addr) -> Ipv6Addr {
    const GROUP: u128 = 0xff02_0000_0000_0000_0000_0001_ff00_0000;
    Ipv6Addr::from_bits(GROUP | target.to_bits() & 0xff_ffff)
}

/// A message to a group on the link.
pub(super) struct Icmpv6<'a> {
    pub(super) mac: MacAddr,
    pub(super) src: Ipv6Addr,
    pub(super) dst: Ipv6Addr,
    pub(super) kind: Icmpv6Type,
    /// The four octets behind the checksum.
    pub(super) rest_of_header: u32,
    /// What follows the header.
    pub(super) body: &'a [u8],
}

/// Returns the frame that carries a message.
pub(super) fn icmpv6_frame(message: &Icmpv6<'_>) -> Vec<u8> {
    let mut icmp = vec![message.kind.0, 0, 0, 0];
    icmp.extend(message.rest_of_header.to_be_bytes());
    icmp.extend(message.body);
    // Messages are a few dozen octets long.
    let len = u16::try_from(icmp.len()).unwrap_or(u16::MAX);
    let pseudo = Sum::pseudo_v6(message.src, message.dst, IpProtocol::ICMPV6, len.into());
    let checksum = pseudo.and_bytes(&icmp).checksum();
    icmp.splice(2..4, checksum.to_be_bytes());

    let [.., third, fourth, fifth, sixth] = message.dst.octets();
    // RFC 2464 §7.
    let mut frame = vec![0x33, 0x33, third, fourth, fifth, sixth];
    frame.extend(message.mac.octets());
    frame.extend(EtherType::IPV6.0.to_be_bytes());
    frame.extend([0x60, 0, 0, 0]);
    frame.extend(len.to_be_bytes());
    frame.extend([IpProtocol::ICMPV6.0, ND_HOP_LIMIT]);
    frame.extend(message.src.octets());
    frame.extend(message.dst.octets());
    frame.extend(icmp);
    frame
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use tapweave_net::checksum::{Verification, verify_transport};
    use tapweave_net::{ChecksumOffload, NeighborQuestion, ParsedFrame};

    use super::*;

    const MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xfe]);

    fn ask(own: &str, target: &str) -> Vec<u8> {
        let asker = Asker {
            mac: MAC,
            address: own.parse().unwrap(),
        };
        question(asker, target.parse().unwrap()).unwrap()
    }

    #[test]
    fn an_arp_request_has_the_bytes_of_rfc_826() {
        let want = [
            &[0xff; 6][..],
            &[2, 0, 0, 0, 0, 0xfe, 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1],
            &[2, 0, 0, 0, 0, 0xfe, 10, 0, 0, 1],
            &[0, 0, 0, 0, 0, 0, 10, 0, 0, 9],
        ];
        assert_eq!(ask("10.0.0.1", "10.0.0.9"), want.concat());
    }

    #[test]
    fn a_solicitation_is_valid_and_goes_to_the_group_of_its_target() {
        let frame = ask("fd00::1", "fd00::1:23:4567");
        assert_eq!(frame[..6], [0x33, 0x33, 0xff, 0x23, 0x45, 0x67]);
        assert_eq!(frame[50..54], [0xff, 0x23, 0x45, 0x67]);
        assert_eq!(frame[78..], [1, 1, 2, 0, 0, 0, 0, 0xfe]);
        let parsed = ParsedFrame::parse(&frame).unwrap();
        assert_eq!(verify_transport(&frame, &parsed), Verification::Right);
        let question = NeighborQuestion::read(&frame, &parsed, ChecksumOffload::Complete).unwrap();
        assert_eq!(
            question.target,
            "fd00::1:23:4567".parse::<IpAddr>().unwrap()
        );
        assert_eq!(question.asker, "fd00::1".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn a_probe_asks_in_nobodys_name() {
        let frame = probe_frame(MAC, "10.0.0.9".parse().unwrap());
        assert!(ArpPacket::parse(&frame[14..]).unwrap().is_probe());
        let frame = probe_frame(MAC, "fd00::1:23:4567".parse().unwrap());
        assert_eq!(frame[..6], [0x33, 0x33, 0xff, 0x23, 0x45, 0x67]);
        assert_eq!(frame.len(), 78, "no option tells whose it is");
        let parsed = ParsedFrame::parse(&frame).unwrap();
        assert_eq!(verify_transport(&frame, &parsed), Verification::Right);
        let probe = NeighborQuestion::read_or_probe(&frame, &parsed, ChecksumOffload::Complete);
        assert!(probe.is_some_and(|probe| probe.asker.is_unspecified()));
    }

    #[test]
    fn nobody_asks_in_the_other_family() {
        let asker = Asker {
            mac: MAC,
            address: "10.0.0.1".parse().unwrap(),
        };
        assert_eq!(question(asker, "fd00::1".parse().unwrap()), None);
    }
}
