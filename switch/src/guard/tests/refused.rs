//! The plain attacks, each with the reason that it is counted under.

use core::net::{Ipv4Addr, Ipv6Addr};

use tapweave_net::{ArpOperation, ArpPacket, MacAddr};

use super::*;

#[test]
fn another_mac() {
    let packet = v4_part(OWN_V4, OTHER_V4, TCP, 0, &tcp());
    for mac in [OTHER_MAC, MacAddr::ZERO, MacAddr::BROADCAST] {
        let frame = from_mac(mac, &[0x0800], &packet);
        assert_eq!(check(&frame), Err(DropReason::GuardMac), "{mac}");
    }
}

#[test]
fn other_ethertypes() {
    // RARP, IPX, MACsec, LLDP, PPPoE, MPLS, and an 802.3 length.
    for ethertype in [0x8035, 0x8137, 0x88e5, 0x88cc, 0x8864, 0x8847, 0x0026] {
        let frame = ethernet(&[ethertype], &[0xa5; 46]);
        let refused = Err(DropReason::GuardEthertype);
        assert_eq!(check(&frame), refused, "{ethertype:#x}");
    }
}

#[test]
fn another_ipv4_source() {
    for source in [
        OTHER_V4,
        NOBODY_V4,
        Ipv4Addr::LOCALHOST,
        Ipv4Addr::BROADCAST,
        Ipv4Addr::new(224, 0, 0, 1),
        Ipv4Addr::new(169, 254, 169, 254),
        Ipv4Addr::new(10, 192, 0, 0),
    ] {
        for (protocol, payload) in [(TCP, tcp()), (UDP, udp(1, 2)), (ICMP, vec![8; 8])] {
            let frame = v4(source, OTHER_V4, protocol, &payload);
            assert_eq!(check(&frame), Err(DropReason::GuardIpv4), "{source}");
        }
    }
}

#[test]
fn an_unspecified_ipv4_source_for_anything_but_dhcp_and_reports() {
    let group = Ipv4Addr::new(224, 0, 0, 1);
    for (destination, protocol, payload) in [
        (OTHER_V4, UDP, udp(68, 67)),
        (Ipv4Addr::BROADCAST, UDP, udp(68, 68)),
        (Ipv4Addr::BROADCAST, UDP, udp(5000, 67)),
        (Ipv4Addr::BROADCAST, TCP, tcp()),
        // A query, and a report to one station.
        (group, IGMP, vec![0x11, 0, 0, 0, 0, 0, 0, 0]),
        (OTHER_V4, IGMP, vec![0x16, 0, 0, 0, 239, 1, 2, 3]),
        (group, IGMP, vec![]),
    ] {
        let frame = v4(NOBODY_V4, destination, protocol, &payload);
        let refused = Err(DropReason::GuardIpv4);
        assert_eq!(check(&frame), refused, "{destination} {payload:?}");
    }
}

#[test]
fn another_ipv6_source() {
    for source in [
        OTHER_V6,
        NOBODY_V6,
        OTHER_LINK_LOCAL,
        ALL_NODES,
        Ipv6Addr::LOCALHOST,
        OWN_V4.to_ipv6_mapped(),
    ] {
        let frame = v6(source, OTHER_V6, TCP, &tcp());
        assert_eq!(check(&frame), Err(DropReason::GuardIpv6), "{source}");
    }
}

#[test]
fn an_unspecified_ipv6_source_for_anything_but_questions() {
    let query = icmpv6(130, 0, &[&[0; 16]]);
    for (destination, message) in [
        (ALL_NODES, icmpv6(128, 0, &[])),
        (ALL_NODES, advertisement(OWN_V6, &[])),
        (ALL_NODES, query),
        (ALL_NODES, router_advertisement()),
        (OTHER_V6, solicitation(OWN_V6, &[])),
    ] {
        let frame = v6(NOBODY_V6, destination, ICMPV6, &message);
        assert_eq!(check(&frame), Err(DropReason::GuardIpv6), "{message:?}");
    }
}

