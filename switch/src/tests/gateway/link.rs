//! ARP, Neighbor Discovery and router advertisements.

use core::net::Ipv4Addr;

use core::net::Ipv6Addr;
use tapweave_net::checksum::Sum;
use tapweave_net::{
    ArpOperation, ArpPacket, ChecksumOffload, Icmpv6View, IpProtocol, NdMessage, NdOption,
    NeighborAnswer, NeighborQuestion,
};

use super::*;

/// Returns what a station with this MAC answers to a question.
pub(super) fn answer(question: &[u8], mac: MacAddr) -> Vec<u8> {
    let parsed = ParsedFrame::parse(question).unwrap();
    let checksum = ChecksumOffload::Complete;
    let asked = NeighborQuestion::read(question, &parsed, checksum).unwrap();
    let answer = NeighborAnswer {
        mac,
        is_router: false,
    };
    let mut out = [0; NeighborQuestion::MAX_ANSWER_LEN];
    let len = asked.write_answer(question, &parsed, answer, &mut out);
    out[..len.unwrap()].to_vec()
}

fn arp(sender: (MacAddr, [u8; 4]), target: [u8; 4]) -> Vec<u8> {
    let request = ArpPacket {
        operation: ArpOperation::Request,
        sender_mac: sender.0,
        sender_ip: Ipv4Addr::from(sender.1),
        target_mac: MacAddr::ZERO,
        target_ip: Ipv4Addr::from(target),
    };
    let mut frame = MacAddr::BROADCAST.octets().to_vec();
    frame.extend(sender.0.octets());
    frame.extend([0x08, 0x06]);
    frame.extend(request.encode());
    frame
}

/// Returns a message of Neighbor Discovery from the sandbox with this number.
fn nd(number: u8, src: &str, dst: &str, icmp: &[u8]) -> Vec<u8> {
    let (src, dst): (Ipv6Addr, Ipv6Addr) = (src.parse().unwrap(), dst.parse().unwrap());
    let mut frame = vec![0x33, 0x33];
    frame.extend(&dst.octets()[12..]);
    frame.extend(mac(number).octets());
    frame.extend([
        0x86,
        0xdd,
        0x60,
        0,
        0,
        0,
        0,
        u8::try_from(icmp.len()).unwrap(),
        58,
        255,
    ]);
    frame.extend(src.octets());
    frame.extend(dst.octets());
    let pseudo = Sum::pseudo_v6(
        src,
        dst,
        IpProtocol::ICMPV6,
        u32::try_from(icmp.len()).unwrap(),
    );
    let checksum = pseudo.and_bytes(icmp).checksum().to_be_bytes();
    frame.extend([icmp[0], icmp[1], checksum[0], checksum[1]]);
    frame.extend(&icmp[4..]);
    frame
}

fn solicitation(number: u8, src: &str, target: &str) -> Vec<u8> {
    let target: Ipv6Addr = target.parse().unwrap();
    let mut icmp = vec![135, 0, 0, 0, 0, 0, 0, 0];
    icmp.extend(target.octets());
    if src != "::" {
        icmp.extend([1, 1]);
        icmp.extend(mac(number).octets());
    }
    let [.., a, b, c] = target.octets();
    let group = Ipv6Addr::new(
        0xff02,
        0,
        0,
        0,
        0,
        1,
        0xff00 | u16::from(a),
        u16::from_be_bytes([b, c]),
    );
    nd(number, src, &group.to_string(), &icmp)
}

#[test]
fn an_arp_request_for_the_gateway_is_answered_and_not_flooded() {
    let mut rig = Rig::new(Outside::Closed);
    let [a, ..] = rig.ports;
    for sender in [[10, 0, 0, 2], [0; 4]] {
        let (verdict, sent) = rig.handle(a, &arp((mac(2), sender), [10, 0, 0, 1]));
        assert_eq!(verdict, Verdict::Gateway);
        let want = [
            &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 0xfe, 0x08, 0x06][..],
            &[0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 0xfe, 10, 0, 0, 1],
            &[2, 0, 0, 0, 0, 2],
            &sender,
        ];
        assert_eq!(sent, [(a, want.concat())]);
    }
    let mut tagged = arp((mac(2), [10, 0, 0, 2]), [10, 0, 0, 1]);
    tagged.splice(12..12, [0x81, 0, 0, 7]);
    let (_, sent) = rig.handle(a, &tagged);
    let head = [
        2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 0xfe, 0x81, 0, 0, 7, 8, 6, 0, 1,
    ];
    assert_eq!(sent[0].1[..20], head);
}

