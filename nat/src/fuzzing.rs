//! The bodies of the fuzz targets, callable without a fuzzer.
//!
//! `nat_packet` reads one frame as the translation does and gives it other ends. What must hold for
//! every input: nothing panics, the frame says the new ends and nothing else has moved, a checksum that
//! was right stays right and a wrong one wrong, and the way back leads to where it came from. The
//! ordinary tests run it over generated and stored inputs; `fuzz/` runs it under libFuzzer. [`nat_flows`]
//! sends packets through the whole translation.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a broken invariant is what a fuzzer is to find, and a panic is how it finds it"
)]

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tapweave_net::checksum::{complete, verify_transport};
use tapweave_net::{
    ChecksumOffload, Fragment, Frame, Ipv4View, NetworkNo, Offload, ParsedFrame, Timestamp, VnetHdr,
};

use crate::fragments::{FragmentLimits, Fragments, Later};
use crate::packet::{
    Ends, ErrorEnds, ErrorPacket, FlowPacket, FragmentPart, Hop, L4, Packet, QueryKind, rewrite,
    rewrite_error, rewrite_later, take_hop,
};
use crate::table::{Endpoint, Realm};

mod flows;
#[cfg(test)]
#[cfg(not(loom))]
mod smoke;

pub use flows::nat_flows;

/// Reads and rewrites `input`, a `virtio_net_hdr` of [`VnetHdr::LEN`] bytes and a frame.
///
/// # Panics
///
/// When something that must hold for every input does not.
pub fn nat_packet(input: &[u8]) {
    let Some((header, bytes)) = input.split_first_chunk::<{ VnetHdr::LEN }>() else {
        return;
    };
    let (Ok(offload), Ok(parsed)) = (
        VnetHdr::decode(header).offload(bytes.len()),
        ParsedFrame::parse(bytes),
    ) else {
        return;
    };
    check_hop(bytes, &parsed);
    let mut copy = bytes.to_vec();
    let frame = Frame::new(&mut copy, 0, offload);
    let read = Packet::read(&frame, &parsed);
    if let Some(plain) = FlowPacket::read_plain(&frame, &parsed) {
        assert_eq!(read, Ok(Packet::Flow(plain)), "read in two ways");
    }
    let Ok(packet) = read else {
        return;
    };
    match packet {
        Packet::Flow(flow) => {
            check_flow(bytes, &parsed, offload, &flow);
            if parsed.fragment() == Fragment::First {
                let part = FragmentPart::read(bytes, &parsed);
                assert!(part.is_err() || part.is_ok_and(|part| part.start == 0));
            }
        }
        Packet::Error(error) => check_error(bytes, &parsed, offload, &error),
        Packet::Later(part) => check_later(bytes, &parsed, offload, &part),
    }
}

/// Other ends of the family of `ends`.
fn other_ends(ends: &Ends, query: Option<QueryKind>) -> Ends {
    let [src, dst]: [IpAddr; 2] = match ends.src.ip() {
        IpAddr::V4(_) => {
            [[198, 51, 100, 7], [192, 0, 2, 1]].map(|octets| Ipv4Addr::from(octets).into())
        }
        IpAddr::V6(_) => {
            [7, 1].map(|host| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host).into())
        }
    };
    let (src_port, dst_port) = match query {
        None => (1024, 80),
        Some(QueryKind::Request) => (1024, 0),
        Some(QueryKind::Reply) => (0, 1024),
    };
    Ends {
        src: Endpoint::new(src, src_port),
        dst: Endpoint::new(dst, dst_port),
    }
}

fn read(bytes: &[u8], offload: Offload) -> (ParsedFrame, Packet) {
    let parsed = ParsedFrame::parse(bytes).expect("a rewritten frame is a frame");
    let packet = Packet::read(&Frame::new(&mut bytes.to_vec(), 0, offload), &parsed)
        .expect("a rewritten packet can be read");
    (parsed, packet)
}

/// Whether the header checksum of IPv4 is right.
fn is_header_right(bytes: &[u8], parsed: &ParsedFrame) -> bool {
    let l3 = bytes.get(parsed.l3_offset()..).unwrap_or_default();
    Ipv4View::parse(l3).is_ok_and(|ip| ip.verify_checksum())
}

/// Asserts that nothing has changed but addresses, ports and checksums.
fn check_shape(before: &[u8], after: &[u8], parsed: &ParsedFrame) {
    let again = ParsedFrame::parse(after).expect("a rewritten frame is a frame");
    assert_eq!(again.l3_offset(), parsed.l3_offset());
    assert_eq!(again.l3_end(), parsed.l3_end());
    assert_eq!(again.l4_offset(), parsed.l4_offset());
    assert_eq!(again.payload_offset(), parsed.payload_offset());
    assert_eq!(again.fragment(), parsed.fragment());
    assert_eq!(
        is_header_right(after, &again),
        is_header_right(before, parsed)
    );
    assert_eq!(
        before.get(..parsed.l3_offset()),
        after.get(..parsed.l3_offset())
    );
    assert_eq!(before.get(parsed.l3_end()..), after.get(parsed.l3_end()..));
}

