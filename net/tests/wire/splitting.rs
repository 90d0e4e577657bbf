//! Segments against the super-frame that they come from, checked by etherparse and smoltcp.

use proptest::prelude::*;
use smoltcp::wire::{IpAddress, TcpPacket, UdpPacket};
use tapweave_net::checksum::{Verification, complete, verify_transport};
use tapweave_net::{
    ChecksumOffload, Gso, GsoKind, Ipv4View, Network, Offload, ParsedFrame, SegmentError,
    SplitError, Splitter, TcpFlags, TcpView, Transport, UdpView,
};

use super::frames::{DST_V4, DST_V6, L4, SRC_V4, SRC_V6, Shape, shape};

/// Turns a frame with a right checksum into one with a partial checksum, to be cut as its own kind.
fn super_frame(shape: &Shape, size: u16) -> (Vec<u8>, Offload) {
    let mut frame = shape.build();
    let parsed = ParsedFrame::parse(&frame).unwrap();
    let start = parsed.l4_offset().unwrap();
    let (kind, offset) = match (shape.l4, shape.v6) {
        (L4::Tcp { .. }, true) => (GsoKind::TcpV6, 16),
        (L4::Tcp { .. }, false) => (GsoKind::TcpV4, 16),
        (L4::Udp, _) => (GsoKind::Udp, 6),
        (L4::Icmp, _) => panic!("not cut"),
    };
    let sum = pseudo_sum(shape, frame.len() - start);
    frame[start + offset..start + offset + 2].copy_from_slice(&sum.to_be_bytes());
    let offload = Offload {
        checksum: ChecksumOffload::Partial {
            start: start.try_into().unwrap(),
            offset: offset.try_into().unwrap(),
        },
        gso: Some(Gso {
            kind,
            ecn: false,
            size,
            header_len_hint: 0,
        }),
    };
    (frame, offload)
}

/// The pseudo-header sum, by smoltcp.
fn pseudo_sum(shape: &Shape, len: usize) -> u16 {
    use smoltcp::wire::{IpProtocol, checksum::pseudo_header};
    let protocol = match shape.l4 {
        L4::Tcp { .. } => IpProtocol::Tcp,
        L4::Udp => IpProtocol::Udp,
        L4::Icmp => panic!("not cut"),
    };
    let (src, dst) = addresses(shape.v6);
    pseudo_header(&src, &dst, protocol, len.try_into().unwrap())
}

fn addresses(v6: bool) -> (IpAddress, IpAddress) {
    if v6 {
        (SRC_V6.into(), DST_V6.into())
    } else {
        (SRC_V4.into(), DST_V4.into())
    }
}

/// Writes every segment into a buffer of 0xa5 and returns them.
fn segments(frame: &[u8], offload: Offload) -> Vec<Vec<u8>> {
    let splitter = Splitter::new(frame, offload).unwrap();
    (0..splitter.segment_count())
        .map(|index| {
            let mut out = vec![0xa5; splitter.max_segment_len() + 3];
            let len = splitter.write_segment(index, &mut out).unwrap();
            assert!(out[len..].iter().all(|byte| *byte == 0xa5));
            let mut headers = vec![0xa5; splitter.header_len()];
            let segment = splitter.write_headers(index, &mut headers).unwrap();
            assert_eq!([&headers, segment.payload].concat(), out[..len]);
            out.truncate(len);
            out
        })
        .collect()
}

fn cuttable(max_payload: usize) -> impl Strategy<Value = Shape> {
    shape(max_payload).prop_filter("is cut", |shape| shape.l4 != L4::Icmp)
}

