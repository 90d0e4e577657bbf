//! The gateway and NAT together. What NAT does is tested where it is.

use core::num::NonZeroU32;

use tapweave_nat::{
    Limits, Masquerade, Nat, NatConfig, NatRules, NetworkRules, PortProtocol, Published,
    RulesConfig,
};
use tapweave_net::{FlowKey, UdpView};

use super::*;

/// The same rig with NAT: both networks are masqueraded, and port 8080 leads to the second sandbox.
pub(super) fn rig() -> Rig {
    let rig = Rig::new(Outside::Masqueraded);
    let nat = Nat::new(NatConfig {
        flow_limit: 1 << 10,
        limits: Limits {
            flows: NonZeroU32::new(8),
            ..Limits::default()
        },
        ..NatConfig::new(1, 1)
    });
    let other = NetworkNo(rig.network.0 + 1);
    let networks = [rig.network, other].map(|network| NetworkRules {
        network,
        masquerade: Masquerade::Yes,
    });
    let published = [("192.0.2.2", "10.0.0.3"), ("2001:db8::2", "fd00::3")];
    let published = published.map(|(host, target)| Published {
        protocol: PortProtocol::Udp,
        host_addr: Some(ip(host)),
        host_ports: 8080..=8080,
        network: rig.network,
        target: ip(target),
        target_port: 22136,
    });
    let rules = NatRules::new(&RulesConfig {
        external: vec![ip("192.0.2.2"), ip("2001:db8::2")],
        published: published.to_vec(),
        networks: networks.to_vec(),
        ..RulesConfig::default()
    });
    rig.switch.set_nat(&Arc::new(nat), rules.unwrap());
    rig
}

/// Returns source and destination.
fn ends(frame: &[u8]) -> (IpAddr, IpAddr) {
    match *ParsedFrame::parse(frame).unwrap().flow() {
        FlowKey::V4 { src, dst, .. } => (src.into(), dst.into()),
        FlowKey::V6 { src, dst, .. } => (src.into(), dst.into()),
        FlowKey::Link { .. } => panic!("no packet"),
    }
}

#[test]
fn a_datagram_leaves_with_an_address_of_the_uplink_and_its_answer_comes_back() {
    let mut rig = rig();
    let [a, ..] = rig.ports;
    let uplink = rig.uplink;
    for (own, outer, peer) in [
        ("10.0.0.2", "192.0.2.2", "198.51.100.7"),
        ("fd00::2", "2001:db8::2", "2001:db8:7::7"),
    ] {
        let (port, sent) = rig.forward(a, &Way::out(2, peer, own).udp(b"question"));
        assert_eq!(port, uplink);
        assert_eq!(sent[..12], [ROUTER.octets(), UPLINK.octets()].concat());
        let parsed = ParsedFrame::parse(&sent).unwrap();
        let udp = UdpView::parse(parsed.l4_bytes(&sent).unwrap()).unwrap();
        let mapped = udp.src_port();
        assert_eq!(ends(&sent).0, ip(outer));
        let mut answer = Vec::new();
        let way = Way::back(outer, peer).builder();
        way.udp(22136, mapped)
            .write(&mut answer, b"answer")
            .unwrap();
        let (port, got) = rig.forward(uplink, &answer);
        assert_eq!(port, a);
        let mut want = Vec::new();
        let way = Way {
            from: GATEWAY,
            to: mac(2),
            src: peer,
            dst: own,
            hops: 63,
        };
        way.builder()
            .udp(22136, 4660)
            .write(&mut want, b"answer")
            .unwrap();
        assert_eq!(got, want);
    }
}

