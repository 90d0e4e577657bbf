//! What the views say against what smoltcp and etherparse say.
//!
//! Where they differ on purpose:
//!
//! - etherparse walks three tags, we two: no frame here has more than two.
//! - etherparse leaves the L4 header of a first fragment alone; we read it and keep its ports out of
//!   the flow key. No frame here is a fragment: the tests of `parsed` and `extension` have them.
//! - smoltcp neither walks tags nor checks the version in an IP header: its IP parser gets packets of
//!   the right version only.
//! - smoltcp refuses an L4 port of zero in its `Repr`s; so fields are compared, not `Repr`s.

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use proptest::prelude::*;
use smoltcp::wire::{
    ArpPacket as SmolArp, EthernetFrame, Icmpv4Packet, Icmpv6Packet, Ipv4Packet, Ipv6Packet,
    TcpPacket, UdpPacket,
};
use tapweave_net::checksum::{Verification, verify_transport};
use tapweave_net::{
    ArpPacket, EthernetView, FlowKey, Fragment, Icmpv4View, Icmpv6View, IpProtocol, Ipv4View,
    Ipv6View, L4Ports, Network, ParsedFrame, TcpView, Transport, UdpView,
};

use super::frames::{DST_V4, DST_V6, L4, SRC_V4, SRC_V6, Shape, shape};

proptest! {
    #[test]
    fn offsets_and_flow_are_those_of_etherparse(shape in shape(300), padding in 0_usize..20) {
        let mut frame = shape.build();
        frame.extend(vec![0xa5; padding]);
        let parsed = ParsedFrame::parse(&frame).unwrap();
        let oracle = SlicedPacket::from_ethernet(&frame).unwrap();

        prop_assert_eq!(parsed.tags().count(), oracle.vlan_ids().len());
        let (ip_payload, network) = match oracle.net.as_ref() {
            Some(NetSlice::Ipv4(ip)) => (ip.payload(), Network::V4),
            Some(NetSlice::Ipv6(ip)) => (ip.payload(), Network::V6),
            other => panic!("{other:?}"),
        };
        prop_assert_eq!(parsed.network(), network);
        prop_assert_eq!(parsed.protocol(), Some(IpProtocol(ip_payload.ip_number.0)));
        prop_assert_eq!(parsed.l3_end(), frame.len() - padding);
        prop_assert_eq!(parsed.l4_bytes(&frame), Some(ip_payload.payload));
        let (transport, payload) = match oracle.transport.as_ref() {
            Some(TransportSlice::Tcp(tcp)) => (Transport::Tcp, tcp.payload()),
            Some(TransportSlice::Udp(udp)) => (Transport::Udp, udp.payload()),
            Some(TransportSlice::Icmpv4(icmp)) => (Transport::Icmpv4, icmp.payload()),
            Some(TransportSlice::Icmpv6(icmp)) => (Transport::Icmpv6, icmp.payload()),
            other => panic!("{other:?}"),
        };
        prop_assert_eq!(parsed.transport(), Some(transport));
        prop_assert_eq!(&frame[parsed.payload_offset().unwrap()..parsed.l3_end()], payload);
        prop_assert_eq!(payload, &shape.payload[..]);
        prop_assert_eq!(*parsed.flow(), flow_of(&shape));
        prop_assert_eq!(verify_transport(&frame, &parsed), Verification::Right);
    }

    #[test]
    fn a_flipped_bit_of_the_payload_is_a_wrong_checksum(shape in shape(300), bit in 0_u8..8) {
        let mut frame = shape.build();
        let parsed = ParsedFrame::parse(&frame).unwrap();
        prop_assume!(!shape.payload.is_empty());
        frame[parsed.payload_offset().unwrap()] ^= 1 << bit;
        prop_assert_eq!(verify_transport(&frame, &parsed), Verification::Wrong);
    }

    #[test]
    fn fields_are_those_of_smoltcp(shape in shape(100)) {
        let frame = shape.build();
        let ethernet = EthernetView::parse(&frame).unwrap();
        let oracle = EthernetFrame::new_checked(&frame[..]).unwrap();
        prop_assert_eq!(ethernet.dst().octets(), oracle.dst_addr().0);
        prop_assert_eq!(ethernet.src().octets(), oracle.src_addr().0);
        prop_assert_eq!(ethernet.outer_ethertype().0, u16::from(oracle.ethertype()));
        let l3 = ethernet.payload();
        let parsed = ParsedFrame::parse(&frame).unwrap();
        let l4 = parsed.l4_bytes(&frame).unwrap();
        if shape.v6 {
            compare_v6(l3);
        } else {
            compare_v4(l3);
        }
        match shape.l4 {
            L4::Tcp { .. } => compare_tcp(l4),
            L4::Udp => compare_udp(l4),
            L4::Icmp => compare_icmp(l4, shape.v6),
        }
    }

    #[test]
    fn arp_is_that_of_smoltcp(bytes in any::<[u8; 22]>()) {
        let bytes = [&[0, 1, 8, 0, 6, 4][..], &bytes].concat();
        let arp = ArpPacket::parse(&bytes).unwrap();
        let oracle = SmolArp::new_checked(&bytes).unwrap();
        prop_assert_eq!(&arp.sender_mac.octets()[..], oracle.source_hardware_addr());
        prop_assert_eq!(&arp.sender_ip.octets()[..], oracle.source_protocol_addr());
        prop_assert_eq!(&arp.target_mac.octets()[..], oracle.target_hardware_addr());
        prop_assert_eq!(&arp.target_ip.octets()[..], oracle.target_protocol_addr());
        prop_assert_eq!(&arp.encode()[..], &bytes[..]);
    }

    #[test]
    fn arbitrary_ip_packets_are_accepted_by_both_or_by_neither(
        bytes in prop::collection::vec(any::<u8>(), 0..120),
        first in prop_oneof![0x43_u8..0x4a, Just(0x60)],
        len in 0_u16..130,
    ) {
        let mut bytes = bytes;
        if let Some(octet) = bytes.first_mut() {
            *octet = first;
        }
        if first >> 4 == 4 {
            if let Some(field) = bytes.get_mut(2..4) {
                field.copy_from_slice(&len.to_be_bytes());
            }
            let ours = Ipv4View::parse(&bytes).is_ok();
            prop_assert_eq!(ours, Ipv4Packet::new_checked(&bytes).is_ok());
        } else {
            if let Some(field) = bytes.get_mut(4..6) {
                field.copy_from_slice(&len.to_be_bytes());
            }
            let ours = Ipv6View::parse(&bytes).is_ok();
            prop_assert_eq!(ours, Ipv6Packet::new_checked(&bytes).is_ok());
        }
    }
}