proptest! {
    #[test]
    fn segments_carry_the_payload_and_verify(shape in cuttable(2000), size in 20_u16..900) {
        let (frame, offload) = super_frame(&shape, size);
        let whole = ParsedFrame::parse(&frame).unwrap();
        let segments = segments(&frame, offload);
        let mut joined: Vec<u8> = Vec::new();
        for (index, segment) in segments.iter().enumerate() {
            let parsed = ParsedFrame::parse(segment).unwrap();
            prop_assert_eq!(parsed.flow(), whole.flow());
            prop_assert_eq!(parsed.tags(), whole.tags());
            prop_assert_eq!(parsed.payload_offset(), whole.payload_offset());
            prop_assert_eq!(parsed.l3_end(), segment.len());
            prop_assert_eq!(verify_transport(segment, &parsed), Verification::Right);
            verify_by_smoltcp(&shape, parsed.l4_bytes(segment).unwrap());
            check_numbers(&shape, index, segments.len(), joined.len(), segment);
            let payload = &segment[parsed.payload_offset().unwrap()..];
            let is_last = index + 1 == segments.len();
            prop_assert!(payload.len() == usize::from(size) || is_last);
            joined.extend(payload);
            etherparse::SlicedPacket::from_ethernet(segment).unwrap();
        }
        prop_assert_eq!(joined, shape.payload);
    }

    #[test]
    fn padding_is_not_cut_into_segments(shape in cuttable(600), padding in 1_usize..40) {
        let (mut frame, offload) = super_frame(&shape, 100);
        let without = segments(&frame, offload);
        frame.extend(vec![0xa5; padding]);
        prop_assert_eq!(segments(&frame, offload), without);
    }

    #[test]
    fn a_completed_frame_is_the_only_segment_of_itself(shape in cuttable(600)) {
        let (mut frame, offload) = super_frame(&shape, u16::MAX);
        let cut = segments(&frame, offload);
        let ChecksumOffload::Partial { start, offset } = offload.checksum else {
            panic!("not partial");
        };
        complete(&mut frame, start, offset).unwrap();
        let parsed = ParsedFrame::parse(&frame).unwrap();
        prop_assert_eq!(verify_transport(&frame, &parsed), Verification::Right);
        // A TCP checksum of zero is stored as 0xffff by `complete` and as zero by the splitter; both
        // are right.
        let at = usize::from(start + offset);
        if cut[0][at..at + 2] != [0, 0] {
            prop_assert_eq!(&cut, &[frame]);
        }
    }
}

fn verify_by_smoltcp(shape: &Shape, l4: &[u8]) {
    let (src, dst) = addresses(shape.v6);
    match shape.l4 {
        L4::Udp => {
            let udp = UdpPacket::new_checked(l4).unwrap();
            assert_ne!(udp.checksum(), 0);
            assert!(udp.verify_checksum(&src, &dst));
        }
        L4::Tcp { .. } | L4::Icmp => assert!(
            TcpPacket::new_checked(l4)
                .unwrap()
                .verify_checksum(&src, &dst)
        ),
    }
}

/// Checks what counts up or stands on one segment only.
fn check_numbers(shape: &Shape, index: usize, count: usize, sent: usize, segment: &[u8]) {
    let parsed = ParsedFrame::parse(segment).unwrap();
    if parsed.network() == Network::V4 {
        let ip = Ipv4View::parse(&segment[parsed.l3_offset()..]).unwrap();
        assert!(ip.verify_checksum());
        let index = u16::try_from(index).unwrap();
        assert_eq!(ip.id(), shape.id.wrapping_add(index));
    }
    let l4 = parsed.l4_bytes(segment).unwrap();
    match shape.l4 {
        L4::Tcp { flags, .. } => {
            let tcp = TcpView::parse(l4).unwrap();
            let sent = u32::try_from(sent).unwrap();
            assert_eq!(tcp.seq(), shape.seq.wrapping_add(sent));
            assert_eq!(tcp.ack(), 7);
            let mut want = TcpFlags(flags);
            if index != 0 {
                want = want.without(TcpFlags::CWR);
            }
            if index + 1 != count {
                want = want.without(TcpFlags::FIN | TcpFlags::PSH);
            }
            assert_eq!(tcp.flags(), want);
        }
        L4::Udp | L4::Icmp => assert_eq!(
            usize::from(UdpView::parse(l4).unwrap().len()),
            parsed.l3_end() - parsed.l4_offset().unwrap()
        ),
    }
}

fn tcp_v4() -> Shape {
    Shape {
        tags: vec![],
        v6: false,
        extras: 0,
        l4: L4::Tcp {
            flags: 0x99,
            timestamps: true,
        },
        id: 0xfffe,
        seq: u32::MAX - 5,
        ports: [1, 2],
        payload: (0..=255).collect(),
    }
}

#[test]
fn ids_and_sequence_numbers_wrap_around() {
    let shape = tcp_v4();
    let (frame, offload) = super_frame(&shape, 100);
    let segments = segments(&frame, offload);
    let numbers: Vec<_> = segments
        .iter()
        .map(|segment| {
            let ip = Ipv4View::parse(&segment[14..]).unwrap();
            let tcp = TcpView::parse(ip.payload()).unwrap();
            (ip.id(), tcp.seq(), tcp.flags().to_string())
        })
        .collect();
    let want = [
        (0xfffe, u32::MAX - 5, ".W"),
        (0xffff, 94, "."),
        (0, 194, "FP."),
    ];
    assert_eq!(
        numbers,
        want.map(|(id, seq, flags)| (id, seq, flags.to_owned()))
    );
}

