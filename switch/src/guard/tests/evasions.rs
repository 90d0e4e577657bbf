//! Attacks dressed up so that a careless guard overlooks them.
//!
//! Most are from RFC 7113 (evasions of RA guard), RFC 1858 and RFC 3128 (tiny and overlapping
//! fragments) and RFC 6980 (fragmented Neighbor Discovery).

use core::net::Ipv4Addr;

use tapweave_net::{ArpOperation, ArpPacket, ChecksumOffload, Offload};

use super::*;

const ROUTER: Result<(), DropReason> = Err(DropReason::GuardRouter);
const ND: Result<(), DropReason> = Err(DropReason::GuardNd);
const DHCP: Result<(), DropReason> = Err(DropReason::GuardDhcp);
const MALFORMED: Result<(), DropReason> = Err(DropReason::GuardMalformed);
const ETHERTYPE: Result<(), DropReason> = Err(DropReason::GuardEthertype);

fn from_own_v6(next: u8, payload: &[u8]) -> Result<(), DropReason> {
    check(&v6(OWN_LINK_LOCAL, ALL_NODES, next, payload))
}

#[test]
fn a_router_advertisement_behind_each_extension_header() {
    for kind in [HOP_BY_HOP, ROUTING, DESTINATION, 135, 139, 140] {
        for more in [0, 1, 31] {
            let hidden = extension(ICMPV6, more, &router_advertisement());
            assert_eq!(from_own_v6(kind, &hidden), ROUTER, "{kind} {more}");
        }
    }
    // AH counts its length in another unit.
    let hidden = [&[ICMPV6, 4], &[0; 22][..], &router_advertisement()].concat();
    assert_eq!(from_own_v6(51, &hidden), ROUTER);
}

#[test]
fn a_router_advertisement_behind_hop_by_hop_and_destination_options_with_padding() {
    let inner = extension(ICMPV6, 7, &router_advertisement());
    let hidden = extension(DESTINATION, 3, &inner);
    assert_eq!(from_own_v6(HOP_BY_HOP, &hidden), ROUTER);
}

#[test]
fn a_router_advertisement_behind_more_headers_than_are_walked() {
    let mut hidden = extension(ICMPV6, 0, &router_advertisement());
    for _ in 0..8 {
        hidden = extension(DESTINATION, 0, &hidden);
    }
    assert_eq!(from_own_v6(DESTINATION, &hidden), MALFORMED);
}

#[test]
fn a_router_advertisement_behind_headers_out_of_order() {
    let late = extension(ICMPV6, 0, &router_advertisement());
    let hidden = extension(HOP_BY_HOP, 0, &late);
    assert_eq!(from_own_v6(DESTINATION, &hidden), MALFORMED);
    let twice = fragment(FRAGMENT, 0, &fragment(ICMPV6, 0, &router_advertisement()));
    assert_eq!(from_own_v6(FRAGMENT, &twice), MALFORMED);
}

#[test]
fn a_router_advertisement_behind_a_header_that_nobody_knows() {
    for unknown in [148, 200, 253, 254, 255] {
        let hidden = extension(ICMPV6, 0, &router_advertisement());
        assert_eq!(from_own_v6(unknown, &hidden), MALFORMED, "{unknown}");
        let deeper = extension(unknown, 0, &hidden);
        assert_eq!(from_own_v6(DESTINATION, &deeper), MALFORMED, "{unknown}");
    }
}

#[test]
fn a_router_advertisement_behind_one_two_and_three_vlan_tags() {
    let packet = v6_packet(OWN_LINK_LOCAL, ALL_NODES, ICMPV6, &router_advertisement());
    for (types, refused) in [
        (&[0x8100, 0x86dd][..], ROUTER),
        (&[0x88a8, 0x86dd], ROUTER),
        (&[0x88a8, 0x8100, 0x86dd], ROUTER),
        (&[0x8100, 0x8100, 0x86dd], ROUTER),
        (&[0x88a8, 0x8100, 0x8100, 0x86dd], ETHERTYPE),
        // A tag type of the time before 802.1ad.
        (&[0x9100, 0x86dd], ETHERTYPE),
    ] {
        assert_eq!(check(&ethernet(types, &packet)), refused, "{types:04x?}");
    }
}