#[test]
fn arp_for_another_station() {
    let own = ArpPacket {
        operation: ArpOperation::Reply,
        sender_mac: OWN_MAC,
        sender_ip: OWN_V4,
        target_mac: OTHER_MAC,
        target_ip: OTHER_V4,
    };
    let request = ArpPacket {
        operation: ArpOperation::Request,
        ..own
    };
    for packet in [
        ArpPacket {
            sender_ip: OTHER_V4,
            ..own
        },
        ArpPacket {
            sender_ip: OTHER_V4,
            ..request
        },
        ArpPacket {
            sender_mac: OTHER_MAC,
            ..own
        },
        ArpPacket {
            sender_mac: OTHER_MAC,
            ..request
        },
        // A probe in another station's name, and an answer that is a probe.
        ArpPacket {
            sender_mac: OTHER_MAC,
            sender_ip: NOBODY_V4,
            ..request
        },
        ArpPacket {
            sender_ip: NOBODY_V4,
            ..own
        },
        // RARP, InARP, and what nobody has defined.
        ArpPacket {
            operation: ArpOperation::Other(4),
            ..own
        },
        ArpPacket {
            operation: ArpOperation::Other(9),
            ..own
        },
        ArpPacket {
            operation: ArpOperation::Other(0),
            ..own
        },
    ] {
        assert_eq!(check(&arp(&packet)), Err(DropReason::GuardArp), "{packet}");
    }
}

#[test]
fn neighbor_discovery_for_another_station() {
    for message in [
        advertisement(OTHER_V6, &target_option(OWN_MAC)),
        advertisement(OTHER_LINK_LOCAL, &target_option(OWN_MAC)),
        advertisement(OTHER_V6, &[]),
        advertisement(ALL_NODES, &[]),
        advertisement(OWN_V6, &target_option(OTHER_MAC)),
        solicitation(OTHER_V6, &source_option(OTHER_MAC)),
        solicitation(ALL_NODES, &[]),
        icmpv6(133, 0, &[&source_option(OTHER_MAC)]),
        // Inverse Neighbor Discovery.
        icmpv6(
            141,
            0,
            &[&source_option(OWN_MAC), &target_option(OTHER_MAC)],
        ),
        icmpv6(142, 0, &[&source_option(OWN_MAC), &target_option(OWN_MAC)]),
    ] {
        for source in [OWN_V6, OWN_LINK_LOCAL] {
            let frame = v6(source, ALL_NODES, ICMPV6, &message);
            assert_eq!(check(&frame), Err(DropReason::GuardNd), "{message:?}");
        }
    }
}

#[test]
fn what_only_a_router_sends() {
    let redirect = icmpv6(137, 0, &[&OWN_V6.octets(), &OTHER_V6.octets()]);
    let renumbering = icmpv6(138, 0, &[&[0; 8]]);
    for message in [router_advertisement(), redirect, renumbering] {
        for source in [OWN_V6, OWN_LINK_LOCAL] {
            let frame = v6(source, ALL_NODES, ICMPV6, &message);
            assert_eq!(check(&frame), Err(DropReason::GuardRouter), "{message:?}");
        }
    }
}

#[test]
fn what_only_a_dhcp_server_or_relay_sends() {
    let refused = Err(DropReason::GuardDhcp);
    for (src_port, dst_port) in [(67, 68), (67, 67), (67, 5000), (5000, 68), (68, 68)] {
        let frame = v4(OWN_V4, Ipv4Addr::BROADCAST, UDP, &udp(src_port, dst_port));
        assert_eq!(check(&frame), refused, "{src_port} {dst_port}");
    }
    for (src_port, dst_port) in [(547, 546), (547, 547), (547, 5000), (5000, 546)] {
        let frame = v6(OWN_LINK_LOCAL, ALL_NODES, UDP, &udp(src_port, dst_port));
        assert_eq!(check(&frame), refused, "{src_port} {dst_port}");
    }
}
