//! Packets that are larger than the way ahead.

use super::*;

/// Returns the two fragments of an untagged IPv4 frame without options, the first with `at` bytes of payload.
pub(super) fn cut_in_two(frame: &[u8], at: usize) -> [Vec<u8>; 2] {
    let mut first = frame[..34 + at].to_vec();
    let mut second = [&frame[..34], &frame[34 + at..]].concat();
    first[20..22].copy_from_slice(&0x2000_u16.to_be_bytes());
    let offset = u16::try_from(at / 8).unwrap();
    second[20..22].copy_from_slice(&offset.to_be_bytes());
    for part in [&mut first, &mut second] {
        let len = u16::try_from(part.len() - 14).unwrap();
        let mut ip = tapweave_net::Ipv4Mut::parse(&mut part[14..]).unwrap();
        ip.set_total_len(len);
        ip.fill_checksum();
    }
    [first, second]
}

/// Returns a frame without "don't fragment".
fn cuttable(mut frame: Vec<u8>) -> Vec<u8> {
    frame[20] &= !0x40;
    tapweave_net::Ipv4Mut::parse(&mut frame[14..])
        .unwrap()
        .fill_checksum();
    frame
}

/// Puts fragments together: checks their headers, and returns the payload.
fn join(parts: &[(PortNo, Vec<u8>)], mtu: usize) -> Vec<u8> {
    let mut payload = Vec::new();
    for (number, (_, part)) in parts.iter().enumerate() {
        let ip = Ipv4View::parse(&part[14..]).unwrap();
        assert!(ip.verify_checksum());
        assert_eq!(part.len(), 14 + usize::from(ip.total_len()));
        assert!(usize::from(ip.total_len()) <= mtu);
        assert_eq!(usize::from(ip.fragment_offset()), payload.len());
        assert_eq!(ip.more_fragments(), number + 1 < parts.len());
        assert_eq!(ip.ttl(), 63);
        payload.extend(ip.payload());
    }
    payload
}

#[test]
fn a_packet_without_dont_fragment_is_cut() {
    let mut rig = Rig::new(Outside::Routed);
    let [a, ..] = rig.ports;
    rig.shrink_uplink(600);
    let payload: Vec<u8> = (0..1400_u16)
        .map(|number| number.to_be_bytes()[1])
        .collect();
    let packet = cuttable(Way::out(2, "198.51.100.7", "10.0.0.2").udp(&payload));
    let (_, sent) = rig.handle(a, &packet);
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|(port, _)| *port == rig.uplink));
    assert!(sent.iter().all(|(_, part)| part[..12] == sent[0].1[..12]));
    assert_eq!(sent[0].1[..6], ROUTER.octets());
    assert_eq!(join(&sent, 600), packet[34..]);
}

#[test]
fn a_fragment_is_cut_further() {
    let mut rig = Rig::new(Outside::Routed);
    let [a, ..] = rig.ports;
    rig.shrink_uplink(600);
    let packet = cuttable(Way::out(2, "198.51.100.7", "10.0.0.2").udp(&[3; 1400]));
    let mut sent = Vec::new();
    for part in cut_in_two(&packet, 800) {
        sent.extend(rig.handle(a, &part).1);
    }
    assert_eq!(sent.len(), 4);
    assert_eq!(join(&sent, 600), packet[34..]);
}

