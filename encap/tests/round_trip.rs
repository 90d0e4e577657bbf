//! Frames of every shape through every tunnel and back, the outer packets read by etherparse.

#[cfg(test)]
mod tests {
    use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use etherparse::{
        Ipv4Extensions, Ipv6Extensions, NetSlice, PacketBuilder, SlicedPacket, TransportSlice,
    };
    use proptest::prelude::*;
    use tapweave_encap::{
        DscpModel, Encap, EncapKind, HopLimit, Inner, Marking, Outer, TagPolicy, TrafficClass,
        Tunnel, Vni, Vtep, VxlanHeader, pop, pop_outer,
    };
    use tapweave_net::{Frame, IpProtocol, Offload};

    const SEED: u64 = 0x5eed;

    const V4: [IpAddr; 2] = [
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)),
    ];
    const V6: [IpAddr; 2] = [
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2)),
    ];

    fn vni() -> impl Strategy<Value = Vni> {
        any::<[u8; 3]>().prop_map(Vni::from_octets)
    }

    /// A frame that carries UDP with this traffic class.
    fn frame() -> impl Strategy<Value = Vec<u8>> {
        let payload = prop::collection::vec(any::<u8>(), 0..300);
        let numbers = (any::<u8>(), 1_u8..=255, any::<[u16; 2]>());
        (any::<bool>(), numbers, payload).prop_map(|(is_v6, (class, hops, ports), payload)| {
            let link = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 3]);
            let step = if is_v6 {
                let header = etherparse::Ipv6Header {
                    traffic_class: class,
                    hop_limit: hops,
                    source: [0xfd; 16],
                    destination: [0xfc; 16],
                    ..Default::default()
                };
                link.ip(etherparse::IpHeaders::Ipv6(
                    header,
                    Ipv6Extensions::default(),
                ))
            } else {
                let mut header = etherparse::Ipv4Header {
                    time_to_live: hops,
                    source: [10, 0, 0, 2],
                    destination: [10, 0, 0, 3],
                    ..Default::default()
                };
                header.dscp = etherparse::IpDscp::try_new(class >> 2).unwrap();
                header.ecn = etherparse::IpEcn::try_new(class & 3).unwrap();
                link.ip(etherparse::IpHeaders::Ipv4(
                    header,
                    Ipv4Extensions::default(),
                ))
            };
            let mut frame = Vec::new();
            let [src, dst] = ports;
            step.udp(src, dst).write(&mut frame, &payload).unwrap();
            frame
        })
    }

    fn marking() -> impl Strategy<Value = Marking> {
        let uniform = Marking {
            dscp: DscpModel::Uniform,
            hop_limit: HopLimit::Inherit,
            ..Marking::default()
        };
        prop_oneof![Just(Marking::default()), Just(uniform)]
    }

    /// Puts the outer headers in front of what a tunnel pushed, as a kernel would.
    fn outer_packet(outer: &Outer, src: IpAddr, kind: EncapKind, pushed: &[u8]) -> Vec<u8> {
        let mut payload = Vec::new();
        let protocol = if kind == EncapKind::Ipip {
            match pushed[0] >> 4 {
                4 => IpProtocol::IPV4,
                _ => IpProtocol::IPV6,
            }
        } else {
            let len = u16::try_from(8 + pushed.len()).unwrap();
            payload.extend(outer.src_port.to_be_bytes());
            payload.extend(outer.to.port().to_be_bytes());
            payload.extend(len.to_be_bytes());
            payload.extend([0, 0]);
            IpProtocol::UDP
        };
        payload.extend(pushed);
        let mut header = [0xa5; Outer::MAX_IP_HEADER_LEN];
        let len = outer
            .write_ip_header(src, protocol, payload.len(), &mut header)
            .unwrap();
        [&header[..len], &payload].concat()
    }

    proptest! {
        #[test]
        fn what_is_pushed_comes_out_and_etherparse_agrees_about_the_rest(
            frame in frame(),
            (choice, vni, marking, over_v6) in (0_usize..3, vni(), marking(), any::<bool>()),
        ) {
            let encap = [Encap::Vxlan(vni), Encap::Gue, Encap::Ipip][choice];
            let kind = encap.kind();
            let tunnel = Tunnel { encap, marking, tags: TagPolicy::Refuse };
            let [here, there] = if over_v6 { V6 } else { V4 };
            let inner = Inner::parse(&frame, SEED).unwrap();
            let port = kind.default_port().unwrap_or(0);
            let outer = tunnel.outer(&inner, Vtep::new(there, port));

            let mut buffer = [&[0xa5; 50], &frame[..]].concat();
            let mut in_buffer = Frame::new(&mut buffer, 50, Offload::NONE);
            let pushed = tunnel.push(&mut in_buffer, &inner).unwrap();
            let packet = outer_packet(&outer, here, kind, pushed);
            let overhead = usize::from(kind.overhead(tapweave_encap::Underlay::of(there)));
            prop_assert_eq!(packet.len(), frame.len() - 14 + overhead);

            let oracle = SlicedPacket::from_ip(&packet).unwrap();
            let (class, hops) = match oracle.net.as_ref() {
                Some(NetSlice::Ipv4(ip)) => {
                    let header = ip.header();
                    prop_assert!(header.dont_fragment());
                    let checksum = header.to_header().calc_header_checksum();
                    prop_assert_eq!(header.header_checksum(), checksum);
                    (header.dcp().value() << 2 | header.ecn().value(), header.ttl())
                }
                Some(NetSlice::Ipv6(ip)) => {
                    let header = ip.header();
                    prop_assert_eq!(header.flow_label().value(), outer.flow_label);
                    (header.traffic_class(), header.hop_limit())
                }
                other => panic!("{other:?}"),
            };
            prop_assert_eq!(class, outer.class.to_u8());
            prop_assert_eq!(hops, outer.hop_limit);
            if let Some(TransportSlice::Udp(udp)) = oracle.transport {
                prop_assert_eq!(udp.destination_port(), port);
                prop_assert!(udp.source_port() >= 49_152);
                prop_assert_eq!(udp.payload(), pushed);
            }

            let mut datagram = pushed.to_vec();
            if kind == EncapKind::Ipip {
                let mut packet = packet.clone();
                let popped = pop_outer(&mut packet).unwrap();
                prop_assert_eq!((popped.source, popped.class), (here, outer.class));
                prop_assert_eq!(&*popped.payload, &datagram[..]);
            }
            let popped = pop(kind, &mut datagram).unwrap();
            prop_assert_eq!(popped.vni, (kind == EncapKind::Vxlan).then_some(vni));
            tunnel.admit(popped.inner, outer.class).unwrap();
            let start = if kind == EncapKind::Vxlan { 0 } else { 14 };
            prop_assert_eq!(&*popped.inner, &frame[start..]);
        }

        #[test]
        fn a_vxlan_datagram_cut_anywhere_is_refused_or_shorter(frame in frame(), vni in vni()) {
            let whole = [&VxlanHeader { vni }.encode(), &frame[..]].concat();
            let tunnel = Tunnel {
                encap: Encap::Vxlan(vni),
                marking: Marking::default(),
                tags: TagPolicy::Refuse,
            };
            for len in 0..whole.len() {
                let mut cut = whole[..len].to_vec();
                match pop(EncapKind::Vxlan, &mut cut) {
                    Err(_) => prop_assert!(len < VxlanHeader::LEN),
                    Ok(popped) => {
                        prop_assert_eq!(&*popped.inner, &frame[..len - VxlanHeader::LEN]);
                        let is_frame = popped.inner.len() >= 14;
                        let admitted = tunnel.admit(popped.inner, TrafficClass::default());
                        prop_assert_eq!(admitted.is_ok(), is_frame);
                    }
                }
            }
        }
    }

    #[test]
    fn sending_and_receiving_allocate_nothing() {
        let tunnel = Tunnel {
            encap: Encap::Vxlan(Vni::MAX),
            marking: Marking::default(),
            tags: TagPolicy::Refuse,
        };
        let mut buffer = [0; 100];
        let counted = allocation_counter::measure(|| {
            let mut frame = Frame::new(&mut buffer, 40, Offload::NONE);
            let inner = Inner::parse(frame.data(), SEED).unwrap();
            let outer = tunnel.outer(&inner, Vtep::new(V4[1], 4789));
            tunnel.push(&mut frame, &inner).unwrap();
            let popped = pop(EncapKind::Vxlan, &mut buffer[32..]).unwrap();
            tunnel.admit(popped.inner, outer.class).unwrap();
        });
        assert_eq!(counted.count_total, 0);
    }
}
