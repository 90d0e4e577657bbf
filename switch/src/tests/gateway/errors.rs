//! What senders are told, and how often.

use core::num::NonZeroU32;

use tapweave_nat::fragments::FragmentLimits;
use tapweave_nat::{
    Limits, Masquerade, Nat, NatConfig, NatDrop, NatRules, NetworkRules, RulesConfig, Timeouts,
};

use super::*;

#[test]
fn time_exceeded_quotes_the_packet() {
    let mut rig = Rig::new(Outside::Routed);
    let [a, ..] = rig.ports;
    let packet = Way::out(2, "198.51.100.7", "10.0.0.2")
        .with_hops(1)
        .udp(b"trace");
    let (reason, message) = rig.refuse(a, &packet);
    assert_eq!(reason, DropReason::GatewayHopLimit);
    assert_eq!(
        message[..14],
        [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 0xfe, 0x08, 0x00]
    );
    assert_eq!(message[26..36], [10, 0, 0, 1, 10, 0, 0, 2, 11, 0]);
    assert_eq!(message[42..], packet[14..]);
    let packet = Way::out(2, "2001:db8:7::7", "fd00::2")
        .with_hops(0)
        .udp(b"trace");
    let (reason, message) = rig.refuse(a, &packet);
    assert_eq!(reason, DropReason::GatewayHopLimit);
    assert_eq!(message[54..56], [3, 0]);
    assert_eq!(message[62..], packet[14..]);
}

#[test]
fn the_sender_outside_is_told_by_the_uplinks_address() {
    let mut rig = Rig::new(Outside::Routed);
    let uplink = rig.uplink;
    let packet = Way::back("10.0.0.3", "198.51.100.7").with_hops(1).udp(&[]);
    let before = rig.switch.port_stats(uplink).unwrap().drops;
    let (port, message) = rig.forward(uplink, &packet);
    assert_eq!(
        rig.reason_since(uplink, &before),
        DropReason::GatewayHopLimit
    );
    assert_eq!(port, uplink);
    assert_eq!(message[..12], [ROUTER.octets(), UPLINK.octets()].concat());
    assert_eq!(message[26..36], [192, 0, 2, 2, 198, 51, 100, 7, 11, 0]);
}

#[test]
fn nobody_listens_at_the_gateway() {
    let mut rig = Rig::new(Outside::Closed);
    let [a, ..] = rig.ports;
    let (reason, message) = rig.refuse(a, &Way::out(2, "10.0.0.1", "10.0.0.2").udp(&[]));
    assert_eq!(
        (reason, &message[34..36]),
        (DropReason::GatewayPort, &[3, 3][..])
    );
    let (reason, message) = rig.refuse(a, &Way::out(2, "fd00::1", "fd00::2").udp(&[]));
    assert_eq!(
        (reason, &message[54..56]),
        (DropReason::GatewayPort, &[1, 4][..])
    );
}

#[test]
fn rfc5508_req_8_who_may_open_no_more_flows_is_told() {
    let mut rig = Rig::new(Outside::Masqueraded);
    let [a, ..] = rig.ports;
    let nat = Nat::new(NatConfig {
        seed: 7,
        worker_count: 1,
        flow_limit: 100,
        timeouts: Timeouts::default(),
        limits: Limits {
            flows: NonZeroU32::new(1),
            new_flows_per_second: None,
        },
        fragments: FragmentLimits::default(),
    });
    let rules = NatRules::new(&RulesConfig {
        external: ["192.0.2.2", "2001:db8::2"].map(ip).to_vec(),
        networks: vec![NetworkRules {
            network: rig.network,
            masquerade: Masquerade::Yes,
        }],
        ..RulesConfig::default()
    });
    rig.switch.set_nat(&Arc::new(nat), rules.unwrap());
    rig.pipeline.refresh();
    // The explanation ends at the translation, so it is not compared.
    let send = |data: &[u8]| {
        let mut buffer = [&[0xa5; HEADROOM], data].concat();
        let mut frame = Frame::new(&mut buffer, HEADROOM, Offload::NONE);
        let emit = &mut |_, _: &mut Frame<'_>| {};
        let to = rig
            .pipeline
            .handle_gateway(rig.now, (a, usize::MAX), &mut frame, emit);
        (to.unwrap().port, frame.data().to_vec())
    };
    for (to, from, at, told) in [
        ("198.51.100.7", "10.0.0.2", 34, [3, 13]),
        ("2001:db8:7::7", "fd00::2", 54, [1, 1]),
    ] {
        let first = Way::out(2, to, from).udp(b"one");
        assert_eq!(send(&first).0, rig.uplink);
        let mut second = first;
        // Another source port.
        second[at] ^= 0xff;
        let (port, message) = send(&second);
        assert_sound(&message);
        assert_eq!(port, a);
        assert_eq!(message[at..at + 2], told);
        assert_eq!(message[at + 8..], second[14..]);
    }
    let stats = rig.switch.port_stats(a).unwrap();
    assert_eq!(stats.dropped(NatDrop::FlowLimit.into()), 2);
}

