//! Which packets go where, and which go nowhere.

use tapweave_net::Vid;

use super::*;

const SEVEN: Vid = match Vid::new(7) {
    Ok(vid) => vid,
    Err(_) => Vid::MIN,
};

#[test]
fn a_packet_leaves_by_the_uplink_with_one_hop_less() {
    let mut rig = Rig::new(Outside::Routed);
    let [a, ..] = rig.ports;
    let uplink = rig.uplink;
    for (dst, src) in [("198.51.100.7", "10.0.0.2"), ("2001:db8:7::7", "fd00::2")] {
        let packet = Way::out(2, dst, src).udp(b"hello");
        let (port, sent) = rig.forward(a, &packet);
        let want = Way {
            from: UPLINK,
            to: ROUTER,
            src,
            dst,
            hops: 63,
        };
        assert_eq!((port, sent), (uplink, want.udp(b"hello")));
    }
}

#[test]
fn a_packet_comes_in_to_the_station_that_is_known() {
    let mut rig = Rig::new(Outside::Routed);
    let [_, b, _] = rig.ports;
    let uplink = rig.uplink;
    for (src, dst) in [("198.51.100.7", "10.0.0.3"), ("2001:db8:7::7", "fd00::3")] {
        let (port, sent) = rig.forward(uplink, &Way::back(dst, src).udp(b"hello"));
        let want = Way {
            from: GATEWAY,
            to: mac(3),
            src,
            dst,
            hops: 63,
        };
        assert_eq!((port, sent), (b, want.udp(b"hello")));
    }
}

#[test]
fn the_tag_of_a_frame_stays_in_its_network() {
    let mut rig = Rig::with(Outside::Routed, |config, number| PortConfig {
        vlans: match number {
            2 => PortVlans::Transparent,
            3 => PortVlans::Access(SEVEN),
            _ => PortVlans::Trunk {
                tagged: "7".parse().unwrap(),
                native: None,
            },
        },
        ..config
    });
    let [a, b, _] = rig.ports;
    let uplink = rig.uplink;
    let mut tagged = Way::out(2, "198.51.100.7", "10.0.0.2").udp(&[]);
    tagged.splice(12..12, [0x81, 0, 0, 7]);
    let (port, sent) = rig.forward(a, &tagged);
    assert_eq!((port, &sent[12..14]), (uplink, &[0x08, 0x00][..]));
    let (port, sent) = rig.forward(uplink, &Way::back("10.0.0.3", "198.51.100.7").udp(&[]));
    assert_eq!((port, &sent[12..14]), (b, &[0x08, 0x00][..]));
    // From no VLAN into VLAN 7 there is no way.
    let crossing = Way::out(2, "10.0.0.3", "10.0.0.2").udp(&[]);
    assert_eq!(rig.drop(a, &crossing), DropReason::VlanNotCarried);
    // Two tags are somebody else's.
    tagged.splice(12..12, [0x88, 0xa8, 0, 7]);
    assert_eq!(rig.drop(a, &tagged), DropReason::GatewayProtocol);
}

#[test]
fn another_network_is_prohibited_and_so_is_its_gateway() {
    let mut rig = Rig::new(Outside::Routed);
    let [a, ..] = rig.ports;
    for dst in ["10.9.0.2", "10.9.0.1", "10.9.0.99", "fd09::1"] {
        let src = if ip(dst).is_ipv4() {
            "10.0.0.2"
        } else {
            "fd00::2"
        };
        let (reason, message) = rig.refuse(a, &Way::out(2, dst, src).udp(&[]));
        assert_eq!(reason, DropReason::GatewayOtherNetwork);
        let place = if ip(dst).is_ipv4() { 34 } else { 54 };
        let kind = if ip(dst).is_ipv4() { [3, 13] } else { [1, 1] };
        assert_eq!(message[place..place + 2], kind);
    }
    // Nor by taking the other one's MAC address.
    let stray = Way {
        to: OTHER_GATEWAY,
        ..Way::out(2, "10.9.0.2", "10.0.0.2")
    };
    let (verdict, _) = rig.handle(a, &stray.udp(&[]));
    assert_eq!(verdict, Verdict::Flood(FrameVlan::NONE));
}

#[test]
fn hosts_of_a_subnet_reach_each_other_through_the_gateway_if_they_may() {
    let mut rig = Rig::new(Outside::Routed);
    let [a, b, _] = rig.ports;
    let (port, _) = rig.forward(a, &Way::out(2, "10.0.0.3", "10.0.0.2").udp(&[]));
    assert_eq!(port, b);
    let mut rig = Rig::with(Outside::Routed, |config, _| PortConfig {
        isolation: Isolation::Isolated,
        ..config
    });
    let [a, ..] = rig.ports;
    let packet = Way::out(2, "10.0.0.3", "10.0.0.2").udp(&[]);
    assert_eq!(rig.drop(a, &packet), DropReason::Isolated);
    let (port, _) = rig.forward(a, &Way::out(2, "10.0.0.1", "10.0.0.2").ping(1, &[]));
    assert_eq!(port, a);
    let (port, _) = rig.forward(a, &Way::out(2, "198.51.100.7", "10.0.0.2").udp(&[]));
    assert_eq!(port, rig.uplink);
}

