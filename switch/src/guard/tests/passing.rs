//! What a well-behaved sandbox sends, which must pass.

use core::net::{Ipv4Addr, Ipv6Addr};

use tapweave_net::{ArpOperation, ArpPacket, ChecksumOffload, Gso, GsoKind, MacAddr, Offload};

use super::*;

fn partial(start: u16, offset: u16) -> Offload {
    Offload {
        checksum: ChecksumOffload::Partial { start, offset },
        gso: None,
    }
}

#[test]
fn tcp_udp_and_icmp_of_the_own_addresses() {
    for (protocol, payload) in [(TCP, tcp()), (UDP, udp(5000, 53)), (ICMP, vec![8; 16])] {
        assert_eq!(check(&v4(OWN_V4, OTHER_V4, protocol, &payload)), Ok(()));
    }
    let echo = icmpv6(128, 0x0001_0001, &[&[0xa5; 32]]);
    for (next, payload) in [(TCP, tcp()), (UDP, udp(5000, 53)), (ICMPV6, echo)] {
        assert_eq!(check(&v6(OWN_V6, OTHER_V6, next, &payload)), Ok(()));
        let link_local = v6(OWN_LINK_LOCAL, ALL_NODES, next, &payload);
        assert_eq!(check(&link_local), Ok(()));
    }
}

#[test]
fn padding_behind_the_packet_and_up_to_two_tags() {
    let packet = v4_part(OWN_V4, OTHER_V4, UDP, 0, &udp(1, 2));
    let padded = [&packet, &[0; 30][..]].concat();
    for types in [&[0x0800][..], &[0x8100, 0x0800], &[0x88a8, 0x8100, 0x0800]] {
        assert_eq!(check(&ethernet(types, &packet)), Ok(()));
        assert_eq!(check(&ethernet(types, &padded)), Ok(()));
    }
}

#[test]
fn arp_that_asks_answers_probes_and_announces() {
    let request = ArpPacket {
        operation: ArpOperation::Request,
        sender_mac: OWN_MAC,
        sender_ip: OWN_V4,
        target_mac: MacAddr::ZERO,
        target_ip: OTHER_V4,
    };
    let probe = ArpPacket {
        sender_ip: NOBODY_V4,
        ..request
    };
    let announcement = ArpPacket {
        target_ip: OWN_V4,
        ..request
    };
    let reply = ArpPacket {
        operation: ArpOperation::Reply,
        target_mac: OTHER_MAC,
        ..request
    };
    for packet in [request, probe, announcement, reply] {
        assert_eq!(check(&arp(&packet)), Ok(()), "{packet}");
    }
}

#[test]
fn a_dhcp_client_without_an_address_and_with_one() {
    let discover = v4(NOBODY_V4, Ipv4Addr::BROADCAST, UDP, &udp(68, 67));
    assert_eq!(check(&discover), Ok(()));
    let renewal = v4(OWN_V4, OTHER_V4, UDP, &udp(68, 67));
    assert_eq!(check(&renewal), Ok(()));
    let servers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
    let solicit = v6(OWN_LINK_LOCAL, servers, UDP, &udp(546, 547));
    assert_eq!(check(&solicit), Ok(()));
}

#[test]
fn listeners_of_groups_with_and_without_an_address() {
    let group = Ipv4Addr::new(239, 1, 2, 3);
    for kind in [0x12, 0x16, 0x17, 0x22] {
        let report = [kind, 0, 0, 0, 239, 1, 2, 3];
        for source in [OWN_V4, NOBODY_V4] {
            assert_eq!(check(&v4(source, group, IGMP, &report)), Ok(()));
        }
    }
    let router_alert = |kind| {
        let report = icmpv6(kind, 0, &[&ALL_NODES.octets()]);
        [&[ICMPV6, 0, 5, 2, 0, 0, 1, 0], &report[..]].concat()
    };
    for kind in [131, 132, 143] {
        for source in [OWN_LINK_LOCAL, NOBODY_V6] {
            let report = v6(source, ALL_NODES, HOP_BY_HOP, &router_alert(kind));
            assert_eq!(check(&report), Ok(()), "{source} {kind}");
        }
    }
}

