//! The bodies of the fuzz targets, callable without a fuzzer: `frame_parser` here, `coalescer` beside.
//!
//! `frame_parser` reads one input with everything that this crate has and asserts what must hold for
//! every input: slices lie inside the frame, layers are in order, a completed checksum verifies,
//! segments add up to the payload and stay inside their buffers. The ordinary tests run it over
//! generated and stored inputs; `fuzz/` runs it under libFuzzer.

#![expect(
    clippy::expect_used,
    reason = "a broken invariant is what a fuzzer is to find, and a panic is how it finds it"
)]

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::checksum::{Verification, complete, verify_transport};
use crate::{
    ArpPacket, ChecksumOffload, EthernetMut, EthernetView, Fragment, IcmpError, IcmpErrorKind,
    Icmpv4Mut, Icmpv4View, Icmpv6Mut, Icmpv6View, IgmpMessage, Ipv4Mut, Ipv4View, Ipv6Mut,
    Ipv6Options, Ipv6View, MacAddr, MldMessage, NdMessage, NeighborAnswer, NeighborQuestion,
    Offload, ParsedFrame, Splitter, TcpMut, TcpView, UdpMut, UdpView, VnetHdr, clamp_mss,
};

mod coalescer;
#[cfg(test)]
mod smoke;

pub use coalescer::coalescer;

/// Segments of one super-frame that are looked at: the first ones and the last one.
const SEGMENTS_CHECKED: usize = 8;

/// Reads `input`, a `virtio_net_hdr` of [`VnetHdr::LEN`] bytes and a frame, with every parser.
///
/// # Panics
///
/// When something that must hold for every input does not.
pub fn frame_parser(input: &[u8]) {
    let Some((header, frame)) = input.split_first_chunk::<{ VnetHdr::LEN }>() else {
        return;
    };
    read_everything_as_everything(frame);
    let parsed = ParsedFrame::parse(frame);
    if let Ok(parsed) = &parsed {
        check_layers(frame, parsed);
        check_answers(frame, parsed);
        check_clamp(frame, parsed);
    }
    if let Ok(offload) = VnetHdr::decode(header).offload(frame.len()) {
        check_offload_round_trip(offload, frame.len());
        check_completion(frame, offload);
        check_split(frame, offload);
    }
}

/// Every view over the frame from every place where it might start, and every text.
fn read_everything_as_everything(frame: &[u8]) {
    for at in [0, 14, 18, 22, 34, 54] {
        let Some(data) = frame.get(at..) else { break };
        let data_mut = &mut data.to_vec()[..];
        let mut texts = String::new();
        let mut text = |text: &dyn core::fmt::Display| texts.push_str(&text.to_string());
        if let Ok(view) = EthernetView::parse(data) {
            assert_eq!(view.payload_offset() + view.payload().len(), data.len());
            text(&view);
        }
        if let Ok(packet) = ArpPacket::parse(data) {
            assert_eq!(packet.encode()[..], data[..ArpPacket::LEN]);
            text(&packet);
        }
        if let Ok(view) = Ipv4View::parse_quoted(data) {
            assert!(view.header_len() + view.payload().len() <= data.len());
            assert!(view.options().count() <= 40);
            text(&view);
            let mut header = Ipv4Mut::parse(data_mut).expect("what is viewed can be changed");
            header.fill_checksum();
            let view = Ipv4View::parse_quoted(data_mut).expect("only the checksum has changed");
            assert!(view.verify_checksum());
        }
        if let Ok(view) = Ipv6View::parse_quoted(data) {
            assert!(view.extensions().count() <= Ipv6View::MAX_EXTENSIONS + 1);
            for extension in view.extensions().flatten() {
                assert!(Ipv6Options::new(extension).count() <= extension.bytes.len());
            }
            text(&view);
            Ipv6Mut::parse(data_mut).expect("what is viewed can be changed");
        }
        if let Ok(view) = TcpView::parse(data) {
            assert_eq!(view.header_len() + view.payload().len(), data.len());
            text(&view);
            TcpMut::parse(data_mut).expect("what is viewed can be changed");
        }
        if let Ok(view) = UdpView::parse_cut(data) {
            text(&view);
            UdpMut::parse(data_mut).expect("what is viewed can be changed");
        }
        if let Ok(view) = Icmpv4View::parse(data) {
            text(&view);
            Icmpv4Mut::parse(data_mut).expect("what is viewed can be changed");
        }
        if let Ok(view) = Icmpv6View::parse(data) {
            text(&view);
            Icmpv6Mut::parse(data_mut).expect("what is viewed can be changed");
            if let Ok(message) = NdMessage::parse(&view) {
                assert!(message.options().count() <= data.len());
                text(&message);
            }
            if let Ok(message) = MldMessage::parse(&view) {
                if let MldMessage::ReportV2 { records } = &message {
                    assert!(records.clone().count() <= data.len() / 20 + 1);
                }
                text(&message);
            }
        }
        if let Ok(message) = IgmpMessage::parse(data) {
            if let IgmpMessage::ReportV3 { records } = &message {
                assert!(records.clone().count() <= data.len() / 8 + 1);
            }
            text(&message);
        }
        assert_eq!(
            EthernetMut::parse(data_mut).is_ok(),
            data.len() >= EthernetView::LEN
        );
    }
}

