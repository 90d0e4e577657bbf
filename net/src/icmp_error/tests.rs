use super::*;
use crate::checksum::{Verification, verify_transport};
use crate::{EtherType, EthernetView};

const V4: [u8; 28] = [
    0x45, 0, 0, 28, 0, 1, 0x40, 0, 64, 17, 0x26, 0xcc, 10, 0, 0, 2, 10, 0, 0, 3, 0, 7, 0, 9, 0, 8,
    0, 0,
];
const TELLER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const TELLER_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1));
const TELLER_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);

fn frame(tag: &[u8], ethertype: EtherType, packet: &[u8]) -> Vec<u8> {
    let macs = [2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 2];
    [&macs, tag, &ethertype.0.to_be_bytes(), packet].concat()
}

fn v4(packet: &[u8]) -> Vec<u8> {
    frame(&[], EtherType::IPV4, packet)
}

fn v6(next: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, high, low, next, 64, 0xfd, 0];
    packet.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    packet.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]);
    packet.extend(payload);
    frame(&[], EtherType::IPV6, &packet)
}

fn tell(kind: IcmpErrorKind, frame: &[u8]) -> Result<Vec<u8>, NoIcmpError> {
    let parsed = ParsedFrame::parse(frame).unwrap();
    let src = match parsed.network() {
        Network::V6 => TELLER_V6,
        Network::V4 | Network::Other => TELLER,
    };
    let error = IcmpError {
        kind,
        src_mac: TELLER_MAC,
        src,
    };
    let mut out = [0xa5; IcmpError::MAX_LEN + 3];
    let len = error.write(frame, &parsed, &mut out)?;
    assert!(out[len..].iter().all(|octet| *octet == 0xa5));
    let message = out[..len].to_vec();
    let parsed = ParsedFrame::parse(&message).unwrap();
    assert_eq!(verify_transport(&message, &parsed), Verification::Right);
    assert_eq!(parsed.l3_end(), len);
    Ok(message)
}

const TOO_BIG: IcmpErrorKind = IcmpErrorKind::TooBig { mtu: 1450 };

#[test]
fn fragmentation_needed_has_the_bytes_of_rfc_1191() {
    let message = tell(TOO_BIG, &v4(&V4)).unwrap();
    let want = [
        2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00, // back to the sender
        0x45, 0xc0, 0, 56, 0, 0, 0x40, 0, 64, 1, 0x26, 0x03, 10, 0, 0, 1, 10, 0, 0, 2, // IPv4
        3, 4, 0xf7, 0x39, 0, 0, 0x05, 0xaa, // ICMP, unused and Length zero, MTU
    ];
    assert_eq!(message[..42], want);
    assert_eq!(message[42..], V4);
}

#[test]
fn packet_too_big_has_the_bytes_of_rfc_4443() {
    let message = tell(TOO_BIG, &v6(17, &[0, 7, 0, 9, 0, 8, 0xa5, 0xa5])).unwrap();
    assert_eq!(message[14..22], [0x60, 0, 0, 0, 0, 56, 58, 64]);
    let icmp = Icmpv6View::parse(&message[54..]).unwrap();
    assert_eq!((icmp.kind(), icmp.code()), (Icmpv6Type::PACKET_TOO_BIG, 0));
    assert_eq!(icmp.next_hop_mtu(), Some(1450));
    assert_eq!(icmp.quoted().unwrap().len(), 48);
}

#[test]
fn the_other_kinds_have_their_types_and_codes() {
    let udp = [0, 7, 0, 9, 0, 8, 0xa5, 0xa5];
    for (kind, want_v4, want_v6) in [
        (IcmpErrorKind::HopLimitExceeded, [11, 0], [3, 0]),
        (IcmpErrorKind::NoRoute, [3, 0], [1, 0]),
        (IcmpErrorKind::HostUnreachable, [3, 1], [1, 3]),
        (IcmpErrorKind::PortUnreachable, [3, 3], [1, 4]),
        (IcmpErrorKind::Prohibited, [3, 13], [1, 1]),
    ] {
        let message = tell(kind, &v4(&V4)).unwrap();
        assert_eq!(message[34..36], want_v4);
        assert_eq!(message[38..42], [0; 4]);
        let message = tell(kind, &v6(17, &udp)).unwrap();
        assert_eq!(message[54..56], want_v6);
        assert_eq!(message[58..62], [0; 4]);
    }
}