#[test]
fn other_arp_packets_are_flooded() {
    let mut rig = Rig::new(Outside::Routed);
    let [a, ..] = rig.ports;
    let mut reply = arp((mac(2), [10, 0, 0, 2]), [10, 0, 0, 1]);
    reply[21] = 2;
    for frame in [
        arp((mac(2), [10, 0, 0, 2]), [10, 0, 0, 3]),
        arp((mac(2), [10, 0, 0, 1]), [10, 0, 0, 1]),
        arp((mac(2), [10, 0, 0, 2]), [10, 9, 0, 1]),
        arp((mac(2), [10, 0, 0, 2]), [192, 0, 2, 2]),
        reply,
    ] {
        let (verdict, _) = rig.handle(a, &frame);
        assert_eq!(verdict, Verdict::Flood(FrameVlan::NONE));
    }
}

#[test]
fn solicitations_for_the_addresses_of_the_gateway_are_answered_by_a_router() {
    let mut rig = Rig::new(Outside::Closed);
    let [a, ..] = rig.ports;
    for target in ["fd00::1", "fe80::ff:fe00:fe"] {
        let (port, frame) = rig.forward(a, &solicitation(2, "fd00::2", target));
        assert_eq!(port, a);
        assert_eq!(frame[..12], [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 0xfe]);
        // Router, solicited and override.
        assert_eq!((frame[54], frame[58]), (136, 0xe0));
        assert_eq!(frame[62..78], target.parse::<Ipv6Addr>().unwrap().octets());
        assert_eq!(frame[78..], [2, 1, 2, 0, 0, 0, 0, 0xfe]);
    }
    let (_, frame) = rig.forward(a, &solicitation(2, "::", "fd00::1"));
    assert_eq!(frame[..6], [0x33, 0x33, 0, 0, 0, 1]);
    assert_eq!((frame[54], frame[58]), (136, 0xa0));
    let (verdict, _) = rig.handle(a, &solicitation(2, "fd00::2", "fd00::3"));
    assert!(matches!(verdict, Verdict::Flood(_)));
}

#[test]
fn a_solicitation_that_was_forwarded_is_not_answered() {
    let mut rig = Rig::new(Outside::Closed);
    let [a, ..] = rig.ports;
    let mut frame = solicitation(2, "fd00::2", "fd00::1");
    frame[21] = 254;
    assert_eq!(rig.drop(a, &frame), DropReason::GatewayMartian);
}

/// Returns the advertisements among what gateways send now, by port.
fn advertisements(rig: &Rig) -> Vec<(PortNo, Vec<u8>)> {
    let sent = rig.switch.poll_gateways(rig.now).into_iter();
    let sent = sent.map(|sent| (sent.port, sent.frame));
    sent.filter(|(_, frame)| frame.get(54) == Some(&134))
        .collect()
}

#[test]
fn a_host_that_looks_for_routers_hears_of_the_gateway_alone() {
    let mut rig = Rig::new(Outside::Routed);
    let [a, ..] = rig.ports;
    assert_eq!(advertisements(&rig), []);
    let icmp = [133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 2];
    let solicitation = nd(2, "fe80::2", "ff02::2", &icmp);
    let (verdict, sent) = rig.handle(a, &solicitation);
    assert_eq!((verdict, sent), (Verdict::Gateway, Vec::new()));
    let sent = advertisements(&rig);
    let [(port, frame)] = &sent[..] else {
        panic!("{sent:?}");
    };
    assert_eq!(*port, a);
    assert_sound(frame);
    assert_eq!(frame[..12], [0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0xfe]);
    assert_eq!(frame[18..22], [0, 64, 58, 255]);
    let icmp = Icmpv6View::parse(&frame[54..]).unwrap();
    let NdMessage::RouterAdvertisement(told) = NdMessage::parse(&icmp).unwrap() else {
        panic!("no advertisement");
    };
    assert_eq!(
        (told.hop_limit, told.managed, told.other_config),
        (64, false, false)
    );
    assert_eq!(told.router_lifetime, Duration::from_mins(30));
    let options: Vec<_> = told.options.map(Result::unwrap).collect();
    assert_eq!(
        options[..2],
        [NdOption::SourceLinkLayer(GATEWAY), NdOption::Mtu(1500)]
    );
    let NdOption::Prefix(prefix) = options[2] else {
        panic!("no prefix");
    };
    assert_eq!(
        (ip("fd00::"), 64),
        (prefix.prefix.into(), prefix.prefix_len)
    );
    assert!(prefix.on_link && !prefix.autonomous);
    assert_eq!(options.len(), 3);
    assert_eq!(advertisements(&rig), []);
}

