//! The few frames that a station sends to come to an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    Icmpv6Packet, Icmpv6Repr, IpProtocol, Ipv6Packet, Ipv6Repr, NdiscNeighborFlags, NdiscRepr,
    RawHardwareAddress,
};
use tapweave_net::{ArpOperation, ArpPacket, EtherType, MacAddr};

/// Everybody who takes part in IPv6 (RFC 4291 §2.7.1).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// All routers.
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// Returns the address that a station makes of a prefix of 64 bits (RFC 4291 appendix A).
pub(super) fn formed_address(prefix: Ipv6Addr, mac: MacAddr) -> Ipv6Addr {
    let prefix = prefix.to_bits() >> 64 << 64;
    Ipv6Addr::from_bits(prefix | u128::from(mac.interface_id()))
}

/// Returns a question whether anybody has `address`, which is not ours yet (RFC 5227 §2.1.1,
/// RFC 4862 §5.4.2).
pub(super) fn probe(address: IpAddr, mac: MacAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(ip) => arp(mac, Ipv4Addr::UNSPECIFIED, ip),
        IpAddr::V6(ip) => {
            let solicitation = NdiscRepr::NeighborSolicit {
                target_addr: ip,
                lladdr: None,
            };
            nd(mac, Ipv6Addr::UNSPECIFIED, solicited_node(ip), solicitation)
        }
    }
}

/// Tells everybody that `address` is ours (RFC 5227 §2.3, RFC 4861 §7.2.6).
pub(super) fn announcement(address: IpAddr, mac: MacAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(ip) => arp(mac, ip, ip),
        IpAddr::V6(ip) => {
            let advertisement = NdiscRepr::NeighborAdvert {
                flags: NdiscNeighborFlags::OVERRIDE,
                target_addr: ip,
                lladdr: Some(link_layer(mac)),
            };
            nd(mac, ip, ALL_NODES, advertisement)
        }
    }
}

/// Asks routers to tell of themselves (RFC 4861 §4.1), from an address that is known to be ours or from
/// none.
pub(super) fn router_solicitation(mac: MacAddr) -> Vec<u8> {
    let solicitation = NdiscRepr::RouterSolicit { lladdr: None };
    nd(mac, Ipv6Addr::UNSPECIFIED, ALL_ROUTERS, solicitation)
}

fn arp(mac: MacAddr, sender_ip: Ipv4Addr, target_ip: Ipv4Addr) -> Vec<u8> {
    let packet = ArpPacket {
        operation: ArpOperation::Request,
        sender_mac: mac,
        sender_ip,
        target_mac: MacAddr::ZERO,
        target_ip,
    };
    let mut frame = ethernet(MacAddr::BROADCAST, mac, EtherType::ARP);
    frame.extend_from_slice(&packet.encode());
    frame
}

fn nd(mac: MacAddr, from: Ipv6Addr, to: Ipv6Addr, message: NdiscRepr<'_>) -> Vec<u8> {
    let icmp = Icmpv6Repr::Ndisc(message);
    let ip = Ipv6Repr {
        src_addr: from,
        dst_addr: to,
        next_header: IpProtocol::Icmpv6,
        payload_len: icmp.buffer_len(),
        hop_limit: 255,
    };
    let mut packet = vec![0; ip.buffer_len() + icmp.buffer_len()];
    let (header, body) = packet.split_at_mut(ip.buffer_len());
    ip.emit(&mut Ipv6Packet::new_unchecked(header));
    let checksums = ChecksumCapabilities::default();
    icmp.emit(
        &from,
        &to,
        &mut Icmpv6Packet::new_unchecked(body),
        &checksums,
    );
    let mut frame = ethernet(group_mac(to), mac, EtherType::IPV6);
    frame.extend_from_slice(&packet);
    frame
}