#[test]
fn an_internal_network_has_no_way_out_nor_in() {
    let mut rig = Rig::new(Outside::Closed);
    let [a, ..] = rig.ports;
    for dst in ["198.51.100.7", "10.0.0.3", "10.9.0.2", "192.0.2.2"] {
        let (reason, message) = rig.refuse(a, &Way::out(2, dst, "10.0.0.2").udp(&[]));
        assert_eq!(reason, DropReason::GatewayClosed, "{dst}");
        assert_eq!(message[34..36], [3, 0]);
    }
    let stray = Way::back("10.0.0.2", "198.51.100.7").udp(&[]);
    assert_eq!(rig.drop(rig.uplink, &stray), DropReason::GatewayNoRoute);
}

#[test]
fn without_nat_nothing_leaves_or_enters_a_masqueraded_network() {
    let mut rig = Rig::new(Outside::Masqueraded);
    let [a, ..] = rig.ports;
    let packet = Way::out(2, "198.51.100.7", "10.0.0.2").udp(&[]);
    assert_eq!(rig.drop(a, &packet), DropReason::NatNoExternalAddress);
    let stray = Way::back("10.0.0.2", "198.51.100.7").udp(&[]);
    assert_eq!(rig.drop(rig.uplink, &stray), DropReason::GatewayNoRoute);
}

#[test]
fn sources_that_are_not_of_the_subnet_go_nowhere() {
    let mut rig = Rig::new(Outside::Routed);
    let [a, ..] = rig.ports;
    for src in [
        "10.9.0.2",
        "192.0.2.9",
        "127.0.0.1",
        "0.0.0.0",
        "10.0.0.255",
        "10.0.0.1",
    ] {
        let packet = Way::out(2, "198.51.100.7", src).udp(&[]);
        assert_eq!(rig.drop(a, &packet), DropReason::GatewaySource, "{src}");
    }
    for src in [
        "fe80::2",
        "::",
        "::1",
        "fd01::2",
        "ff02::1",
        "::ffff:10.0.0.2",
    ] {
        let packet = Way::out(2, "2001:db8:7::7", src).udp(&[]);
        assert_eq!(rig.drop(a, &packet), DropReason::GatewaySource, "{src}");
    }
}

#[test]
fn destinations_that_no_host_has_are_not_forwarded_to() {
    let mut rig = Rig::new(Outside::Routed);
    let [a, ..] = rig.ports;
    for dst in [
        "127.0.0.1",
        "0.0.0.0",
        "169.254.169.254",
        "224.0.0.9",
        "255.255.255.255",
        "10.0.0.255",
        "240.0.0.1",
    ] {
        let packet = Way::out(2, dst, "10.0.0.2").udp(&[]);
        assert_eq!(rig.drop(a, &packet), DropReason::GatewayMartian, "{dst}");
    }
    for dst in [
        "::",
        "::1",
        "fe80::9",
        "ff02::9",
        "ff0e::1",
        "::ffff:192.0.2.9",
    ] {
        let packet = Way::out(2, dst, "fd00::2").udp(&[]);
        assert_eq!(rig.drop(a, &packet), DropReason::GatewayMartian, "{dst}");
    }
}

#[test]
fn nobody_outside_passes_for_somebody_inside() {
    let mut rig = Rig::new(Outside::Routed);
    let uplink = rig.uplink;
    for (src, reason) in [
        ("10.0.0.2", DropReason::GatewaySource),
        ("10.9.0.1", DropReason::GatewaySource),
        ("192.0.2.2", DropReason::GatewaySource),
        ("127.0.0.1", DropReason::GatewayMartian),
        ("224.0.0.1", DropReason::GatewayMartian),
    ] {
        let packet = Way::back("10.0.0.3", src).udp(&[]);
        assert_eq!(rig.drop(uplink, &packet), reason, "{src}");
    }
    let not_for_us = Way {
        to: mac(0x77),
        ..Way::back("10.0.0.3", "198.51.100.7")
    };
    assert_eq!(
        rig.drop(uplink, &not_for_us.udp(&[])),
        DropReason::GatewayProtocol
    );
}