#[test]
fn a_partial_checksum_is_completed_before_the_cut() {
    let mut rig = Rig::new(Outside::Routed);
    let [a, ..] = rig.ports;
    rig.shrink_uplink(600);
    let want = cuttable(Way::out(2, "198.51.100.7", "10.0.0.2").udp(&[3; 1400]));
    let mut packet = want.clone();
    let parsed = ParsedFrame::parse(&packet).unwrap();
    let ip = Ipv4View::parse(&packet[parsed.l3_offset()..]).unwrap();
    let len = u16::try_from(ip.payload().len()).unwrap();
    let pseudo = tapweave_net::checksum::Sum::pseudo_v4(
        ip.src(),
        ip.dst(),
        tapweave_net::IpProtocol::UDP,
        len,
    );
    packet[40..42].copy_from_slice(&pseudo.fold().to_be_bytes());
    let offload = Offload {
        checksum: tapweave_net::ChecksumOffload::Partial {
            start: 34,
            offset: 6,
        },
        gso: None,
    };
    let ((_, sent), left) = rig.handle_offloaded(a, &packet, offload);
    assert_eq!(left, Offload::NONE);
    assert_eq!(join(&sent, 600), want[34..]);
}

/// Each segment becomes a packet of its own, as if its sender had cut it, and that is cut into fragments.
#[test]
fn a_super_frame_without_dont_fragment_is_cut_into_segments_and_these_into_fragments() {
    let mut rig = Rig::new(Outside::Routed);
    let [a, ..] = rig.ports;
    rig.shrink_uplink(600);
    let (frame, offload) = (
        cuttable(routing::super_frame()),
        routing::super_offload(1400),
    );
    let splitter = tapweave_net::Splitter::new(&frame, offload).unwrap();
    let ((_, sent), left) = rig.handle_offloaded(a, &frame, offload);
    assert_eq!(left, Offload::NONE);
    let mut sent = sent.into_iter().map(|(port, part)| {
        assert_eq!(port, rig.uplink);
        part
    });
    for index in 0..splitter.segment_count() {
        let mut want = vec![0; splitter.max_segment_len()];
        let len = splitter.write_segment(index, &mut want).unwrap();
        let id = &want[18..20];
        let part_count = (len - 34).div_ceil(576);
        let parts: Vec<_> = sent.by_ref().take(part_count).collect();
        assert!(parts.iter().all(|part| part[18..20] == *id));
        let payload: Vec<u8> = parts.iter().flat_map(|part| part[34..].to_vec()).collect();
        assert_eq!(payload, want[34..len]);
        let offsets = parts.iter().map(|part| {
            let ip = Ipv4View::parse(&part[14..]).unwrap();
            assert!(ip.verify_checksum() && part.len() <= 614);
            (usize::from(ip.fragment_offset()), ip.more_fragments())
        });
        let last = part_count - 1;
        let expected = (0..part_count).map(|part| (part * 576, part < last));
        assert!(offsets.eq(expected));
    }
    assert_eq!(sent.next(), None);
}

#[test]
fn options_without_the_copied_flag_stay_in_the_first_fragment() {
    let mut rig = Rig::new(Outside::Routed);
    let [a, ..] = rig.ports;
    rig.shrink_uplink(600);
    let mut packet = Way::out(2, "198.51.100.7", "10.0.0.2").udp(&[3; 1000]);
    // Record route, which is not copied, and router alert, which is.
    let options = [7, 3, 4, 148, 4, 0, 0, 0];
    packet.splice(34..34, options);
    packet[14] = 0x47;
    let len = u16::try_from(packet.len() - 14).unwrap();
    packet[16..18].copy_from_slice(&len.to_be_bytes());
    let packet = cuttable(packet);
    let (_, sent) = rig.handle(a, &packet);
    assert_eq!(sent[0].1[34..42], options);
    assert_eq!(sent[1].1[34..42], [1, 1, 1, 148, 4, 0, 0, 0]);
    assert_eq!(join(&sent, 600), packet[42..]);
}

#[test]
fn a_packet_is_not_cut_into_crumbs() {
    let mut rig = Rig::new(Outside::Routed);
    let [a, ..] = rig.ports;
    let packet = cuttable(Way::out(2, "198.51.100.7", "10.0.0.2").udp(&[3; 1400]));
    for mtu in [0, 20, 27, 28] {
        rig.shrink_uplink(mtu);
        assert_eq!(rig.drop(a, &packet), DropReason::GatewayTooBig, "{mtu}");
    }
}
