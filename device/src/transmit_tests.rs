use std::net::Ipv4Addr;

use tapweave_net::checksum::{Sum, Verification, verify_transport};
use tapweave_net::{Gso, GsoKind, IpProtocol, OffloadSet, ParsedFrame};

use super::*;
use crate::memory::MemoryPort;
use crate::queue::Received;

const HEADER_LEN: usize = 14 + 20 + 20;
const PARTIAL: ChecksumOffload = ChecksumOffload::Partial {
    start: 34,
    offset: 16,
};

/// A TCP segment from 10.0.0.2 to 10.0.0.3 whose checksum is partial.
fn tcp_frame(payload_len: u16) -> Vec<u8> {
    let (src, dst) = (Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 3));
    let tcp_len = 20 + payload_len;
    let mut frame = vec![2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 2, 8, 0];
    frame.extend([0x45, 0]);
    frame.extend((20 + tcp_len).to_be_bytes());
    frame.extend([0, 1, 0x40, 0, 64, 6, 0, 0]);
    frame.extend(src.octets());
    frame.extend(dst.octets());
    let ip_checksum = Sum::of(&frame[14..]).checksum();
    frame[24..26].copy_from_slice(&ip_checksum.to_be_bytes());
    frame.extend([0x1b, 0x58, 0x1b, 0x59, 0, 0, 0, 9, 0, 0, 0, 7]);
    frame.extend([0x50, 0x18, 0xff, 0xff]);
    let pseudo = Sum::pseudo_v4(src, dst, IpProtocol::TCP, tcp_len).fold();
    frame.extend(pseudo.to_be_bytes());
    frame.extend([0, 0]);
    frame.extend((0..payload_len).map(|at| u8::try_from(at % 251).unwrap()));
    frame
}

fn super_frame() -> Offload {
    Offload {
        checksum: PARTIAL,
        gso: Some(Gso {
            kind: GsoKind::TcpV4,
            ecn: false,
            size: 1448,
            // More than the headers are, as the kernel often says.
            header_len_hint: 66,
        }),
    }
}

fn wire(offloads: OffloadSet) -> (MemoryPort, MemoryPort) {
    MemoryPort::pair(100, offloads).unwrap()
}

fn received(port: &MemoryPort) -> Vec<(Vec<u8>, Offload)> {
    let mut buf = vec![0; RECV_BUF_LEN];
    let mut frames = Vec::new();
    while let Ok(Received::Frame(frame)) = port.recv(&mut buf) {
        frames.push((frame.data().to_vec(), frame.offload()));
    }
    frames
}

fn is_right(frame: &[u8]) -> bool {
    let parsed = ParsedFrame::parse(frame).unwrap();
    verify_transport(frame, &parsed) == Verification::Right
}

#[test]
fn a_super_frame_passes_whole_to_a_port_that_takes_it() {
    let (near, far) = wire(OffloadSet::ALL);
    let mut bytes = tcp_frame(4000);
    let before = bytes.clone();
    let mut frame = Frame::new(&mut bytes, 0, super_frame());
    Transmitter::default().transmit(&near, &mut frame).unwrap();
    assert_eq!(received(&far), [(before, super_frame())]);
}

#[test]
fn a_super_frame_is_cut_for_a_port_that_does_not_take_it() {
    for offloads in [OffloadSet::EMPTY, OffloadSet::CHECKSUM] {
        let (near, far) = wire(offloads);
        let mut bytes = tcp_frame(4000);
        let mut frame = Frame::new(&mut bytes, 0, super_frame());
        Transmitter::default().transmit(&near, &mut frame).unwrap();
        let segments = received(&far);
        let lengths: Vec<_> = segments.iter().map(|(bytes, _)| bytes.len()).collect();
        let full = HEADER_LEN + 1448;
        assert_eq!(lengths, [full, full, HEADER_LEN + 4000 - 2 * 1448]);
        assert!(segments.iter().all(|(bytes, _)| is_right(bytes)));
        assert!(
            segments
                .iter()
                .all(|(_, offload)| *offload == Offload::NONE)
        );
        let payload: Vec<_> = segments
            .iter()
            .flat_map(|(bytes, _)| &bytes[HEADER_LEN..])
            .copied()
            .collect();
        assert_eq!(payload, tcp_frame(4000)[HEADER_LEN..]);
    }
}