#[test]
fn a_published_port_is_reached_from_outside_and_from_every_network() {
    let mut rig = rig();
    let [a, b, _] = rig.ports;
    for (outer, inner, client) in [
        ("192.0.2.2", "10.0.0.3", "198.51.100.7"),
        ("2001:db8::2", "fd00::3", "2001:db8:7::7"),
    ] {
        let mut request = Vec::new();
        let way = Way::back(outer, client).builder();
        way.udp(999, 8080).write(&mut request, b"hi").unwrap();
        let (port, got) = rig.forward(rig.uplink, &request);
        assert_eq!(port, b);
        assert_eq!(ends(&got).1, ip(inner));
    }
    let mut inside = Vec::new();
    let way = Way::out(2, "192.0.2.2", "10.0.0.2").builder();
    way.udp(999, 8080).write(&mut inside, b"hi").unwrap();
    let (port, got) = rig.forward(a, &inside);
    assert_eq!(port, b);
    assert_eq!(got[..12], [mac(3).octets(), GATEWAY.octets()].concat());
    let mut other = Vec::new();
    let way = Way {
        to: OTHER_GATEWAY,
        ..Way::out(2, "192.0.2.2", "10.9.0.2")
    };
    way.builder()
        .udp(999, 8080)
        .write(&mut other, b"hi")
        .unwrap();
    let (port, _) = rig.forward(rig.other_port, &other);
    assert_eq!(port, b);
    // By its own address it is not.
    let way = Way {
        to: OTHER_GATEWAY,
        ..Way::out(2, "10.0.0.3", "10.9.0.2")
    };
    let (reason, _) = rig.refuse(rig.other_port, &way.udp(&[]));
    assert_eq!(reason, DropReason::GatewayOtherNetwork);
}

#[test]
fn what_nobody_asked_for_stays_outside() {
    let mut rig = rig();
    let uplink = rig.uplink;
    let stray = Way::back("192.0.2.2", "198.51.100.7").udp(&[]);
    assert_eq!(rig.drop(uplink, &stray), DropReason::NatNoMapping);
    let inside = Way::back("10.0.0.2", "198.51.100.7").udp(&[]);
    assert_eq!(rig.drop(uplink, &inside), DropReason::GatewayNoRoute);
}

#[test]
fn the_external_address_answers_pings_from_both_sides() {
    let mut rig = rig();
    let [a, ..] = rig.ports;
    let uplink = rig.uplink;
    let outside = Way::back("192.0.2.2", "198.51.100.7").ping(7, b"x");
    assert_eq!(rig.forward(uplink, &outside).0, uplink);
    let inside = Way::out(2, "192.0.2.2", "10.0.0.2").ping(7, b"x");
    assert_eq!(rig.forward(a, &inside).0, a);
}

#[test]
fn an_error_about_a_packet_that_came_in_is_translated_back() {
    let mut rig = rig();
    let uplink = rig.uplink;
    let mut request = Vec::new();
    let way = Way::back("192.0.2.2", "198.51.100.7")
        .with_hops(1)
        .builder();
    way.udp(999, 8080).write(&mut request, b"trace").unwrap();
    let before = rig.switch.port_stats(uplink).unwrap().drops;
    let (port, message) = rig.forward(uplink, &request);
    assert_eq!(
        rig.reason_since(uplink, &before),
        DropReason::GatewayHopLimit
    );
    assert_eq!(port, uplink);
    assert_eq!(message[..12], [ROUTER.octets(), UPLINK.octets()].concat());
    assert_eq!(message[26..36], [192, 0, 2, 2, 198, 51, 100, 7, 11, 0]);
    assert_eq!(message[42..], request[14..]);
}

#[test]
fn errors_to_a_sandbox_quote_what_it_sent() {
    let mut rig = rig();
    let [a, ..] = rig.ports;
    let packet = Way::out(2, "198.51.100.7", "10.0.0.2")
        .with_hops(1)
        .udp(b"x");
    let (reason, message) = rig.refuse(a, &packet);
    assert_eq!(reason, DropReason::GatewayHopLimit);
    assert_eq!(message[42..], packet[14..]);
    rig.shrink_uplink(1280);
    let packet = Way::out(2, "198.51.100.7", "10.0.0.2").udp(&[7; 1300]);
    let (reason, message) = rig.refuse(a, &packet);
    assert_eq!(reason, DropReason::GatewayTooBig);
    assert_eq!(message[42..], packet[14..14 + message.len() - 42]);
}

#[test]
fn fragments_of_a_datagram_leave_with_one_source_whatever_their_order() {
    let mut rig = rig();
    let [a, ..] = rig.ports;
    let payload: Vec<u8> = (0..800_u16).map(|number| number.to_be_bytes()[1]).collect();
    let whole = Way::out(2, "198.51.100.7", "10.0.0.2").udp(&payload);
    let [first, later] = fragments::cut_in_two(&whole, 400);
    let (_, sent) = rig.handle(a, &later);
    assert_eq!(sent, []);
    let (_, sent) = rig.handle(a, &first);
    assert_eq!(sent.len(), 2);
    for (port, part) in &sent {
        assert_eq!(*port, rig.uplink);
        assert_eq!(part[..12], [ROUTER.octets(), UPLINK.octets()].concat());
        let ip = Ipv4View::parse(&part[14..]).unwrap();
        assert_eq!(
            (ip.src().to_string(), ip.ttl()),
            ("192.0.2.2".to_owned(), 63)
        );
        assert!(ip.verify_checksum());
    }
}