#[test]
fn a_frame_that_is_not_what_its_offload_says_is_refused() {
    let shape = tcp_v4();
    let (frame, offload) = super_frame(&shape, 100);
    let refused = |frame: &[u8], offload| Splitter::new(frame, offload).unwrap_err();
    let gso = offload.gso.unwrap();
    let with = |gso| Offload {
        gso: Some(gso),
        ..offload
    };

    let none = Offload {
        gso: None,
        ..offload
    };
    assert_eq!(refused(&frame, none), SplitError::NotSuper);
    assert_eq!(
        refused(&frame, with(Gso { size: 0, ..gso })),
        SplitError::ZeroSize
    );
    for kind in [GsoKind::TcpV6, GsoKind::Udp] {
        assert_eq!(
            refused(&frame, with(Gso { kind, ..gso })),
            SplitError::Protocol(kind)
        );
    }
    for checksum in [
        ChecksumOffload::Complete,
        ChecksumOffload::Validated,
        ChecksumOffload::Partial {
            start: 34,
            offset: 6,
        },
        ChecksumOffload::Partial {
            start: 38,
            offset: 16,
        },
    ] {
        assert_eq!(
            refused(
                &frame,
                Offload {
                    checksum,
                    ..offload
                }
            ),
            SplitError::Checksum(checksum)
        );
    }
    let mut fragment = frame.clone();
    fragment[20] = 0x20;
    assert_eq!(refused(&fragment, offload), SplitError::Fragment);
    for len in 0..frame.len() {
        assert!(matches!(
            refused(&frame[..len], offload),
            SplitError::Header(_)
        ));
    }
}

#[test]
fn a_datagram_that_ends_before_its_packet_is_refused() {
    let shape = Shape {
        l4: L4::Udp,
        ..tcp_v4()
    };
    let (mut frame, offload) = super_frame(&shape, 100);
    frame[39] -= 1;
    assert_eq!(
        Splitter::new(&frame, offload).unwrap_err(),
        SplitError::UdpLength {
            udp_len: 263,
            ip_len: 264
        }
    );
}

#[test]
fn a_segment_that_is_not_there_or_does_not_fit_leaves_the_output_alone() {
    let (frame, offload) = super_frame(&tcp_v4(), 100);
    let splitter = Splitter::new(&frame, offload).unwrap();
    assert_eq!((splitter.segment_count(), splitter.header_len()), (3, 66));
    let mut out = [0xa5; 165];
    for index in [3, usize::MAX] {
        let error = SegmentError::Index { index, count: 3 };
        assert_eq!(splitter.write_segment(index, &mut out), Err(error));
    }
    let error = SegmentError::Space {
        needed: 166,
        present: 165,
    };
    assert_eq!(splitter.write_segment(0, &mut out), Err(error));
    let error = SegmentError::Space {
        needed: 66,
        present: 65,
    };
    assert_eq!(splitter.write_headers(0, &mut out[..65]), Err(error));
    assert_eq!(out, [0xa5; 165]);
    assert_eq!(splitter.write_segment(2, &mut out), Ok(122));
}

#[test]
fn a_super_frame_of_64_kib_is_cut_to_the_last_byte() {
    let shape = Shape {
        payload: vec![0x5a; 65_483],
        ..tcp_v4()
    };
    let (frame, offload) = super_frame(&shape, 1448);
    let splitter = Splitter::new(&frame, offload).unwrap();
    assert_eq!(splitter.segment_count(), 46);
    let mut out = [0xa5; 1514];
    assert_eq!(splitter.write_segment(45, &mut out), Ok(66 + 323));
    let parsed = ParsedFrame::parse(&out[..66 + 323]).unwrap();
    assert_eq!(parsed.transport(), Some(Transport::Tcp));
    assert_eq!(
        verify_transport(&out[..66 + 323], &parsed),
        Verification::Right
    );
}

#[test]
fn behind_a_routing_header_the_checksum_is_that_of_the_final_destination() {
    let shape = Shape {
        v6: true,
        extras: 3,
        ..tcp_v4()
    };
    let (mut frame, offload) = super_frame(&shape, 100);
    // The three Destination Options become one Routing header of 24 octets, one address, on its way.
    frame[20] = 43;
    frame[54..62].copy_from_slice(&[6, 2, 4, 1, 0, 0, 0, 0]);
    let last_hop = core::net::Ipv6Addr::new(0xfd00, 0, 0, 2, 0, 0, 0, 9);
    frame[38..54].copy_from_slice(&last_hop.octets());
    frame[62..78].copy_from_slice(&DST_V6.octets());
    for segment in segments(&frame, offload) {
        let parsed = ParsedFrame::parse(&segment).unwrap();
        assert_eq!(parsed.l4_offset(), Some(78));
        verify_by_smoltcp(&shape, parsed.l4_bytes(&segment).unwrap());
    }
}