#[test]
fn a_router_advertisement_in_llc_snap() {
    let packet = v6_packet(OWN_LINK_LOCAL, ALL_NODES, ICMPV6, &router_advertisement());
    let snap = [&[0xaa, 0xaa, 3, 0, 0, 0, 0x86, 0xdd], &packet[..]].concat();
    let length = u16::try_from(snap.len()).unwrap();
    assert_eq!(check(&ethernet(&[length], &snap)), ETHERTYPE);
    assert_eq!(check(&ethernet(&[0x8100, length], &snap)), ETHERTYPE);
}

#[test]
fn a_router_advertisement_in_an_atomic_fragment() {
    for field in [0x0000, 0x0006] {
        let atomic = fragment(ICMPV6, field, &router_advertisement());
        assert_eq!(from_own_v6(FRAGMENT, &atomic), ROUTER);
    }
}

#[test]
fn a_router_advertisement_in_a_first_fragment() {
    let first = fragment(ICMPV6, 0x0001, &router_advertisement());
    assert_eq!(from_own_v6(FRAGMENT, &first), ROUTER);
}

#[test]
fn a_first_fragment_that_keeps_its_header_chain_for_the_second() {
    // The chain of the packet ends in ICMP, but in this part it is cut short at several places.
    let whole = extension(
        DESTINATION,
        2,
        &extension(ICMPV6, 0, &router_advertisement()),
    );
    for kept in [0, 8, 24, 32] {
        let first = fragment(DESTINATION, 0x0001, &whole[..kept]);
        assert_eq!(from_own_v6(FRAGMENT, &first), MALFORMED, "{kept}");
    }
    let first = fragment(ICMPV6, 0x0001, &[]);
    assert_eq!(from_own_v6(FRAGMENT, &first), MALFORMED);
    let first = fragment(UDP, 0x0001, &[]);
    assert_eq!(from_own_v6(FRAGMENT, &first), MALFORMED);
}

#[test]
fn a_first_fragment_that_overlaps_an_earlier_first_one() {
    let harmless = fragment(UDP, 0x0001, &udp(5000, 53));
    assert_eq!(from_own_v6(FRAGMENT, &harmless), Ok(()));
    let replacing = fragment(UDP, 0x0001, &udp(547, 546));
    assert_eq!(from_own_v6(FRAGMENT, &replacing), DHCP);
}

#[test]
fn neighbor_discovery_in_any_fragment() {
    // Each would be in order without its Fragment header.
    for message in [
        advertisement(OWN_V6, &target_option(OWN_MAC)),
        solicitation(OTHER_V6, &source_option(OWN_MAC)),
        icmpv6(133, 0, &[]),
    ] {
        for field in [0x0000, 0x0001] {
            let part = fragment(ICMPV6, field, &message);
            assert_eq!(from_own_v6(FRAGMENT, &part), ND);
        }
    }
}

#[test]
fn later_fragments_with_another_source() {
    let part = fragment(ICMPV6, 0x0010, &[0xa5; 8]);
    let frame = v6(OTHER_V6, ALL_NODES, FRAGMENT, &part);
    assert_eq!(check(&frame), Err(DropReason::GuardIpv6));
    let frame = v6(NOBODY_V6, ALL_NODES, FRAGMENT, &part);
    assert_eq!(check(&frame), Err(DropReason::GuardIpv6));
    let part = v4_part(OTHER_V4, OWN_V4, UDP, 0x2010, &[0xa5; 8]);
    assert_eq!(
        check(&ethernet(&[0x0800], &part)),
        Err(DropReason::GuardIpv4)
    );
}

#[test]
fn dhcp_from_nobody_in_a_fragment() {
    for field in [0x2000, 0x0001] {
        let part = v4_part(NOBODY_V4, Ipv4Addr::BROADCAST, UDP, field, &udp(68, 67));
        let frame = ethernet(&[0x0800], &part);
        assert_eq!(check(&frame), Err(DropReason::GuardIpv4));
    }
}