fn ethernet(to: MacAddr, from: MacAddr, ether_type: EtherType) -> Vec<u8> {
    let mut frame = Vec::with_capacity(128);
    frame.extend_from_slice(&to.octets());
    frame.extend_from_slice(&from.octets());
    frame.extend_from_slice(&ether_type.0.to_be_bytes());
    frame
}

fn link_layer(mac: MacAddr) -> RawHardwareAddress {
    RawHardwareAddress::from_bytes(&mac.octets())
}

/// Returns the group that a station of this address listens to (RFC 4291 §2.7.1).
fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let base = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0).to_bits();
    Ipv6Addr::from_bits(base | address.to_bits() & 0xff_ffff)
}

/// Returns the MAC address of a group (RFC 2464 §7).
fn group_mac(group: Ipv6Addr) -> MacAddr {
    let [.., third, fourth, fifth, sixth] = group.octets();
    MacAddr::new([0x33, 0x33, third, fourth, fifth, sixth])
}

/// Returns the MAC address of the group that a station of this address listens to.
pub(in super::super) fn solicited_node_mac(address: Ipv6Addr) -> MacAddr {
    group_mac(solicited_node(address))
}

#[cfg(test)]
mod tests {
    use tapweave_net::{Icmpv6View, Ipv6View, NdMessage};

    use super::*;

    const MAC: MacAddr = MacAddr::new([2, 0x11, 0x22, 0x33, 0x44, 0x55]);

    fn read(frame: &[u8]) -> (Ipv6View<'_>, Icmpv6View<'_>) {
        let ip = Ipv6View::parse(&frame[14..]).unwrap();
        let icmp = Icmpv6View::parse(&frame[54..]).unwrap();
        assert_eq!(ip.hop_limit(), 255);
        assert!(icmp.verify_checksum(ip.src(), ip.dst()));
        (ip, icmp)
    }

    #[test]
    fn an_ipv4_address_is_asked_for_without_being_used_and_then_announced() {
        let address: Ipv4Addr = "192.0.2.5".parse().unwrap();
        let asked = probe(address.into(), MAC);
        assert_eq!(asked[..6], [0xff; 6]);
        assert!(ArpPacket::parse(&asked[14..]).unwrap().is_probe());
        let told = announcement(address.into(), MAC);
        let told = ArpPacket::parse(&told[14..]).unwrap();
        assert!(told.is_announcement() && told.sender_mac == MAC);
    }

    #[test]
    fn an_ipv6_address_is_asked_for_at_its_group_and_then_announced_to_all() {
        let address = formed_address("2001:db8::".parse().unwrap(), MAC);
        assert_eq!(
            address,
            "2001:db8::11:22ff:fe33:4455".parse::<Ipv6Addr>().unwrap()
        );
        let frame = probe(address.into(), MAC);
        assert_eq!(frame[..6], [0x33, 0x33, 0xff, 0x33, 0x44, 0x55]);
        let (ip, icmp) = read(&frame);
        assert!(ip.src().is_unspecified());
        let NdMessage::NeighborSolicitation {
            target,
            mut options,
        } = NdMessage::parse(&icmp).unwrap()
        else {
            panic!("{icmp:?}");
        };
        assert_eq!((target, options.next().is_none()), (address, true));
        let frame = announcement(address.into(), MAC);
        assert_eq!(frame[..6], [0x33, 0x33, 0, 0, 0, 1]);
        let NdMessage::NeighborAdvertisement { target, flags, .. } =
            NdMessage::parse(&read(&frame).1).unwrap()
        else {
            panic!("no advertisement");
        };
        assert!(target == address && flags.overriding && !flags.solicited);
    }

    #[test]
    fn routers_are_asked_at_their_group() {
        let frame = router_solicitation(MAC);
        assert_eq!(frame[..6], [0x33, 0x33, 0, 0, 0, 2]);
        let (_, icmp) = read(&frame);
        assert!(matches!(
            NdMessage::parse(&icmp),
            Ok(NdMessage::RouterSolicitation { .. })
        ));
    }
}
