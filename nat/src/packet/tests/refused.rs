//! What is never translated, and bytes that are no packet.

use tapweave_net::{ChecksumOffload, Frame, IpProtocol, Offload, ParsedFrame};

use super::build::{Kind, LINK_LEN, Spec, State, ends, link, read};
use crate::packet::{FragmentPart, Packet, QueryKind, Unreadable, rewrite, take_hop};

fn v4() -> Spec {
    Spec::new(Kind::Tcp, ends("10.0.0.2:9", "192.0.2.1:80"), b"GET")
}

fn v6() -> Spec {
    Spec::new(Kind::Tcp, ends("[fd00::2]:9", "[2001:db8::1]:80"), b"GET")
}

#[test]
fn what_has_no_ports_is_refused_by_name() {
    for protocol in [0, 2, 4, 47, 50, 51, 132, 136, 255] {
        let mut bytes = v4().frame();
        bytes[LINK_LEN + 9] = protocol;
        let want = Err(Unreadable::Protocol(IpProtocol(protocol)));
        assert_eq!(read(&bytes, Offload::NONE), want);
    }
    for protocol in [2, 4, 47, 50, 59, 132, 136, 255] {
        let mut bytes = v6().frame();
        bytes[LINK_LEN + 6] = protocol;
        let want = Err(Unreadable::Protocol(IpProtocol(protocol)));
        assert_eq!(read(&bytes, Offload::NONE), want);
    }
    let arp = [&[2; 12][..], &[0x08, 0x06], &[0; 28]].concat();
    assert_eq!(read(&arp, Offload::NONE), Err(Unreadable::NotIp));
}

#[test]
fn an_authenticated_packet_is_refused() {
    let mut spec = v6();
    spec.extra = [&[6, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1][..]].concat();
    spec.first_header = Some(51);
    let want = Err(Unreadable::Protocol(IpProtocol::AUTHENTICATION));
    assert_eq!(read(&spec.frame(), Offload::NONE), want);
}

#[test]
fn a_packet_on_a_source_route_is_refused() {
    for option in [131, 137] {
        let mut spec = v4();
        spec.extra = vec![option, 7, 4, 192, 0, 2, 9, 0];
        let want = Err(Unreadable::SourceRoute);
        assert_eq!(read(&spec.frame(), Offload::NONE), want);
    }
    let mut spec = v6();
    spec.extra = vec![6, 0, 4, 1, 0, 0, 0, 0];
    spec.first_header = Some(43);
    let want = Err(Unreadable::SourceRoute);
    assert_eq!(read(&spec.frame(), Offload::NONE), want);
}

#[test]
fn ipv4_mapped_addresses_on_the_wire_are_refused() {
    for at in [8, 24] {
        let mut bytes = v6().frame();
        let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1];
        bytes[LINK_LEN + at..][..16].copy_from_slice(&mapped);
        assert_eq!(read(&bytes, Offload::NONE), Err(Unreadable::MappedAddress));
    }
}

#[test]
fn a_partial_checksum_in_the_headers_must_be_that_of_l4() {
    let bytes = v4().frame();
    let with = |start, offset| {
        let offload = Offload {
            checksum: ChecksumOffload::Partial { start, offset },
            gso: None,
        };
        read(&bytes, offload).map(|_| ())
    };
    assert_eq!(with(34, 16), Ok(()));
    // A tunnel's: behind the TCP header.
    assert_eq!(with(54, 0), Ok(()));
    for (start, offset) in [(34, 6), (14, 10), (26, 0), (33, 16), (35, 16), (53, 0)] {
        assert_eq!(with(start, offset), Err(Unreadable::PartialChecksum));
    }
    let mut first = v4().frame();
    first[LINK_LEN + 6] = 0x20;
    let offload = Spec {
        state: State::Partial,
        ..v4()
    }
    .offload();
    assert_eq!(read(&first, offload), Err(Unreadable::PartialChecksum));
}

#[test]
fn a_frame_cut_at_any_length_is_refused_or_read_and_never_panics() {
    let query = Kind::Query(QueryKind::Request);
    let mut specs = vec![v4(), v6()];
    for pair in [v4().ends, v6().ends] {
        specs.push(Spec::new(Kind::Udp, pair, b"payload"));
        specs.push(Spec::new(query, pair, b"payload"));
    }
    for spec in specs {
        let whole = spec.frame();
        let parsed = ParsedFrame::parse(&whole).unwrap();
        let Ok(Packet::Flow(flow)) = read(&whole, Offload::NONE) else {
            panic!("no flow")
        };
        for len in 0..whole.len() {
            let mut cut = whole[..len].to_vec();
            read(&cut, Offload::NONE).unwrap_err();
            // Offsets of another frame must do no harm either.
            let mut frame = Frame::new(&mut cut, 0, Offload::NONE);
            let _ = Packet::read(&frame, &parsed);
            let _ = rewrite(&mut frame, &parsed, &flow, &spec.ends);
            let _ = take_hop(&mut frame, &parsed);
            let _ = FragmentPart::read(frame.data(), &parsed);
        }
    }
}

#[test]
fn the_offsets_of_one_frame_do_no_harm_to_another() {
    let frames = [v4().frame(), v6().frame(), link(&[0x45; 60]), vec![0; 100]];
    for from in &frames[..2] {
        let parsed = ParsedFrame::parse(from).unwrap();
        let Ok(Packet::Flow(flow)) = read(from, Offload::NONE) else {
            panic!("no flow")
        };
        for bytes in &frames {
            let mut bytes = bytes.clone();
            let mut frame = Frame::new(&mut bytes, 0, Offload::NONE);
            let _ = Packet::read(&frame, &parsed);
            let _ = rewrite(&mut frame, &parsed, &flow, &flow.ends);
        }
    }
}