fn flow_of(shape: &Shape) -> FlowKey {
    let [src, dst] = shape.ports;
    let ports = Some(L4Ports { src, dst });
    let (protocol, ports) = match shape.l4 {
        L4::Tcp { .. } => (IpProtocol::TCP, ports),
        L4::Udp => (IpProtocol::UDP, ports),
        L4::Icmp if shape.v6 => (IpProtocol::ICMPV6, None),
        L4::Icmp => (IpProtocol::ICMPV4, None),
    };
    if shape.v6 {
        FlowKey::V6 {
            src: SRC_V6,
            dst: DST_V6,
            protocol,
            ports,
        }
    } else {
        FlowKey::V4 {
            src: SRC_V4,
            dst: DST_V4,
            protocol,
            ports,
        }
    }
}

fn compare_v4(bytes: &[u8]) {
    let ours = Ipv4View::parse(bytes).unwrap();
    let oracle = Ipv4Packet::new_checked(bytes).unwrap();
    assert_eq!(ours.header_len(), usize::from(oracle.header_len()));
    assert_eq!(ours.dscp(), oracle.dscp());
    assert_eq!(ours.ecn(), oracle.ecn());
    assert_eq!(ours.total_len(), oracle.total_len());
    assert_eq!(ours.id(), oracle.ident());
    assert_eq!(ours.dont_fragment(), oracle.dont_frag());
    assert_eq!(ours.more_fragments(), oracle.more_frags());
    assert_eq!(ours.fragment_offset(), oracle.frag_offset());
    assert_eq!(ours.ttl(), oracle.hop_limit());
    assert_eq!(ours.protocol().0, u8::from(oracle.next_header()));
    assert_eq!(ours.checksum(), oracle.checksum());
    assert_eq!(ours.verify_checksum(), oracle.verify_checksum());
    assert_eq!(ours.src(), oracle.src_addr());
    assert_eq!(ours.dst(), oracle.dst_addr());
    assert_eq!(ours.payload(), oracle.payload());
}

