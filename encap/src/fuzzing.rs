//! The body of the fuzz target `tunnel`, callable without a fuzzer.
//!
//! One input goes through the crate twice: as what a socket received, and as a frame that is to be
//! sent. What must hold for every input: nothing panics, what is taken out lies inside the
//! datagram, what is refused leaves no mark, what is pushed comes out again as it went in, segments
//! add up to the payload. The ordinary tests run it over generated inputs; `fuzz/` runs it under
//! libFuzzer.

#![expect(
    clippy::expect_used,
    reason = "a broken invariant is what a fuzzer is to find, and a panic is how it finds it"
)]

use core::net::{IpAddr, Ipv4Addr};

use tapweave_net::checksum::complete;
use tapweave_net::{ChecksumOffload, Frame, Offload, ParsedFrame, Splitter, VnetHdr};

use crate::{
    DatagramRun, DscpModel, Encap, EncapKind, HopLimit, Inner, Layer, Marking, Outer, Refusal,
    RouteTable, TagPolicy, TrafficClass, Tunnel, Vni, Vtep, pop, pop_outer, received_offload,
};

#[cfg(test)]
mod smoke;

const SEED: u64 = 0x5eed;
const HEADROOM: usize = 16;
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

/// Every tunnel, by the low bits of an input's first octet.
const ENCAPS: [Encap; 4] = [Encap::Vxlan(Vni::MAX), Encap::Fou, Encap::Gue, Encap::Ipip];

/// Receives and sends `input`: an octet that chooses the tunnel, one that is the outer traffic
/// class, a `virtio_net_hdr` of [`VnetHdr::LEN`] bytes, and a frame or datagram.
///
/// # Panics
///
/// When something that must hold for every input does not.
pub fn tunnel(input: &[u8]) {
    let Some((&[choice, class], rest)) = input.split_first_chunk() else {
        return;
    };
    let encap = ENCAPS[usize::from(choice & 0x0f) % ENCAPS.len()];
    let mut marking = Marking::default();
    if choice & 0x10 != 0 {
        marking.dscp = DscpModel::Uniform;
        marking.hop_limit = HopLimit::Inherit;
    }
    let tags = match choice & 0x20 {
        0 => TagPolicy::Refuse,
        _ => TagPolicy::Pass,
    };
    let tunnel = Tunnel {
        encap,
        marking,
        tags,
    };
    let class = TrafficClass::from_u8(class);
    if let Some((header, bytes)) = rest.split_first_chunk::<{ VnetHdr::LEN }>() {
        receive(&tunnel, class, bytes);
        let _outer = pop_outer(&mut bytes.to_vec());
        send(&tunnel, bytes);
        if let Ok(offload) = VnetHdr::decode(header).offload(bytes.len()) {
            send_super_frame(&tunnel, bytes, offload);
        }
    }
}

fn receive(tunnel: &Tunnel, class: TrafficClass, bytes: &[u8]) {
    let kind = tunnel.encap.kind();
    let mut datagram = bytes.to_vec();
    let Ok(popped) = pop(kind, &mut datagram) else {
        return;
    };
    assert_eq!(popped.vni.is_some(), kind == EncapKind::Vxlan);
    let before = popped.inner.to_vec();
    // No prefix is known, so no packet is accepted.
    RouteTable::default()
        .accept(PEER, &before)
        .expect_err("nobody is a peer");
    match tunnel.admit(popped.inner, class) {
        Ok(()) => {
            // Only the traffic class and the header checksum may have changed.
            let changed = before
                .iter()
                .zip(&*popped.inner)
                .filter(|(before, after)| before != after);
            assert!(changed.count() <= 4);
            // What was admitted once is admitted again, without another change.
            let after = popped.inner.to_vec();
            assert_eq!(tunnel.admit(popped.inner, class), Ok(()));
            assert_eq!(popped.inner, after);
            if kind.layer() == Layer::Link {
                check_left(&after);
            }
        }
        Err(_) => assert_eq!(popped.inner, before),
    }
}

/// What is said to be left to do on a frame can be done.
fn check_left(frame: &[u8]) {
    let Ok(parsed) = ParsedFrame::parse(frame) else {
        return;
    };
    let offload = received_offload(frame, &parsed, 1450);
    if let ChecksumOffload::Partial { start, offset } = offload.checksum {
        complete(&mut frame.to_vec(), start, offset).expect("the field is in the frame");
        assert!(offload.gso.is_none() || Splitter::new(frame, offload).is_ok());
    }
}

fn send(tunnel: &Tunnel, bytes: &[u8]) {
    let mut buffer = vec![0xa5; HEADROOM];
    buffer.extend(bytes);
    let mut frame = Frame::new(&mut buffer, HEADROOM, Offload::NONE);
    let Ok(inner) = Inner::parse(bytes, SEED) else {
        return;
    };
    check_outer(tunnel.outer(&inner, Vtep::new(PEER, 4789)));
    let Ok(pushed) = tunnel.push(&mut frame, &inner) else {
        return;
    };
    let mut datagram = pushed.to_vec();
    let kind = tunnel.encap.kind();
    let popped = pop(kind, &mut datagram).expect("what is pushed can be popped");
    let start = match kind {
        EncapKind::Vxlan => 0,
        EncapKind::Fou | EncapKind::Gue | EncapKind::Ipip => {
            inner.packet().expect("IP was found").start
        }
    };
    let sent = bytes.get(start..).unwrap_or_default();
    assert_eq!(sent.get(..popped.inner.len()), Some(&*popped.inner));
    // Without marks on the way nothing is refused or changed, but for what a uniform tunnel brings
    // back.
    let class = tunnel.marking.outer_class(&inner);
    let before = popped.inner.to_vec();
    assert_eq!(tunnel.admit(popped.inner, class), Ok(()));
    assert_eq!(popped.inner, before);
}

fn check_outer(outer: Outer) {
    assert!(outer.src_port >= 49_152);
    assert!((1..1 << 20).contains(&outer.flow_label));
    assert_ne!(outer.hop_limit, 0);
}

fn send_super_frame(tunnel: &Tunnel, frame: &[u8], offload: Offload) {
    let Ok(inner) = Inner::parse(frame, SEED) else {
        return;
    };
    let Ok(segments) = tunnel.segments(frame, offload, &inner) else {
        return;
    };
    let mut run = DatagramRun::default();
    let mut run_count = 1;
    let mut out = vec![0xa5; segments.headers_len()];
    for index in 0..segments.count() {
        let segment = segments
            .write(index, &mut out)
            .expect("the segment is there and fits");
        let headers = out.get(segment.headers).expect("headers are in the output");
        let mut datagram = [headers, segment.payload].concat();
        assert_eq!(segments.len_of(index), Some(datagram.len()));
        assert!(datagram.len() <= segments.segment_len());
        if !run.push(datagram.len()) {
            run = DatagramRun::default();
            run_count += 1;
            assert!(run.push(datagram.len()), "a segment fits a message");
        }
        if index < 8 {
            let popped = pop(tunnel.encap.kind(), &mut datagram).expect("a segment is popped");
            let refused = tunnel.admit(popped.inner, TrafficClass::default()).err();
            assert!(matches!(refused, None | Some(Refusal::InnerTagged)));
        }
    }
    let per_run = DatagramRun::max_count(segments.segment_len());
    assert_eq!(run_count, segments.count().div_ceil(per_run));
}
