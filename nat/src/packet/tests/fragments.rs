//! Parts of packets: what they say of themselves, and that they add up after translation.

use tapweave_net::{Fragment, IpProtocol, Offload, ParsedFrame};

use super::build::{Kind, LINK_LEN, Spec, cut, end, ends, part, read, with_packet};
use crate::packet::{DatagramId, FragmentPart, Packet, Unreadable, rewrite, rewrite_later};

fn specs() -> [(Spec, Spec); 4] {
    let v4 = ends("10.0.0.2:9", "192.0.2.1:53");
    let v6 = ends("[fd00::2]:9", "[2001:db8::1]:53");
    [v4, v6, v4, v6].map(|pair| {
        let to = if pair == v4 {
            ends("198.51.100.7:1024", "192.0.2.1:53")
        } else {
            ends("[2001:db8::7]:1024", "[2001:db8::1]:53")
        };
        let kind = if pair == v4 { Kind::Udp } else { Kind::Tcp };
        let payload: Vec<u8> = (0..3001_u32).map(|i| i.to_le_bytes()[0]).collect();
        let spec = Spec::new(kind, pair, &payload);
        let after = spec.with_ends(to);
        (spec, after)
    })
}

#[test]
fn the_parts_of_a_translated_packet_are_those_of_the_packet_with_the_new_ends() {
    for (before, after) in specs() {
        let starts = [0, 1480, 2960];
        let parts = cut(&before, &starts).into_iter().zip(cut(&after, &starts));
        for (mut bytes, want) in parts {
            with_packet(
                &mut bytes,
                Offload::NONE,
                |frame, parsed, packet| match packet {
                    Packet::Flow(flow) => {
                        assert_eq!(parsed.fragment(), Fragment::First);
                        assert_eq!(flow.ends, before.ends);
                        rewrite(frame, parsed, &flow, &after.ends).unwrap();
                    }
                    Packet::Later(_) => {
                        let (src, dst) = (after.ends.src.ip(), after.ends.dst.ip());
                        rewrite_later(frame, parsed, src, dst).unwrap();
                    }
                    Packet::Error(_) => panic!("no error"),
                },
            )
            .unwrap();
            assert_eq!(bytes, want);
        }
    }
}

#[test]
fn a_part_says_which_packet_it_belongs_to_and_where() {
    let [(v4, _), (v6, _), ..] = specs();
    for (spec, id, protocol, headers_len) in [(v4, 0x1234, 17, 8), (v6, 0xdead_beef, 0, 20)] {
        let datagram = DatagramId {
            src: spec.ends.src.ip(),
            dst: spec.ends.dst.ip(),
            id,
            protocol,
        };
        let end = u32::try_from(spec.l4().len()).unwrap();
        let parts = cut(&spec, &[0, 1480])
            .into_iter()
            .map(|bytes| FragmentPart::read(&bytes, &ParsedFrame::parse(&bytes).unwrap()).unwrap());
        let part = |start, end, headers_len, is_last| FragmentPart {
            datagram,
            start,
            end,
            headers_len,
            is_last,
        };
        assert_eq!(
            parts.collect::<Vec<_>>(),
            [part(0, 1480, headers_len, false), part(1480, end, 0, true)]
        );
    }
}

#[test]
fn extension_headers_behind_the_fragment_header_count_as_payload() {
    let mut spec = Spec::new(Kind::Udp, ends("[fd00::2]:9", "[fd00::3]:53"), &[0; 16]);
    spec.extra = vec![
        44, 0, 1, 4, 0, 0, 0, 0, 60, 0, 0, 1, 0, 0, 0, 9, 17, 0, 1, 4, 0, 0, 0, 0,
    ];
    spec.first_header = Some(0);
    let bytes = spec.frame();
    let part = FragmentPart::read(&bytes, &ParsedFrame::parse(&bytes).unwrap()).unwrap();
    assert_eq!((part.start, part.end, part.headers_len), (0, 32, 16));
}

#[test]
fn a_part_that_no_sender_makes_is_refused() {
    for (spec, _) in specs() {
        let later = |start, len, is_last| {
            read(&part(&spec, start, &vec![0; len], is_last), Offload::NONE).map(|_| ())
        };
        let refused = Err(Unreadable::FragmentLength);
        assert_eq!(later(8, 8, false), Ok(()));
        assert_eq!(later(8, 9, true), Ok(()));
        assert_eq!(later(8, 9, false), refused);
        assert_eq!(later(8, 0, true), refused);
        assert_eq!(later(65_528, 7, true), Ok(()));
        assert_eq!(later(65_528, 8, true), refused);
        assert_eq!(later(65_528, 8, false), refused);
    }
}

#[test]
fn rfc1858_a_first_part_without_its_whole_l4_header_is_refused() {
    for (spec, _) in specs() {
        let l4 = spec.l4();
        let header_len = if spec.kind == Kind::Tcp { 20 } else { 8 };
        for len in 0..header_len {
            let bytes = part(&spec, 0, &l4[..len], false);
            ParsedFrame::parse(&bytes).unwrap_err();
        }
    }
}

#[test]
fn an_atomic_fragment_is_a_whole_packet() {
    let mut spec = Spec::new(Kind::Udp, ends("[fd00::2]:9", "[fd00::3]:53"), b"query");
    spec.extra = vec![17, 0, 0, 0, 0, 0, 0, 9];
    spec.first_header = Some(44);
    let Ok(Packet::Flow(flow)) = read(&spec.frame(), Offload::NONE) else {
        panic!("no flow")
    };
    assert_eq!(
        (flow.ends.dst, flow.protocol),
        (end("[fd00::3]:53"), IpProtocol::UDP)
    );
    assert!(spec.frame().len() > LINK_LEN);
}