fn compare_v6(bytes: &[u8]) {
    let ours = Ipv6View::parse(bytes).unwrap();
    let oracle = Ipv6Packet::new_checked(bytes).unwrap();
    assert_eq!(ours.traffic_class(), oracle.traffic_class());
    assert_eq!(ours.flow_label(), oracle.flow_label());
    assert_eq!(ours.payload_len(), oracle.payload_len());
    assert_eq!(ours.next_header().0, u8::from(oracle.next_header()));
    assert_eq!(ours.hop_limit(), oracle.hop_limit());
    assert_eq!(ours.src(), oracle.src_addr());
    assert_eq!(ours.dst(), oracle.dst_addr());
    assert_eq!(ours.payload(), oracle.payload());
    assert_eq!(ours.upper_layer().unwrap().fragment(), Fragment::Whole);
}

fn compare_tcp(bytes: &[u8]) {
    let ours = TcpView::parse(bytes).unwrap();
    let oracle = TcpPacket::new_checked(bytes).unwrap();
    assert_eq!(ours.header_len(), usize::from(oracle.header_len()));
    assert_eq!(ours.src_port(), oracle.src_port());
    assert_eq!(ours.dst_port(), oracle.dst_port());
    assert_eq!(ours.seq().cast_signed(), oracle.seq_number().0);
    assert_eq!(ours.ack().cast_signed(), oracle.ack_number().0);
    assert_eq!(ours.window(), oracle.window_len());
    assert_eq!(ours.checksum(), oracle.checksum());
    assert_eq!(ours.urgent(), oracle.urgent_at());
    let flags = [
        oracle.fin(),
        oracle.syn(),
        oracle.rst(),
        oracle.psh(),
        oracle.ack(),
        oracle.urg(),
        oracle.ece(),
        oracle.cwr(),
    ];
    for (bit, set) in flags.into_iter().enumerate() {
        assert_eq!(ours.flags().0 >> bit & 1 != 0, set);
    }
    assert_eq!(ours.payload(), oracle.payload());
}

fn compare_udp(bytes: &[u8]) {
    let ours = UdpView::parse(bytes).unwrap();
    let oracle = UdpPacket::new_checked(bytes).unwrap();
    assert_eq!(ours.src_port(), oracle.src_port());
    assert_eq!(ours.dst_port(), oracle.dst_port());
    assert_eq!(ours.len(), oracle.len());
    assert_eq!(ours.checksum(), oracle.checksum());
    assert_eq!(ours.payload(), oracle.payload());
}

fn compare_icmp(bytes: &[u8], v6: bool) {
    if v6 {
        let ours = Icmpv6View::parse(bytes).unwrap();
        let oracle = Icmpv6Packet::new_checked(bytes).unwrap();
        assert_eq!(ours.kind().0, u8::from(oracle.msg_type()));
        assert_eq!(ours.identifier(), Some(oracle.echo_ident()));
        assert_eq!(ours.sequence(), Some(oracle.echo_seq_no()));
        assert!(ours.verify_checksum(SRC_V6, DST_V6));
    } else {
        let ours = Icmpv4View::parse(bytes).unwrap();
        let oracle = Icmpv4Packet::new_checked(bytes).unwrap();
        assert_eq!(ours.kind().0, u8::from(oracle.msg_type()));
        assert_eq!(ours.identifier(), Some(oracle.echo_ident()));
        assert_eq!(ours.sequence(), Some(oracle.echo_seq_no()));
        assert!(ours.verify_checksum());
    }
}