#[test]
fn a_super_frame_is_translated_with_its_offload() {
    let mut rig = rig();
    let [a, ..] = rig.ports;
    let mut frame = routing::super_frame();
    // A connection opens before it carries data.
    frame[47] = 0x02;
    let offload = routing::super_offload(1400);
    let ((_, sent), left) = rig.handle_offloaded(a, &frame, offload);
    assert_eq!((sent[0].0, left), (rig.uplink, offload));
    assert_eq!(sent[0].1[26..30], [192, 0, 2, 2]);
    assert_eq!(sent[0].1[54..], frame[54..]);
}

#[test]
fn limits_are_counted_at_the_port_of_the_sandbox() {
    let mut rig = rig();
    let [a, ..] = rig.ports;
    for port in 0..8 {
        let mut packet = Vec::new();
        let way = Way::out(2, "198.51.100.7", "10.0.0.2").builder();
        way.udp(1000 + port, 53).write(&mut packet, &[]).unwrap();
        assert_eq!(rig.forward(a, &packet).0, rig.uplink);
    }
    let packet = Way::out(2, "198.51.100.7", "10.0.0.2").udp(&[]);
    let (reason, message) = rig.refuse(a, &packet);
    assert_eq!(reason, DropReason::NatFlowLimit);
    // Destination unreachable, communication administratively prohibited.
    assert_eq!(message[34..36], [3, 13]);
    // Whether there is room is not foreseen.
    let steps = rig.explain(a, &packet).to_string();
    assert!(
        steps.contains("has NAT begin a masqueraded flow"),
        "{steps}"
    );
}

/// What `explain` says that NAT would do with a frame, and where the frame would go.
fn foreseen(rig: &Rig, ingress: PortNo, frame: &[u8]) -> (Vec<String>, Vec<PortNo>) {
    let mut bytes = frame.to_vec();
    let frame = Frame::new(&mut bytes, 0, Offload::NONE);
    let explained = rig.switch.explain(rig.now, ingress, &frame);
    let said = explained.stages.iter().map(ToString::to_string);
    let said = said.filter(|said| said.starts_with("has NAT") || said.starts_with("drops"));
    let egress = explained.egress.iter().map(|egress| egress.port);
    (said.collect(), egress.collect())
}

#[test]
fn what_nat_would_do_is_explained_and_nothing_of_it_is_done() {
    let mut rig = rig();
    let [a, b, _] = rig.ports;
    let out = Way::out(2, "198.51.100.7", "10.0.0.2").udp(&[1; 8]);
    let begins = ["has NAT begin a masqueraded flow for it".to_owned()];
    for _ in 0..2 {
        let (said, egress) = foreseen(&rig, a, &out);
        assert_eq!((&said[..], egress), (&begins[..], vec![rig.uplink]));
    }
    let stranger = Way::back("192.0.2.2", "198.51.100.9");
    let (said, egress) = foreseen(&rig, rig.uplink, &stranger.udp(&[]));
    assert!(
        egress.is_empty() && said[0].starts_with("drops it"),
        "{said:?}"
    );
    let mut client = Vec::new();
    let to_published = stranger.builder().udp(999, 8080);
    to_published.write(&mut client, b"hi").unwrap();
    let (said, egress) = foreseen(&rig, rig.uplink, &client);
    assert_eq!(said, ["has NAT begin a published flow for it"]);
    assert_eq!(egress, [b]);
    let (_, sent) = rig.forward(a, &out);
    let (said, egress) = foreseen(&rig, a, &out);
    let source = ParsedFrame::parse(&sent).unwrap();
    let udp = UdpView::parse(&sent[source.l4_offset().unwrap()..]).unwrap();
    let known = format!(
        "has NAT translate it to 192.0.2.2:{} > 198.51.100.7:{}",
        udp.src_port(),
        udp.dst_port()
    );
    assert_eq!((said, egress), (vec![known], vec![rig.uplink]));
}