#[test]
fn every_port_hears_of_the_gateway_now_and_then() {
    let mut rig = Rig::new(Outside::Routed);
    rig.now = rig.now + Duration::from_secs(16);
    let sent = advertisements(&rig);
    assert_eq!(sent.len(), 4);
    rig.switch
        .count_gateway_frame_sent(sent[0].0, sent[0].1.len());
    let stats = rig.switch.port_stats(sent[0].0).unwrap();
    assert_eq!((stats.tx_frames, stats.tx_bytes), (1, 118));
}

#[test]
fn a_gateway_does_not_advertise_itself_to_other_hosts_which_have_it_too() {
    let mut rig = Rig::with(Outside::Routed, |config, number| PortConfig {
        isolation: if number == 3 {
            Isolation::Tunnel
        } else {
            config.isolation
        },
        ..config
    });
    rig.now = rig.now + Duration::from_secs(16);
    let sent = advertisements(&rig);
    let told: Vec<PortNo> = sent.iter().map(|(port, _)| *port).collect();
    let [a, _, c] = rig.ports;
    assert_eq!(told, [a, c, rig.other_port]);
}

#[test]
fn an_internal_network_has_no_default_router() {
    let mut rig = Rig::new(Outside::Closed);
    rig.now = rig.now + Duration::from_secs(16);
    let (_, frame) = &advertisements(&rig)[0];
    assert_eq!(frame[60..62], [0, 0]);
}

#[test]
fn a_silent_gateway_leaves_solicitations_to_others() {
    let switch = switch();
    let mut config = gateway(GATEWAY, ["10.0.0.1/24", "fd00::1/64"], Outside::Routed);
    config.advertising = Advertising::Silent;
    let network = switch.add_network(NetworkConfig {
        gateway: Some(config),
        ..NETWORK
    });
    let port = switch.add_port(network, OPEN).unwrap();
    let mut pipeline = switch.pipeline(0);
    let mut frame = nd(2, "fe80::2", "ff02::2", &[133, 0, 0, 0, 0, 0, 0, 0]);
    let frames = [Frame::new(&mut frame, 0, Offload::NONE)];
    let mut verdicts = Vec::new();
    pipeline.handle_batch(NOW, port, &frames, &mut verdicts);
    assert_eq!(verdicts, [Verdict::Flood(FrameVlan::NONE)]);
    assert_eq!(switch.poll_gateways(NOW), []);
}

#[test]
fn an_uplink_answers_for_its_own_addresses_only() {
    let mut rig = Rig::new(Outside::Routed);
    let uplink = rig.uplink;
    let (verdict, sent) = rig.handle(uplink, &arp((mac(9), [192, 0, 2, 9]), [192, 0, 2, 2]));
    assert_eq!(verdict, Verdict::Gateway);
    assert_eq!(sent[0].0, uplink);
    assert_eq!(sent[0].1[6..12], UPLINK.octets());
    for target in [[192, 0, 2, 3], [10, 0, 0, 1]] {
        let (verdict, sent) = rig.handle(uplink, &arp((mac(9), [192, 0, 2, 9]), target));
        assert_eq!((verdict, sent), (Verdict::Gateway, Vec::new()));
    }
    let frame = solicitation(9, "2001:db8::9", "2001:db8::2");
    let (_, frame) = rig.forward(uplink, &frame);
    assert_eq!(frame[54], 136);
}

#[test]
fn an_uplink_comes_and_goes_like_a_port() {
    let mut rig = Rig::new(Outside::Routed);
    let uplink = rig.uplink;
    let mut config = uplink_config();
    config.addresses = vec!["192.0.2.7/24".parse().unwrap()];
    rig.switch.change_uplink(uplink, config.clone()).unwrap();
    let (_, sent) = rig.handle(uplink, &arp((mac(9), [192, 0, 2, 9]), [192, 0, 2, 7]));
    assert_eq!(sent.len(), 1);
    assert!(
        rig.switch
            .all_port_stats()
            .iter()
            .any(|(port, _)| *port == uplink)
    );
    rig.switch.remove_uplink(uplink).unwrap();
    rig.switch.remove_uplink(uplink).unwrap_err();
    rig.switch.change_uplink(uplink, config).unwrap_err();
    rig.switch.purge_port(uplink);
    let (verdict, _) = rig.handle(uplink, &arp((mac(9), [192, 0, 2, 1]), [192, 0, 2, 2]));
    assert_eq!(verdict, Verdict::Drop(DropReason::PortGone));
    let again = rig.switch.add_port(rig.network, OPEN).unwrap();
    assert_eq!(again.index(), uplink.index());
}
