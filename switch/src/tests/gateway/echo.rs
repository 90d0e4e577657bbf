//! Echo requests to the gateway.

use super::*;

#[test]
fn an_echo_request_is_answered_byte_for_byte() {
    let mut rig = Rig::new(Outside::Closed);
    let [a, ..] = rig.ports;
    let request = [
        &[2, 0, 0, 0, 0, 0xfe, 2, 0, 0, 0, 0, 2, 0x08, 0x00][..],
        &[0x45, 0, 0, 32, 0x12, 0x34, 0, 0, 5, 1, 0x8f, 0xa7],
        &[10, 0, 0, 2, 10, 0, 0, 1],
        &[8, 0, 0x83, 0xfc, 0x12, 0x34, 0, 1, 0x61, 0x62, 0x00, 0x6c],
    ]
    .concat();
    let reply = [
        &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 0xfe, 0x08, 0x00][..],
        &[0x45, 0, 0, 32, 0x12, 0x34, 0, 0, 64, 1, 0x54, 0xa7],
        &[10, 0, 0, 1, 10, 0, 0, 2],
        &[0, 0, 0x8b, 0xfc, 0x12, 0x34, 0, 1, 0x61, 0x62, 0x00, 0x6c],
    ];
    assert_eq!(rig.forward(a, &request), (a, reply.concat()));
}

#[test]
fn ipv6_and_its_link_local_address_answer_too() {
    let mut rig = Rig::new(Outside::Closed);
    let [a, ..] = rig.ports;
    for (src, dst) in [
        ("fd00::2", "fd00::1"),
        ("fe80::2", "fe80::ff:fe00:fe"),
        ("fe80::2", "fd00::1"),
    ] {
        let (port, reply) = rig.forward(a, &Way::out(2, dst, src).with_hops(1).ping(7, b"abc"));
        assert_eq!((port, reply[54], reply[21]), (a, 129, 64));
        let parsed = ParsedFrame::parse(&reply).unwrap();
        assert_eq!(parsed.flow().to_string(), format!("ICMP6 {dst} > {src}"));
    }
}

#[test]
fn a_tagged_request_is_answered_in_its_vlan() {
    let mut rig = Rig::new(Outside::Closed);
    let [a, ..] = rig.ports;
    let mut request = Way::out(2, "10.0.0.1", "10.0.0.2").ping(7, &[]);
    request.splice(12..12, [0x81, 0, 0, 7]);
    let (_, reply) = rig.forward(a, &request);
    assert_eq!(reply[12..18], [0x81, 0, 0, 7, 0x08, 0x00]);
}

#[test]
fn each_fragment_of_an_echo_request_is_answered() {
    let mut rig = Rig::new(Outside::Closed);
    let [a, ..] = rig.ports;
    let whole = Way::out(2, "10.0.0.1", "10.0.0.2").ping(7, &[0x77; 80]);
    let mut replies = Vec::new();
    for part in fragments::cut_in_two(&whole, 40) {
        let (port, reply) = rig.forward(a, &part);
        assert_eq!(port, a);
        replies.push(reply);
    }
    let (_, want) = rig.forward(a, &whole);
    let payloads = [&replies[0][34..], &replies[1][34..]].concat();
    assert_eq!(payloads, want[34..]);
    assert_eq!(
        replies[0][18..22],
        replies[1][18..20]
            .iter()
            .copied()
            .chain([0x20, 0])
            .collect::<Vec<_>>()
    );
}

#[test]
fn what_is_no_request_of_a_neighbour_is_not_answered() {
    let mut rig = Rig::new(Outside::Routed);
    let [a, ..] = rig.ports;
    let refuse =
        |rig: &mut Rig, src: &str, dst: &str| rig.drop(a, &Way::out(2, dst, src).ping(7, &[]));
    for src in [
        "10.9.0.2",
        "10.0.0.1",
        "10.0.0.255",
        "10.0.0.0",
        "127.0.0.1",
        "224.0.0.1",
    ] {
        let reason = refuse(&mut rig, src, "10.0.0.1");
        assert_eq!(reason, DropReason::GatewaySource, "{src}");
    }
    assert_eq!(refuse(&mut rig, "::", "fd00::1"), DropReason::GatewaySource);
    let mut reply = Way::out(2, "10.0.0.1", "10.0.0.2").ping(7, &[]);
    reply[34] = 0;
    assert_eq!(rig.drop(a, &reply), DropReason::GatewayProtocol);
}

#[test]
fn the_address_of_the_uplink_answers_outside() {
    let mut rig = Rig::new(Outside::Routed);
    let uplink = rig.uplink;
    for (dst, src) in [
        ("192.0.2.2", "198.51.100.7"),
        ("2001:db8::2", "2001:db8:7::7"),
    ] {
        let (port, reply) = rig.forward(uplink, &Way::back(dst, src).ping(7, &[]));
        assert_eq!(port, uplink);
        assert_eq!(reply[..6], ROUTER.octets());
        assert_eq!(reply[6..12], UPLINK.octets());
    }
}