#[test]
fn a_flooded_super_frame_reaches_all_kinds_of_ports_unharmed() {
    let (plain, plain_far) = wire(OffloadSet::EMPTY);
    let (able, able_far) = wire(OffloadSet::ALL);
    let mut bytes = tcp_frame(4000);
    let before = bytes.clone();
    let mut frame = Frame::new(&mut bytes, 0, super_frame());
    let mut transmitter = Transmitter::default();
    for queue in [&plain, &able, &plain] {
        transmitter.transmit(queue, &mut frame).unwrap();
    }
    assert_eq!(received(&able_far), [(before, super_frame())]);
    let segments = received(&plain_far);
    assert_eq!(segments[..3], segments[3..]);
}

#[test]
fn a_partial_checksum_is_completed_once_and_for_all_ports() {
    let (able, able_far) = wire(OffloadSet::CHECKSUM);
    let (plain, plain_far) = wire(OffloadSet::EMPTY);
    let offload = Offload {
        checksum: PARTIAL,
        gso: None,
    };
    let mut bytes = tcp_frame(100);
    let before = bytes.clone();
    assert!(!is_right(&before));
    let mut frame = Frame::new(&mut bytes, 0, offload);
    let mut transmitter = Transmitter::default();
    for queue in [&able, &plain, &able, &plain] {
        transmitter.transmit(queue, &mut frame).unwrap();
    }
    let able = received(&able_far);
    assert_eq!(able[0], (before, offload));
    let plain = received(&plain_far);
    assert!(is_right(&plain[0].0) && plain[0].1 == Offload::NONE);
    assert_eq!(able[1], plain[0]);
    assert_eq!(plain[1], plain[0]);
}

#[test]
fn a_checksum_that_is_right_is_left_alone() {
    let (plain, far) = wire(OffloadSet::EMPTY);
    for checksum in [ChecksumOffload::Complete, ChecksumOffload::Validated] {
        let offload = Offload {
            checksum,
            gso: None,
        };
        let mut bytes = tcp_frame(100);
        let before = bytes.clone();
        let mut frame = Frame::new(&mut bytes, 0, offload);
        Transmitter::default().transmit(&plain, &mut frame).unwrap();
        assert_eq!(received(&far), [(before, offload)]);
    }
}

#[test]
fn a_frame_that_is_not_what_its_offload_says_is_not_sent() {
    let (plain, far) = wire(OffloadSet::EMPTY);
    let mut transmitter = Transmitter::default();
    let mut arp = [0; 60];
    arp[12..14].copy_from_slice(&[8, 6]);
    let sent = transmitter.transmit(&plain, &mut Frame::new(&mut arp, 0, super_frame()));
    assert!(matches!(sent, Err(SendError::Unsupported)));
    let outside = Offload {
        checksum: ChecksumOffload::Partial {
            start: 34,
            offset: 25,
        },
        gso: None,
    };
    let sent = transmitter.transmit(&plain, &mut Frame::new(&mut arp, 0, outside));
    assert!(matches!(sent, Err(SendError::Unsupported)));
    assert_eq!(received(&far), []);
}

#[test]
fn the_lost_first_segment_is_a_lost_frame_and_a_later_one_is_not() {
    let mut transmitter = Transmitter::default();
    for (capacity, arrived) in [(0, 0), (2, 2)] {
        let (near, far) = MemoryPort::pair(capacity, OffloadSet::EMPTY).unwrap();
        let mut bytes = tcp_frame(4000);
        let mut frame = Frame::new(&mut bytes, 0, super_frame());
        let sent = transmitter.transmit(&near, &mut frame);
        assert_eq!(matches!(sent, Err(SendError::Full)), capacity == 0);
        assert_eq!(received(&far).len(), arrived);
    }
}

#[test]
fn ipv6_is_recognised_behind_vlan_tags_only_where_it_is() {
    let frame = |fields: &[u16]| {
        let mut bytes = vec![0; 12];
        bytes.extend(fields.iter().flat_map(|field| field.to_be_bytes()));
        bytes
    };
    assert!(is_ipv6(&frame(&[0x86dd])));
    assert!(is_ipv6(&frame(&[0x8100, 5, 0x86dd])));
    assert!(is_ipv6(&frame(&[0x88a8, 5, 0x8100, 0x86dd, 0x86dd])));
    assert!(!is_ipv6(&frame(&[0x8100, 0x86dd, 0x0800])));
    assert!(!is_ipv6(&frame(&[0x8100, 5])));
    assert!(!is_ipv6(&[0x86; 13]));
}