#[test]
fn a_packet_that_names_its_route_is_refused() {
    let mut rig = Rig::new(Outside::Routed);
    let [a, ..] = rig.ports;
    let mut routed = Way::out(2, "198.51.100.7", "10.0.0.2").udp(&[]);
    routed.splice(34..34, [131, 7, 4, 192, 0, 2, 9, 0]);
    routed[14] = 0x47;
    routed[17] += 8;
    tapweave_net::Ipv4Mut::parse(&mut routed[14..])
        .unwrap()
        .fill_checksum();
    assert_eq!(rig.drop(a, &routed), DropReason::GatewaySourceRoute);
    let mut routed = Way::out(2, "2001:db8:7::7", "fd00::2").udp(&[]);
    routed.splice(54..54, [17, 0, 0, 1, 0, 0, 0, 0]);
    routed[19] += 8;
    routed[20] = 43;
    assert_eq!(rig.drop(a, &routed), DropReason::GatewaySourceRoute);
}

#[test]
fn a_wrong_header_checksum_and_other_protocols_are_refused() {
    let mut rig = Rig::new(Outside::Routed);
    let [a, ..] = rig.ports;
    let mut wrong = Way::out(2, "198.51.100.7", "10.0.0.2").udp(&[]);
    wrong[24] ^= 1;
    assert_eq!(rig.drop(a, &wrong), DropReason::GatewayMalformed);
    wrong.truncate(30);
    assert_eq!(rig.drop(a, &wrong), DropReason::GatewayMalformed);
    let mut other = Way::out(2, "198.51.100.7", "10.0.0.2").udp(&[]);
    other[12..14].copy_from_slice(&[0x88, 0x47]);
    assert_eq!(rig.drop(a, &other), DropReason::GatewayProtocol);
}

#[test]
fn a_super_frame_is_routed_with_its_offload() {
    let mut rig = Rig::new(Outside::Routed);
    let [a, ..] = rig.ports;
    let frame = super_frame();
    let offload = super_offload(1400);
    let ((_, sent), left) = rig.handle_offloaded(a, &frame, offload);
    assert_eq!((sent[0].0, left), (rig.uplink, offload));
    assert_eq!(sent[0].1[34..], frame[34..]);
}

/// Returns a TCP super-frame.
pub(super) fn super_frame() -> Vec<u8> {
    let mut frame = Vec::new();
    let segment = Way::out(2, "198.51.100.7", "10.0.0.2").builder();
    let segment = segment.tcp(1, 2, 3, 4);
    segment.write(&mut frame, &vec![0x55; 30_000]).unwrap();
    frame
}

pub(super) fn super_offload(size: u16) -> Offload {
    Offload {
        checksum: tapweave_net::ChecksumOffload::Partial {
            start: 34,
            offset: 16,
        },
        gso: Some(tapweave_net::Gso {
            kind: tapweave_net::GsoKind::TcpV4,
            ecn: false,
            size,
            header_len_hint: 54,
        }),
    }
}

#[test]
fn an_unknown_neighbour_is_asked_for_and_found() {
    let mut rig = Rig::new(Outside::Routed);
    let [a, b, _] = rig.ports;
    let packet = Way::out(2, "10.0.0.77", "10.0.0.2").udp(&[]);
    assert_eq!(rig.drop(a, &packet), DropReason::GatewayNoNeighbor);
    let asked = rig.switch.poll_gateways(rig.now);
    let ports: Vec<_> = asked.iter().map(|sent| sent.port).collect();
    assert_eq!(ports, rig.ports);
    assert_eq!(
        asked[1].frame[28..42],
        [10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 77]
    );
    let answer = link::answer(&asked[1].frame, mac(0x77));
    let (verdict, sent) = rig.handle(b, &answer);
    assert_eq!((verdict, sent), (Verdict::Gateway, Vec::new()));
    let (port, sent) = rig.forward(a, &packet);
    assert_eq!((port, &sent[..6]), (b, &mac(0x77).octets()[..]));
}

#[test]
fn a_neighbour_that_does_not_answer_is_unreachable() {
    let mut rig = Rig::new(Outside::Routed);
    let [a, ..] = rig.ports;
    let packet = Way::out(2, "192.0.2.99", "10.0.0.2").udp(&[]);
    assert_eq!(rig.drop(a, &packet), DropReason::GatewayNoNeighbor);
    for _ in 0..4 {
        rig.switch.poll_gateways(rig.now);
        rig.now = rig.now + Duration::from_secs(1);
    }
    let (reason, message) = rig.refuse(a, &packet);
    assert_eq!(
        (reason, &message[34..36]),
        (DropReason::GatewayNoNeighbor, &[3, 1][..])
    );
}