#[test]
fn no_more_is_quoted_than_every_host_takes_and_tags_stay() {
    let mut packet = V4.to_vec();
    packet[2..4].copy_from_slice(&1500_u16.to_be_bytes());
    packet[24..26].copy_from_slice(&1480_u16.to_be_bytes());
    packet.resize(1500, 7);
    let tagged = frame(&[0x81, 0, 0x60, 10], EtherType::IPV4, &packet);
    let message = tell(TOO_BIG, &tagged).unwrap();
    assert_eq!(message.len(), 18 + 576);
    let ethernet = EthernetView::parse(&message).unwrap();
    assert_eq!(ethernet.tags().outer().unwrap().tci(), 0x600a);
    let mut udp = vec![0, 7, 0, 9, 0x05, 0xdc, 0xa5, 0xa5];
    udp.resize(1500, 7);
    assert_eq!(tell(TOO_BIG, &v6(17, &udp)).unwrap().len(), 14 + 1280);
}

#[test]
fn padding_is_not_quoted() {
    let mut padded = v4(&V4);
    padded.resize(60, 0xa5);
    assert_eq!(tell(TOO_BIG, &padded), tell(TOO_BIG, &v4(&V4)));
}

#[test]
fn errors_and_redirects_are_never_answered() {
    for kind in [3, 5, 11, 12] {
        let mut packet = V4;
        packet[9] = 1;
        packet[20] = kind;
        assert_eq!(
            tell(TOO_BIG, &v4(&packet)),
            Err(NoIcmpError::AboutIcmpError)
        );
    }
    let mut echo = V4;
    echo[9] = 1;
    echo[20] = 8;
    tell(TOO_BIG, &v4(&echo)).unwrap();
    for kind in [1, 2, 3, 4, 127, 137] {
        let packet = v6(58, &[kind, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(tell(TOO_BIG, &packet), Err(NoIcmpError::AboutIcmpError));
    }
    tell(TOO_BIG, &v6(58, &[128, 0, 0, 0, 0, 0, 0, 0])).unwrap();
    // A later fragment of an ICMP packet may be part of an error.
    let later = v6(44, &[58, 0, 0, 0x10, 0, 0, 0, 9, 1, 2, 3, 4]);
    assert_eq!(tell(TOO_BIG, &later), Err(NoIcmpError::AboutIcmpError));
}

#[test]
fn groups_fragments_and_hosts_that_are_none_are_never_answered() {
    let changed = |at: usize, octets: &[u8]| {
        let mut frame = v4(&V4);
        frame[at..at + octets.len()].copy_from_slice(octets);
        tell(IcmpErrorKind::NoRoute, &frame)
    };
    assert_eq!(changed(0, &[1]), Err(NoIcmpError::Group));
    assert_eq!(changed(30, &[224, 0, 0, 1]), Err(NoIcmpError::Group));
    assert_eq!(changed(30, &[255; 4]), Err(NoIcmpError::Group));
    assert_eq!(changed(20, &[0x00, 9]), Err(NoIcmpError::LaterFragment));
    for source in [[0, 0, 0, 0], [127, 0, 0, 1], [224, 0, 0, 1], [255; 4]] {
        let want = NoIcmpError::Source(Ipv4Addr::from(source).into());
        assert_eq!(changed(26, &source), Err(want));
    }
    let mut group = v6(17, &[0, 7, 0, 9, 0, 8, 0xa5, 0xa5]);
    group[..2].copy_from_slice(&[0x33, 0x33]);
    group[38..40].copy_from_slice(&[0xff, 0x02]);
    assert_eq!(
        tell(IcmpErrorKind::NoRoute, &group),
        Err(NoIcmpError::Group)
    );
    tell(TOO_BIG, &group).unwrap();
    group[22..38].fill(0);
    let want = NoIcmpError::Source(Ipv6Addr::UNSPECIFIED.into());
    assert_eq!(tell(TOO_BIG, &group), Err(want));
}

#[test]
fn a_source_route_is_not_answered() {
    let mut packet = V4.to_vec();
    packet.splice(20..20, [131, 3, 4, 0]);
    packet[0] = 0x46;
    packet[3] = 32;
    let want = NoIcmpError::Source(Ipv4Addr::new(10, 0, 0, 2).into());
    assert_eq!(tell(TOO_BIG, &v4(&packet)), Err(want));
}

#[test]
fn other_families_and_short_outputs_are_refused() {
    let arp = frame(&[], EtherType::ARP, &[0xa5; 28]);
    assert_eq!(tell(TOO_BIG, &arp), Err(NoIcmpError::Family(TELLER)));
    let frame = v4(&V4);
    let parsed = ParsedFrame::parse(&frame).unwrap();
    let mut error = IcmpError {
        kind: TOO_BIG,
        src_mac: TELLER_MAC,
        src: TELLER,
    };
    let mut out = [0xa5; 69];
    let space = NoIcmpError::Space {
        needed: 70,
        present: 69,
    };
    assert_eq!(error.write(&frame, &parsed, &mut out), Err(space));
    assert_eq!(out, [0xa5; 69]);
    error.src = TELLER_V6;
    assert_eq!(
        error.write(&frame, &parsed, &mut out),
        Err(NoIcmpError::Family(TELLER_V6))
    );
}