#[test]
fn a_dhcp_server_in_a_first_fragment() {
    let first = v4_part(OWN_V4, Ipv4Addr::BROADCAST, UDP, 0x2000, &udp(67, 68));
    assert_eq!(check(&ethernet(&[0x0800], &first)), DHCP);
}

#[test]
fn a_dhcp_server_in_a_fragment_too_short_for_its_ports() {
    for kept in [0, 4, 7] {
        let tiny = v4_part(
            OWN_V4,
            Ipv4Addr::BROADCAST,
            UDP,
            0x2000,
            &udp(67, 68)[..kept],
        );
        assert_eq!(check(&ethernet(&[0x0800], &tiny)), MALFORMED);
    }
}

#[test]
fn a_dhcp_server_behind_ipv4_options() {
    let mut packet = v4_part(OWN_V4, Ipv4Addr::BROADCAST, UDP, 0, &udp(67, 68));
    for words in 1..=10 {
        // Router Alert, then "no operation".
        let options = [&[0x94, 4, 0, 0], &[1; 36][..]].concat();
        let mut optioned = [&packet[..20], &options[..words * 4], &packet[20..]].concat();
        optioned[0] = 0x45 + u8::try_from(words).unwrap();
        let total_len = u16::try_from(optioned.len()).unwrap();
        optioned[2..4].copy_from_slice(&total_len.to_be_bytes());
        assert_eq!(check(&ethernet(&[0x0800], &optioned)), DHCP, "{words}");
    }
    // A header that claims to be shorter than any, or longer than the packet.
    for first in [0x44, 0x40, 0x4f] {
        packet[0] = first;
        assert_eq!(check(&ethernet(&[0x0800], &packet)), MALFORMED);
    }
}

#[test]
fn a_dhcp_server_behind_ipv6_options_and_in_an_atomic_fragment() {
    let server = udp(547, 546);
    let hidden = extension(UDP, 1, &server);
    assert_eq!(from_own_v6(DESTINATION, &hidden), DHCP);
    assert_eq!(from_own_v6(FRAGMENT, &fragment(UDP, 0, &server)), DHCP);
}

#[test]
fn packets_longer_than_their_frame_or_of_another_version() {
    let mut packet = v4_part(OWN_V4, OTHER_V4, UDP, 0, &udp(1, 2));
    packet[3] += 1;
    assert_eq!(check(&ethernet(&[0x0800], &packet)), MALFORMED);
    let mut packet = v6_packet(OWN_V6, OTHER_V6, UDP, &udp(1, 2));
    packet[5] += 1;
    assert_eq!(check(&ethernet(&[0x86dd], &packet)), MALFORMED);
    let v6_as_v4 = v6_packet(OWN_V6, OTHER_V6, UDP, &udp(1, 2));
    assert_eq!(check(&ethernet(&[0x0800], &v6_as_v4)), MALFORMED);
    let v4_as_v6 = v4_part(OWN_V4, OTHER_V4, UDP, 0, &[0; 40]);
    assert_eq!(check(&ethernet(&[0x86dd], &v4_as_v6)), MALFORMED);
}

#[test]
fn a_packet_that_hides_behind_the_end_of_a_shorter_one() {
    // Total Length ends before the ports, so what a receiver sees has none.
    let mut packet = v4_part(OWN_V4, OTHER_V4, UDP, 0, &udp(67, 68));
    packet[3] = 20;
    assert_eq!(check(&ethernet(&[0x0800], &packet)), MALFORMED);
    // A jumbogram (RFC 2675), which Ethernet has no use for.
    let jumbo = [
        &[ICMPV6, 0, 0xc2, 4, 0, 0, 0, 32],
        &router_advertisement()[..],
    ]
    .concat();
    let mut packet = v6_packet(OWN_LINK_LOCAL, ALL_NODES, HOP_BY_HOP, &jumbo);
    packet[4..6].copy_from_slice(&[0, 0]);
    assert_eq!(check(&ethernet(&[0x86dd], &packet)), MALFORMED);
}