fn check_hop(bytes: &[u8], parsed: &ParsedFrame) {
    let mut after = bytes.to_vec();
    let hop = take_hop(&mut Frame::new(&mut after, 0, Offload::NONE), parsed);
    if let Some(Hop::Taken(left)) = hop {
        assert_ne!(left, 0);
        check_shape(bytes, &after, parsed);
    } else {
        assert_eq!(bytes, after);
    }
}

fn check_flow(bytes: &[u8], parsed: &ParsedFrame, offload: Offload, flow: &FlowPacket) {
    let query = match flow.l4 {
        L4::Query(kind) => Some(kind),
        L4::Tcp(_) | L4::Udp => None,
    };
    let to = other_ends(&flow.ends, query);
    let mut after = bytes.to_vec();
    rewrite(&mut Frame::new(&mut after, 0, offload), parsed, flow, &to)
        .expect("the ends are of the packet's family");
    check_shape(bytes, &after, parsed);
    let payload = parsed.payload_offset().unwrap_or(bytes.len());
    assert_eq!(bytes.get(payload..), after.get(payload..));

    let verdicts = [bytes, &after].map(|bytes| {
        let mut bytes = bytes.to_vec();
        if let ChecksumOffload::Partial { start, offset } = offload.checksum {
            complete(&mut bytes, start, offset).expect("the header was checked against the frame");
        }
        verify_transport(&bytes, parsed)
    });
    // A message of zeroes only, whose checksum is zero, is wrong and nobody can tell from the field.
    let l4 = parsed.l4_bytes(bytes).unwrap_or_default();
    if l4.iter().any(|octet| *octet != 0) {
        assert_eq!(verdicts[0], verdicts[1]);
    }

    let (_, Packet::Flow(again)) = read(&after, offload) else {
        panic!("a packet of a flow stays one");
    };
    assert_eq!(again.ends, to);
    assert_eq!((again.protocol, again.l4), (flow.protocol, flow.l4));
    rewrite(
        &mut Frame::new(&mut after, 0, offload),
        parsed,
        &again,
        &flow.ends,
    )
    .expect("the ends are of the packet's family");
    let (_, Packet::Flow(back)) = read(&after, offload) else {
        panic!("a packet of a flow stays one");
    };
    assert_eq!(&back, flow);
}

fn check_error(bytes: &[u8], parsed: &ParsedFrame, offload: Offload, error: &ErrorPacket) {
    let quoted = other_ends(&error.quoted.ends, error.quoted.query);
    let to = ErrorEnds {
        src: quoted.dst.ip(),
        quoted,
    };
    let mut after = bytes.to_vec();
    rewrite_error(&mut Frame::new(&mut after, 0, offload), parsed, error, &to)
        .expect("the ends are of the packet's family");
    check_shape(bytes, &after, parsed);
    // It is read again, so the checksums are right as they were before.
    let (_, Packet::Error(again)) = read(&after, offload) else {
        panic!("an error stays one");
    };
    assert_eq!(again.quoted.ends, quoted);
    assert_eq!(again.quoted.seq, error.quoted.seq);
    assert_eq!((again.src, again.dst), (to.src, quoted.src.ip()));
    assert!(again.is_from_end());
}

fn check_later(bytes: &[u8], parsed: &ParsedFrame, offload: Offload, part: &FragmentPart) {
    assert!(part.start < part.end && part.end <= 65_535);
    assert!(part.start.is_multiple_of(8) && part.start != 0);
    let ends = Ends {
        src: Endpoint::new(part.datagram.src, 0),
        dst: Endpoint::new(part.datagram.dst, 0),
    };
    let to = other_ends(&ends, None);
    let mut after = bytes.to_vec();
    let mut frame = Frame::new(&mut after, 0, offload);

    let fragments = Fragments::new(0x5eed, FragmentLimits::default());
    let (now, realm) = (Timestamp::ZERO, Realm::of(NetworkNo(1)));
    let held = fragments.later(now, realm, part, &frame, parsed);
    assert_eq!(held, Ok(Later::Held));
    let first = FragmentPart {
        start: 0,
        end: part.start,
        is_last: false,
        ..*part
    };
    let mut released = Vec::new();
    fragments
        .first(now, realm, &first, (), &mut |frame, _, ()| {
            released = frame.data().to_vec();
        })
        .expect("it touches the other and does not overlap");
    assert_eq!(released, bytes);

    rewrite_later(&mut frame, parsed, to.src.ip(), to.dst.ip())
        .expect("the addresses are of the packet's family");
    check_shape(bytes, &after, parsed);
    let (_, Packet::Later(again)) = read(&after, offload) else {
        panic!("a later fragment stays one");
    };
    assert_eq!(
        (again.datagram.src, again.datagram.dst),
        (to.src.ip(), to.dst.ip())
    );
    assert_eq!((again.start, again.end), (part.start, part.end));
}