#[test]
fn neighbor_discovery_of_the_own_addresses() {
    let solicited_node = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0x0b);
    let nonce = [14, 1, 1, 2, 3, 4, 5, 6];
    for (source, message) in [
        (OWN_V6, solicitation(OTHER_V6, &source_option(OWN_MAC))),
        (OWN_LINK_LOCAL, solicitation(OTHER_V6, &[])),
        // DAD, with the nonce of RFC 7527.
        (NOBODY_V6, solicitation(OWN_V6, &nonce)),
        (NOBODY_V6, solicitation(OWN_LINK_LOCAL, &[])),
        (OWN_V6, advertisement(OWN_V6, &target_option(OWN_MAC))),
        (OWN_LINK_LOCAL, advertisement(OWN_LINK_LOCAL, &[])),
        (OWN_LINK_LOCAL, advertisement(OWN_V6, &[])),
        (OWN_LINK_LOCAL, icmpv6(133, 0, &[&source_option(OWN_MAC)])),
        (NOBODY_V6, icmpv6(133, 0, &[])),
    ] {
        let frame = v6(source, solicited_node, ICMPV6, &message);
        assert_eq!(check(&frame), Ok(()), "{source} {message:?}");
    }
}

#[test]
fn fragments_of_the_own_addresses() {
    let first = v4_part(OWN_V4, OTHER_V4, UDP, 0x2000, &udp(1, 2));
    assert_eq!(check(&ethernet(&[0x0800], &first)), Ok(()));
    // Behind the ports, whatever the bytes look like.
    let later = v4_part(OWN_V4, OTHER_V4, UDP, 0x0002, &udp(67, 68));
    assert_eq!(check(&ethernet(&[0x0800], &later)), Ok(()));
    for (field, payload) in [
        (0x0001, udp(1, 2)),
        (0x0010, udp(547, 546)),
        (0x0000, udp(1, 2)),
    ] {
        let part = fragment(UDP, field, &payload);
        assert_eq!(check(&v6(OWN_V6, OTHER_V6, FRAGMENT, &part)), Ok(()));
    }
    let later = fragment(ICMPV6, 0x0010, &router_advertisement());
    assert_eq!(check(&v6(OWN_V6, OTHER_V6, FRAGMENT, &later)), Ok(()));
}

#[test]
fn tunnels_esp_and_nothing_are_not_looked_into() {
    let inside = v6_packet(OTHER_V6, ALL_NODES, ICMPV6, &router_advertisement());
    for next in [4, 41, 47, 50, 59, 89, 132] {
        assert_eq!(check(&v6(OWN_V6, OTHER_V6, next, &inside)), Ok(()));
        assert_eq!(check(&v4(OWN_V4, OTHER_V4, next, &inside)), Ok(()));
    }
}

#[test]
fn partial_checksums_where_linux_leaves_them() {
    let tcp4 = v4(OWN_V4, OTHER_V4, TCP, &tcp());
    assert_eq!(check_with(&tcp4, partial(34, 16)), Ok(()));
    let udp4 = v4(OWN_V4, OTHER_V4, UDP, &udp(1, 2));
    assert_eq!(check_with(&udp4, partial(34, 6)), Ok(()));
    let options = extension(TCP, 0, &tcp());
    let tcp6 = v6(OWN_V6, OTHER_V6, DESTINATION, &options);
    assert_eq!(check_with(&tcp6, partial(62, 16)), Ok(()));
    // TCP inside of VXLAN.
    let vxlan = v4(OWN_V4, OTHER_V4, UDP, &[udp(1, 4789), vec![0; 90]].concat());
    assert_eq!(check_with(&vxlan, partial(84, 16)), Ok(()));
    let gso = Offload {
        gso: Some(Gso {
            kind: GsoKind::TcpV4,
            ecn: false,
            size: 1448,
            header_len_hint: 0,
        }),
        ..partial(34, 16)
    };
    let large = v4(OWN_V4, OTHER_V4, TCP, &[tcp(), vec![0; 60_000]].concat());
    assert_eq!(check_with(&large, gso), Ok(()));
}