#[test]
fn what_a_stranger_says_of_itself_is_not_believed() {
    let mut rig = Rig::new(Outside::Routed);
    let [a, b, _] = rig.ports;
    // An address of another subnet, and one that is known to be elsewhere.
    for (claimed, want) in [("10.7.0.9", None), ("10.0.0.3", Some(b))] {
        let IpAddr::V4(address) = ip(claimed) else {
            continue;
        };
        let mut request = link::answer(&rig.question(), mac(2));
        request[..6].copy_from_slice(&[0xff; 6]);
        request[21] = 1;
        request[28..32].copy_from_slice(&address.octets());
        request[38..42].copy_from_slice(&[10, 0, 0, 1]);
        rig.handle(a, &request);
        let packet = Way::back(claimed, "198.51.100.7").udp(&[]);
        let (_, sent) = rig.handle(rig.uplink, &packet);
        assert_eq!(sent.first().map(|(port, _)| *port), want, "{claimed}");
    }
}

impl Rig {
    /// Returns a question of the gateway.
    fn question(&mut self) -> Vec<u8> {
        self.now = self.now + Duration::from_mins(1);
        let [a, ..] = self.ports;
        let packet = Way::out(2, "10.0.0.200", "10.0.0.2").udp(&[]);
        self.drop(a, &packet);
        let mut asked = self.switch.poll_gateways(self.now).into_iter();
        asked
            .find(|sent| sent.port == a && sent.frame[12..14] == [8, 6])
            .unwrap()
            .frame
    }
}

#[test]
fn of_several_uplinks_that_of_the_family_with_the_lowest_metric_is_taken() {
    let mut rig = Rig::new(Outside::Routed);
    let [a, ..] = rig.ports;
    let tun = |address: &str, metric| UplinkConfig {
        kind: UplinkKind::PointToPoint,
        addresses: vec![address.parse().unwrap()],
        mtu: 1500,
        metric,
    };
    let later = rig.switch.add_uplink(tun("203.0.113.1/32", 5)).unwrap();
    let packet = Way::out(2, "198.51.100.7", "10.0.0.2").udp(&[]);
    assert_eq!(rig.forward(a, &packet).0, rig.uplink);
    rig.switch.remove_uplink(rig.uplink).unwrap();
    assert_eq!(rig.forward(a, &packet).0, later);
    let packet = Way::out(2, "2001:db8:7::7", "fd00::2").udp(&[]);
    let (reason, message) = rig.refuse(a, &packet);
    assert_eq!(
        (reason, &message[54..56]),
        (DropReason::GatewayNoRoute, &[1, 0][..])
    );
}

#[test]
fn the_explanation_names_each_step() {
    let rig = Rig::new(Outside::Routed);
    let [a, ..] = rig.ports;
    let text = |ingress, data: &[u8]| {
        let text = rig.explain(ingress, data).to_string();
        let from = text.find("destination").unwrap_or(0);
        text[from..].to_owned()
    };
    let router = format!("forwards it to {ROUTER} on uplink {}", rig.uplink);
    let out = text(a, &Way::out(2, "198.51.100.7", "10.0.0.2").udp(&[]));
    assert!(out.contains(&router), "{out}");
    let unknown = text(a, &Way::out(2, "10.0.0.9", "10.0.0.2").udp(&[]));
    assert!(
        unknown.contains("drops it: gateway_no_neighbor\n"),
        "{unknown}"
    );
    let expired = text(
        a,
        &Way::out(2, "198.51.100.7", "10.0.0.2")
            .with_hops(1)
            .udp(&[]),
    );
    assert!(
        expired.contains("gateway_hop_limit, and tells the sender: time exceeded"),
        "{expired}"
    );
    // Nothing was asked for, and nothing counted.
    assert_eq!(rig.switch.poll_gateways(rig.now), []);
    assert!(
        rig.switch
            .port_stats(a)
            .unwrap()
            .drops
            .iter()
            .all(|count| *count == 0)
    );
}

#[test]
fn nothing_is_allocated_on_the_way() {
    let mut rig = nat::rig();
    let [a, ..] = rig.ports;
    let uplink = rig.uplink;
    let out = Way::out(2, "198.51.100.7", "10.0.0.2").udp(b"hi");
    // Makes the mapping.
    rig.forward(a, &out);
    for (ingress, data) in [
        (a, out),
        (a, Way::out(2, "10.0.0.1", "10.0.0.2").ping(1, b"hi")),
        (a, Way::out(2, "10.9.0.1", "10.0.0.2").udp(b"hi")),
        (a, Way::out(2, "10.0.0.77", "10.0.0.2").udp(b"hi")),
        (uplink, Way::back("192.0.2.2", "198.51.100.7").udp(b"hi")),
    ] {
        let mut buffer = [&[0xa5; HEADROOM], &data[..]].concat();
        let mut frame = Frame::new(&mut buffer, HEADROOM, Offload::NONE);
        let (pipeline, now) = (&rig.pipeline, rig.now);
        let info = allocation_counter::measure(|| {
            pipeline.handle_gateway(now, (ingress, usize::MAX), &mut frame, &mut |_, _| {});
        });
        assert_eq!(info.count_total, 0, "{data:02x?}");
    }
}