#[test]
fn a_packet_that_may_not_be_cut_hears_the_mtu() {
    let mut rig = Rig::new(Outside::Routed);
    let [a, ..] = rig.ports;
    rig.shrink_uplink(1400);
    let packet = |len| Way::out(2, "198.51.100.7", "10.0.0.2").udp(&vec![7; len]);
    let fits = rig.forward(a, &packet(1372));
    assert_eq!(fits.0, rig.uplink);
    let (reason, message) = rig.refuse(a, &packet(1373));
    assert_eq!(reason, DropReason::GatewayTooBig);
    assert_eq!(message[34..36], [3, 4]);
    assert_eq!(message[38..42], [0, 0, 0x05, 0x78]);
    let packet = Way::out(2, "2001:db8:7::7", "fd00::2").udp(&[7; 1353]);
    let (reason, message) = rig.refuse(a, &packet);
    assert_eq!(reason, DropReason::GatewayTooBig);
    assert_eq!(
        message[54..62],
        [2, 0, message[56], message[57], 0, 0, 0x05, 0x78]
    );
}

#[test]
fn a_super_frame_is_as_large_as_its_segments() {
    let mut rig = Rig::new(Outside::Routed);
    let [a, ..] = rig.ports;
    rig.shrink_uplink(1400);
    let frame = routing::super_frame();
    let mut send = |size| {
        let ((_, mut sent), _) = rig.handle_offloaded(a, &frame, routing::super_offload(size));
        sent.remove(0)
    };
    let (port, _) = send(1360);
    let (back, message) = send(1361);
    assert_eq!((port, back), (rig.uplink, a));
    assert_eq!(message[34..36], [3, 4]);
}

#[test]
fn errors_are_limited_and_drops_are_counted_all_the_same() {
    let mut rig = Rig::new(Outside::Routed);
    let [a, b, _] = rig.ports;
    let packet = Way::out(2, "198.51.100.7", "10.0.0.2")
        .with_hops(1)
        .udp(&[]);
    let told = (0..150).filter(|_| !rig.handle(a, &packet).1.is_empty());
    assert_eq!(told.count(), 100);
    let stats = rig.switch.port_stats(a).unwrap();
    assert_eq!(stats.dropped(DropReason::GatewayHopLimit), 150);
    assert_eq!((stats.icmp_errors, stats.icmp_suppressed), (100, 50));
    // The limit is that of the network, which is another one than that of the other.
    let packet = Way::out(3, "198.51.100.7", "10.0.0.3")
        .with_hops(1)
        .udp(&[]);
    assert_eq!(rig.handle(b, &packet).1, []);
    let other = Way {
        to: OTHER_GATEWAY,
        ..Way::out(2, "198.51.100.7", "10.9.0.2").with_hops(1)
    };
    assert_eq!(rig.handle(rig.other_port, &other.udp(&[])).1.len(), 1);
    rig.now = rig.now + Duration::from_millis(100);
    let told = (0..150).filter(|_| !rig.handle(b, &packet).1.is_empty());
    assert_eq!(told.count(), 10);
}

#[test]
fn nobody_is_told_about_an_error_or_a_later_fragment() {
    let mut rig = Rig::new(Outside::Routed);
    let [a, ..] = rig.ports;
    let packet = Way::out(2, "198.51.100.7", "10.0.0.2")
        .with_hops(1)
        .udp(&[1; 64]);
    let [_, later] = fragments::cut_in_two(&packet, 16);
    assert_eq!(rig.drop(a, &later), DropReason::GatewayHopLimit);
    let mut error = Way::out(2, "198.51.100.7", "10.0.0.2")
        .with_hops(1)
        .ping(1, &[]);
    error[34] = 3;
    assert_eq!(rig.drop(a, &error), DropReason::GatewayHopLimit);
}

impl Rig {
    pub(super) fn shrink_uplink(&mut self, mtu: u16) {
        let config = UplinkConfig {
            mtu,
            ..uplink_config()
        };
        self.switch.change_uplink(self.uplink, config).unwrap();
    }
}