fn check_layers(frame: &[u8], parsed: &ParsedFrame) {
    assert!(parsed.l3_offset() <= parsed.l3_end());
    assert!(parsed.l3_end() <= frame.len());
    assert_eq!(parsed.l4_offset().is_some(), parsed.transport().is_some());
    if let (Some(l4), Some(payload)) = (parsed.l4_offset(), parsed.payload_offset()) {
        assert!(parsed.fragment() != Fragment::Later);
        assert!(parsed.l3_offset() < l4 && l4 < payload);
        assert!(payload <= parsed.l3_end());
        assert!(parsed.l4_bytes(frame).is_some());
    }
    if parsed.fragment().is_part() {
        assert_eq!(parsed.flow().ports(), None);
    }
    assert_eq!(parsed.flow().hash(1), parsed.flow().hash(1));
    assert!(!parsed.flow().to_string().is_empty());
    verify_transport(frame, parsed);
    // Padding changes nothing but where the frame ends.
    let padded = [frame, &[0xa5; 7]].concat();
    let again = ParsedFrame::parse(&padded).expect("padding makes no frame malformed");
    assert_eq!(again.flow(), parsed.flow());
    assert_eq!(again.l4_offset(), parsed.l4_offset());
}

/// Whatever is answered is a well-formed frame with right checksums, back to where it came from.
fn check_answers(frame: &[u8], parsed: &ParsedFrame) {
    let mut out = [0xa5; IcmpError::MAX_LEN];
    let check = |message: &[u8]| {
        let answer = ParsedFrame::parse(message).expect("an answer is a frame");
        assert_eq!(answer.l3_end(), message.len());
        assert_eq!((answer.dst(), answer.tags()), (parsed.src(), parsed.tags()));
        let verification = verify_transport(message, &answer);
        assert_ne!(verification, Verification::Wrong);
    };
    for src in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
        let error = IcmpError {
            kind: IcmpErrorKind::TooBig { mtu: 1280 },
            src_mac: MacAddr::ZERO,
            src,
        };
        if let Ok(len) = error.write(frame, parsed, &mut out) {
            check(&out[..len]);
        }
    }
    if let Some(question) = NeighborQuestion::read(frame, parsed, ChecksumOffload::Complete) {
        let answer = NeighborAnswer {
            mac: MacAddr::ZERO,
            is_router: false,
        };
        let len = question
            .write_answer(frame, parsed, answer, &mut out)
            .expect("the longest answer fits");
        check(&out[..len]);
    }
}

/// Lowering an MSS leaves a right checksum right and everything else as it was.
fn check_clamp(frame: &[u8], parsed: &ParsedFrame) {
    let mut clamped = frame.to_vec();
    let is_lowered = clamp_mss(&mut clamped, parsed, ChecksumOffload::Complete, 500);
    assert_eq!(ParsedFrame::parse(&clamped).as_ref(), Ok(parsed));
    let verdicts = [frame, &clamped].map(|frame| verify_transport(frame, parsed));
    assert_eq!(verdicts[0], verdicts[1]);
    assert_eq!(is_lowered, clamped != frame);
    assert!(!clamp_mss(
        &mut clamped,
        parsed,
        ChecksumOffload::Complete,
        500
    ));
}

fn check_offload_round_trip(offload: Offload, frame_len: usize) {
    let again = VnetHdr::decode(&VnetHdr::from(offload).encode());
    assert_eq!(again.offload(frame_len), Ok(offload));
}

fn check_completion(frame: &[u8], offload: Offload) {
    let ChecksumOffload::Partial { start, offset } = offload.checksum else {
        return;
    };
    let mut completed = frame.to_vec();
    complete(&mut completed, start, offset).expect("the header was checked against the frame");
    let field = usize::from(start) + usize::from(offset);
    assert_eq!(completed[..field], frame[..field]);
    assert_eq!(completed[field + 2..], frame[field + 2..]);
    assert_ne!(completed[field..field + 2], [0, 0]);
}

fn check_split(frame: &[u8], offload: Offload) {
    let Ok(splitter) = Splitter::new(frame, offload) else {
        return;
    };
    let count = splitter.segment_count();
    let whole = ParsedFrame::parse(frame).expect("the splitter parsed it");
    let payload_len = whole.l3_end() - splitter.header_len();
    let lens = (0..count).map(|index| splitter.payload(index).map_or(0, <[u8]>::len));
    assert_eq!(lens.sum::<usize>(), payload_len);
    assert_eq!(splitter.payload(count), None);
    let mut out = vec![0xa5; splitter.max_segment_len() + 16];
    let mut verdicts = Vec::new();
    for index in (0..count.min(SEGMENTS_CHECKED)).chain([count - 1]) {
        out.fill(0xa5);
        let len = splitter
            .write_segment(index, &mut out)
            .expect("the segment is there and fits");
        assert!(out[len..].iter().all(|byte| *byte == 0xa5));
        let segment = &out[..len];
        let parsed = ParsedFrame::parse(segment).expect("a segment is a frame");
        assert_eq!(parsed.flow(), whole.flow());
        assert_eq!(parsed.l3_end(), len);
        verdicts.push(verify_transport(segment, &parsed));
    }
    // The sender's partial sum was right for all segments or for none.
    assert!(verdicts.windows(2).all(|pair| pair[0] == pair[1]));
    assert!(!verdicts.contains(&Verification::Absent));
}