#[test]
fn an_announcement_behind_vlan_tags() {
    let announcement = ArpPacket {
        operation: ArpOperation::Request,
        sender_mac: OWN_MAC,
        sender_ip: OTHER_V4,
        target_mac: OTHER_MAC,
        target_ip: OTHER_V4,
    };
    for types in [&[0x0806][..], &[0x8100, 0x0806], &[0x88a8, 0x8100, 0x0806]] {
        let frame = ethernet(types, &announcement.encode());
        assert_eq!(check(&frame), Err(DropReason::GuardArp));
    }
}

#[test]
fn arp_for_another_address_space_or_cut_short() {
    let own = ArpPacket {
        operation: ArpOperation::Request,
        sender_mac: OWN_MAC,
        sender_ip: OWN_V4,
        target_mac: OTHER_MAC,
        target_ip: OTHER_V4,
    };
    let refused = Err(DropReason::GuardArp);
    for at in 0..6 {
        let mut bytes = own.encode();
        bytes[at] ^= 0x04;
        assert_eq!(check(&ethernet(&[0x0806], &bytes)), refused, "{at}");
    }
    assert_eq!(check(&ethernet(&[0x0806], &own.encode()[..27])), refused);
}

#[test]
fn an_advertisement_with_two_macs_or_one_of_a_strange_length() {
    let options = [target_option(OWN_MAC), target_option(OTHER_MAC)].concat();
    let twice = advertisement(OWN_V6, &options);
    let long = [&[2, 2], &OTHER_MAC.octets()[..], &[0; 8]].concat();
    let stretched = advertisement(OWN_V6, &long);
    let misplaced = advertisement(OWN_V6, &source_option(OTHER_MAC));
    for message in [twice, stretched, misplaced] {
        assert_eq!(from_own_v6(ICMPV6, &message), ND);
    }
}

#[test]
fn neighbor_discovery_with_options_that_do_not_end() {
    for options in [
        &[2, 0, 0, 0, 0, 0, 0, 0][..],
        &[2, 9, 0, 0, 0, 0, 0, 0],
        &[2],
    ] {
        let message = advertisement(OWN_V6, options);
        assert_eq!(from_own_v6(ICMPV6, &message), ND);
    }
    let cut = &advertisement(OWN_V6, &[])[..20];
    assert_eq!(from_own_v6(ICMPV6, cut), ND);
    assert_eq!(from_own_v6(ICMPV6, &[136, 0, 0]), MALFORMED);
}

#[test]
fn a_question_from_nobody_that_teaches_a_mac() {
    for message in [
        solicitation(OTHER_V6, &source_option(OWN_MAC)),
        icmpv6(133, 0, &[&source_option(OWN_MAC)]),
    ] {
        let frame = v6(NOBODY_V6, ALL_NODES, ICMPV6, &message);
        assert_eq!(check(&frame), ND);
    }
}

#[test]
fn a_partial_checksum_that_would_rewrite_what_was_checked() {
    let at = |field: usize| Offload {
        checksum: ChecksumOffload::Partial {
            start: 14,
            offset: u16::try_from(field - 14).unwrap(),
        },
        gso: None,
    };
    let announcement = arp(&ArpPacket {
        operation: ArpOperation::Request,
        sender_mac: OWN_MAC,
        sender_ip: OWN_V4,
        target_mac: OTHER_MAC,
        target_ip: OWN_V4,
    });
    let udp4 = v4(OWN_V4, OTHER_V4, UDP, &udp(5000, 53));
    let tcp6 = v6(OWN_V6, OTHER_V6, TCP, &tcp());
    let echo = v6(
        OWN_LINK_LOCAL,
        ALL_NODES,
        ICMPV6,
        &icmpv6(128, 0, &[&[0; 24]]),
    );
    for (frame, fields) in [
        // The sender's address, the source address, the ports, the type of an ICMP message.
        (announcement, &[14, 28, 30, 60][..]),
        (udp4, &[14, 26, 28, 34, 36, 37]),
        (tcp6, &[20, 22, 36, 53]),
        (echo, &[22, 54, 56, 80]),
    ] {
        for &field in fields {
            assert_eq!(check_with(&frame, at(field)), MALFORMED, "{field}");
        }
    }
}
