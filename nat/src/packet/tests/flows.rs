//! Packets of flows: what is read of them, and that a rewritten one is the one with the new ends.

use proptest::prelude::*;
use tapweave_net::{IpProtocol, Offload, ParsedFrame, Splitter, TcpFlags, checksum};

use super::build::{Kind, LINK_LEN, Spec, State, any_translation, ends, read, sum, with_packet};
use crate::packet::{
    Ends, FlowPacket, Hop, L4, Packet, QueryKind, RewriteError, rewrite, take_hop,
};

fn translated(spec: &Spec, to: &Ends) -> Vec<u8> {
    let mut bytes = spec.frame();
    with_packet(&mut bytes, spec.offload(), |frame, parsed, packet| {
        let Packet::Flow(flow) = packet else {
            panic!("{packet:?} is no packet of a flow")
        };
        assert_eq!(flow.ends, spec.ends);
        assert_eq!(flow.protocol, IpProtocol(spec.protocol()));
        let plain = FlowPacket::read_plain(frame, parsed);
        let is_plain = spec.extra.is_empty() && !matches!(flow.l4, L4::Query(_));
        assert_eq!(plain, is_plain.then_some(flow));
        rewrite(frame, parsed, &flow, to).unwrap();
    })
    .unwrap();
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_rewritten_packet_is_the_one_built_with_the_new_ends((spec, to) in any_translation(99)) {
        prop_assert_eq!(translated(&spec, &to), spec.with_ends(to).frame());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_rewritten_super_frame_is_cut_into_right_segments((mut spec, to) in any_translation(0)) {
        prop_assume!(matches!(spec.kind, Kind::Tcp | Kind::Udp));
        spec.payload = (0..60_001_u32).map(|i| i.to_be_bytes()[3]).collect();
        spec.state = State::Partial;
        let bytes = translated(&spec, &to);
        prop_assert_eq!(&bytes, &spec.with_ends(to).frame());
        let splitter = Splitter::new(&bytes, spec.offload()).unwrap();
        let mut segment = vec![0xa5; splitter.max_segment_len()];
        for index in [0, 1, splitter.segment_count() - 1] {
            let len = splitter.write_segment(index, &mut segment).unwrap();
            let segment = &segment[..len];
            let parsed = ParsedFrame::parse(segment).unwrap();
            let verdict = checksum::verify_transport(segment, &parsed);
            prop_assert_eq!(verdict, checksum::Verification::Right);
        }
    }
}

#[test]
fn a_segment_is_translated_byte_by_byte() {
    // From 10.0.0.2:40000 to 192.0.2.1:80, an ACK without payload.
    let mut bytes = [
        2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 2, 0x08, 0x00, // Ethernet
        0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0x6e, 0xcc, 10, 0, 0, 2, 192, 0, 2, 1, // IPv4
        0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 0xff, 0xff, 0x47, 0x3e, 0, 0,
    ];
    let to = ends("198.51.100.7:1024", "192.0.2.1:80");
    with_packet(&mut bytes, Offload::NONE, |frame, parsed, packet| {
        let Packet::Flow(flow) = packet else {
            panic!("no flow")
        };
        assert_eq!(flow.ends.to_string(), "10.0.0.2:40000 > 192.0.2.1:80");
        rewrite(frame, parsed, &flow, &to).unwrap();
    })
    .unwrap();
    // The header checksum loses 0xc633 - 0x0a00 + 0x6407 - 0x0002 = 0x12038, which is 0x2039.
    assert_eq!(bytes[24..30], [0x4e, 0x93, 198, 51, 100, 7]);
    assert_eq!(bytes[30..38], [192, 0, 2, 1, 0x04, 0x00, 0, 80]);
    // The TCP checksum loses that and 0x0400 - 0x9c40.
    assert_eq!(bytes[50..52], [0xbf, 0x45]);
}

#[test]
fn a_wrong_checksum_stays_wrong() {
    for kind in [Kind::Tcp, Kind::Udp, Kind::Query(QueryKind::Request)] {
        for (src, to) in [
            (
                ends("10.0.0.2:9", "192.0.2.1:0"),
                ends("198.51.100.7:7", "192.0.2.1:0"),
            ),
            (
                ends("[fd00::2]:9", "[2001:db8::1]:0"),
                ends("[2001:db8::7]:7", "[2001:db8::1]:0"),
            ),
        ] {
            let spec = Spec::new(kind, src, b"payload");
            let mut bytes = spec.frame();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            let mut want = spec.with_ends(to).frame();
            want[last] ^= 1;
            with_packet(&mut bytes, Offload::NONE, |frame, parsed, packet| {
                let Packet::Flow(flow) = packet else {
                    panic!("no flow")
                };
                rewrite(frame, parsed, &flow, &to).unwrap();
            })
            .unwrap();
            assert_eq!(bytes, want);
        }
    }
}

#[test]
fn what_the_conntrack_needs_of_tcp_is_read() {
    let spec = Spec::new(
        Kind::Tcp,
        ends("10.0.0.2:9", "192.0.2.1:80"),
        &vec![0; 40_000],
    );
    let spec = Spec {
        state: State::Partial,
        ..spec
    };
    let Ok(Packet::Flow(flow)) = read(&spec.frame(), spec.offload()) else {
        panic!("no flow")
    };
    let L4::Tcp(tcp) = flow.l4 else {
        panic!("no TCP")
    };
    assert_eq!((tcp.seq, tcp.ack), (0x0102_0304, 0x0506_0708));
    assert_eq!((tcp.payload_len, tcp.window), (40_000, 0x1234));
    assert_eq!(tcp.flags, TcpFlags::ACK | TcpFlags::PSH);
    assert_eq!(tcp.window_scale, None);
    assert_eq!(tcp.sequence_len(), 40_000);
}

#[test]
fn a_window_scale_counts_in_a_syn_only_and_is_at_most_14() {
    // Options in place of payload: the data offset says seven words.
    let scale = |flags: u8, options: [u8; 8]| {
        let mut bytes = Spec::new(Kind::Tcp, ends("10.0.0.2:9", "192.0.2.1:80"), &options).frame();
        bytes[LINK_LEN + 20 + 12] = 0x70;
        bytes[LINK_LEN + 20 + 13] = flags;
        let Ok(Packet::Flow(flow)) = read(&bytes, Offload::NONE) else {
            panic!("no flow")
        };
        let L4::Tcp(tcp) = flow.l4 else {
            panic!("no TCP")
        };
        (tcp.window_scale, tcp.sequence_len())
    };
    assert_eq!(scale(0x02, [2, 4, 5, 0xb4, 1, 3, 3, 7]), (Some(7), 1));
    assert_eq!(scale(0x12, [3, 3, 15, 3, 3, 1, 0, 0]), (Some(14), 1));
    assert_eq!(scale(0x02, [2, 4, 5, 0xb4, 1, 1, 1, 1]), (None, 1));
    assert_eq!(scale(0x02, [2, 9, 5, 0xb4, 1, 3, 3, 7]), (None, 1));
    assert_eq!(scale(0x11, [2, 4, 5, 0xb4, 1, 3, 3, 7]), (None, 1));
}

#[test]
fn rfc5508_req_1_queries_are_told_apart_by_their_identifier() {
    for (kind, reply) in [(8, 0), (13, 14)] {
        let request = ends("10.0.0.2:4660", "192.0.2.1:0");
        let mut bytes = Spec::new(Kind::Query(QueryKind::Request), request, &[0; 12]).frame();
        let at = LINK_LEN + 20;
        for (value, query) in [(kind, QueryKind::Request), (reply, QueryKind::Reply)] {
            bytes[at] = value;
            let Ok(Packet::Flow(flow)) = read(&bytes, Offload::NONE) else {
                panic!("no flow")
            };
            assert_eq!(flow.l4, L4::Query(query));
            let [src, dst] = [flow.ends.src.port(), flow.ends.dst.port()];
            match query {
                QueryKind::Request => assert_eq!((src, dst), (4660, 0)),
                QueryKind::Reply => assert_eq!((src, dst), (0, 4660)),
            }
        }
    }
}

#[test]
fn the_checksum_of_an_echo_reply_that_becomes_all_zero_is_not_zero() {
    let reply = ends("192.0.2.1:0", "198.51.100.7:1024");
    let mut spec = Spec::new(Kind::Query(QueryKind::Reply), reply, &[0; 8]);
    let zero_sequence = |spec: &Spec| {
        let mut bytes = spec.frame();
        let icmp = &mut bytes[LINK_LEN + 20..];
        icmp[2..4].fill(0);
        icmp[7] = 0;
        let checksum = match !sum(&[icmp]) {
            0 => 0xffff,
            checksum => checksum,
        };
        icmp[2..4].copy_from_slice(&checksum.to_be_bytes());
        bytes
    };
    let mut bytes = zero_sequence(&spec);
    spec.ends = ends("192.0.2.1:0", "10.0.0.2:0");
    with_packet(&mut bytes, Offload::NONE, |frame, parsed, packet| {
        let Packet::Flow(flow) = packet else {
            panic!("no flow")
        };
        rewrite(frame, parsed, &flow, &spec.ends).unwrap();
    })
    .unwrap();
    assert_eq!(bytes, zero_sequence(&spec));
    let parsed = ParsedFrame::parse(&bytes).unwrap();
    let verdict = checksum::verify_transport(&bytes, &parsed);
    assert_eq!(verdict, checksum::Verification::Right);
}

#[test]
fn options_extension_headers_and_tags_are_stepped_over() {
    let mut spec = Spec::new(Kind::Udp, ends("10.0.0.2:9", "192.0.2.1:53"), b"query");
    // Router Alert (RFC 2113).
    spec.extra = vec![0x94, 4, 0, 0];
    let to = ends("198.51.100.7:1024", "192.0.2.1:53");
    assert_eq!(translated(&spec, &to), spec.with_ends(to).frame());

    let mut spec = Spec::new(Kind::Udp, ends("[fd00::2]:9", "[2001:db8::1]:53"), b"query");
    // Hop-by-Hop Options, a Routing header that is done, Destination Options.
    spec.extra = vec![
        43, 0, 1, 4, 0, 0, 0, 0, 60, 0, 4, 0, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0,
    ];
    spec.first_header = Some(0);
    let to = ends("[2001:db8::7]:1024", "[2001:db8::1]:53");
    assert_eq!(translated(&spec, &to), spec.with_ends(to).frame());

    let spec = Spec::new(Kind::Tcp, ends("10.0.0.2:9", "192.0.2.1:80"), b"GET");
    let tagged = |spec: &Spec| {
        let mut bytes = spec.frame();
        bytes.splice(12..12, [0x81, 0, 0, 5]);
        bytes
    };
    let mut bytes = tagged(&spec);
    let to = ends("198.51.100.7:1024", "192.0.2.1:80");
    with_packet(&mut bytes, Offload::NONE, |frame, parsed, packet| {
        let Packet::Flow(flow) = packet else {
            panic!("no flow")
        };
        rewrite(frame, parsed, &flow, &to).unwrap();
    })
    .unwrap();
    assert_eq!(bytes, tagged(&spec.with_ends(to)));
}

#[test]
fn ends_of_another_family_are_refused_and_nothing_changes() {
    let v4 = Spec::new(Kind::Tcp, ends("10.0.0.2:9", "192.0.2.1:80"), b"");
    let v6 = Spec::new(Kind::Tcp, ends("[fd00::2]:9", "[2001:db8::1]:80"), b"");
    let mixed = ends("10.0.0.2:9", "[2001:db8::1]:80");
    for (spec, to) in [(&v4, v6.ends), (&v6, v4.ends), (&v4, mixed), (&v6, mixed)] {
        let mut bytes = spec.frame();
        let outcome = with_packet(&mut bytes, Offload::NONE, |frame, parsed, packet| {
            let Packet::Flow(flow) = packet else {
                panic!("no flow")
            };
            rewrite(frame, parsed, &flow, &to)
        });
        assert_eq!(outcome, Ok(Err(RewriteError::Family)));
        assert_eq!(bytes, spec.frame());
    }
}

#[test]
fn a_hop_is_taken_and_the_last_one_is_not() {
    for pair in [
        ends("10.0.0.2:9", "192.0.2.1:80"),
        ends("[fd00::2]:9", "[fd00::3]:80"),
    ] {
        for ttl in 0..=u8::MAX {
            let with_ttl = |ttl| Spec {
                ttl,
                ..Spec::new(Kind::Udp, pair, b"payload")
            };
            let mut bytes = with_ttl(ttl).frame();
            let taken = with_packet(&mut bytes, Offload::NONE, |frame, parsed, _| {
                take_hop(frame, parsed)
            })
            .unwrap();
            if ttl > 1 {
                assert_eq!(taken, Some(Hop::Taken(ttl - 1)));
                assert_eq!(bytes, with_ttl(ttl - 1).frame());
            } else {
                assert_eq!(taken, Some(Hop::Expired));
                assert_eq!(bytes, with_ttl(ttl).frame());
            }
        }
    }
}
