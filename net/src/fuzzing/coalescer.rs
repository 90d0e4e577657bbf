//! The body of the fuzz target `coalescer`.
//!
//! A batch goes through a [`RunTable`], and another time through a [`TcpCoalescer`]; what leaves is cut again: nothing may be lost, invented or
//! changed but a meaningless Identification, and what was corrupted stays corrupted.

#![expect(
    clippy::expect_used,
    reason = "a broken invariant is what a fuzzer is to find, and a panic is how it finds it"
)]

use crate::checksum::complete;
use crate::coalesce::{Offered, Run, RunTable};
use crate::tcp_coalesce::TcpCoalescer;
use crate::{
    ChecksumOffload, FlowKey, Frame, Ipv4Mut, Ipv4View, Offload, ParsedFrame, PortNo, Splitter,
    VnetHdr,
};

#[cfg(test)]
mod generated;
#[cfg(test)]
mod smoke;
#[cfg(test)]
mod tcp_smoke;

const CAPACITY: usize = 8;
const PORT_COUNT: u8 = 2;

type Sent = (PortNo, Vec<u8>, Offload);

/// Coalesces a batch. Each frame of `input` stands behind its port (one octet), its length (two octets,
/// big-endian) and its `virtio_net_hdr`; what is cut short ends the batch.
///
/// # Panics
///
/// When something that must hold for every input does not.
pub fn coalescer(input: &[u8]) {
    let batch = read_batch(input);
    datagrams(&batch);
    let _merged_count = segments(&batch);
}

fn datagrams(batch: &[Sent]) {
    let mut table = RunTable::new(CAPACITY, 0);
    let mut sent = Vec::new();
    for (to, frame, offload) in batch {
        let offered = table.offer(*to, frame, *offload, &mut |to, run| {
            sent.push(leave(to, run));
        });
        if offered == Offered::Passed {
            sent.push((*to, frame.clone(), *offload));
        }
    }
    table.dismiss_all(&mut |to, run| sent.push(leave(to, run)));
    compare(batch, &sent);
}

fn segments(batch: &[Sent]) -> usize {
    let mut coalescer = TcpCoalescer::new(CAPACITY, 0);
    let mut sent = Vec::new();
    let kept = |to, frame: &mut Frame<'_>| (to, frame.data().to_vec(), frame.offload());
    for (from, frame, offload) in batch {
        let mut leave = |to, frame: &mut Frame<'_>| sent.push(kept(to, frame));
        let offered = match ParsedFrame::parse(frame) {
            Ok(parsed) => coalescer.offer(*from, frame, &parsed, *offload, &mut leave),
            Err(_malformed) => {
                coalescer.dismiss_all(&mut leave);
                Offered::Passed
            }
        };
        if offered == Offered::Passed {
            sent.push((*from, frame.clone(), *offload));
        }
    }
    coalescer.dismiss_all(&mut |to, frame| sent.push(kept(to, frame)));
    compare(batch, &sent);
    batch.len() - sent.len()
}

/// Requires that in the end the same frames stand on the wire, those of a flow in their order.
fn compare(batch: &[Sent], sent: &[Sent]) {
    let before: Vec<_> = batch.iter().flat_map(cut).collect();
    let after: Vec<_> = sent.iter().flat_map(cut).collect();
    assert_eq!(before.len(), after.len());
    for (to, frame) in &before {
        let flow = flow_of(frame);
        let of_flow = |(port, frame): &&(PortNo, Vec<u8>)| port == to && flow_of(frame) == flow;
        let before = before.iter().filter(of_flow);
        assert!(before.eq(after.iter().filter(of_flow)));
    }
}

fn read_batch(mut input: &[u8]) -> Vec<Sent> {
    let mut batch = Vec::new();
    while let Some((&[to, high, low], rest)) = input.split_first_chunk() {
        let Some((header, rest)) = rest.split_first_chunk::<{ VnetHdr::LEN }>() else {
            break;
        };
        let len = usize::from(u16::from_be_bytes([high, low]));
        let Some((frame, rest)) = rest.split_at_checked(len) else {
            break;
        };
        if let Ok(offload) = VnetHdr::decode(header).offload(len) {
            let to = PortNo::from_u32(u32::from(to % PORT_COUNT));
            batch.push((to, frame.to_vec(), offload));
        }
        input = rest;
    }
    batch
}

fn leave(to: PortNo, run: &mut Run) -> Sent {
    let (frame_count, byte_count) = (run.frame_count(), run.byte_count());
    assert!((1..=Run::MAX_FRAMES).contains(&frame_count));
    let frame = run.finish();
    let sent = (to, frame.data().to_vec(), frame.offload());
    assert!(sent.1.len() <= Run::MAX_LEN);
    assert_eq!(frame_count > 1, sent.2.gso.is_some());
    let segments = cut(&sent);
    assert_eq!(segments.len(), frame_count);
    let lens = segments.iter().map(|(_, frame)| frame.len());
    assert_eq!(lens.sum::<usize>(), byte_count);
    sent
}

/// Returns the frames that stand on the wire in the end, with what has no meaning wiped out.
fn cut((to, frame, offload): &Sent) -> Vec<(PortNo, Vec<u8>)> {
    let Ok(splitter) = Splitter::new(frame, *offload) else {
        let mut frame = frame.clone();
        if let ChecksumOffload::Partial { start, offset } = offload.checksum {
            complete(&mut frame, start, offset).expect("the header was checked against the frame");
        }
        return vec![(*to, without_meaningless_id(frame))];
    };
    (0..splitter.segment_count())
        .map(|index| {
            let mut segment = vec![0xa5; splitter.max_segment_len()];
            let len = splitter
                .write_segment(index, &mut segment)
                .expect("the segment is there and fits");
            segment.truncate(len);
            (*to, without_meaningless_id(segment))
        })
        .collect()
}

/// Clears the Identification of an atomic packet with a right header checksum (RFC 6864 §4).
fn without_meaningless_id(mut frame: Vec<u8>) -> Vec<u8> {
    let Ok(parsed) = ParsedFrame::parse(&frame) else {
        return frame;
    };
    let l3 = frame.get_mut(parsed.l3_offset()..).unwrap_or_default();
    let is_atomic = Ipv4View::parse(l3)
        .is_ok_and(|ip| ip.dont_fragment() && !ip.fragment().is_part() && ip.verify_checksum());
    if is_atomic && let Ok(mut ip) = Ipv4Mut::parse(l3) {
        ip.set_id(0);
        ip.fill_checksum();
    }
    frame
}

/// Returns what must stay in order: a flow to one station, or to a group.
fn flow_of(frame: &[u8]) -> Option<(FlowKey, bool)> {
    let parsed = ParsedFrame::parse(frame).ok()?;
    Some((*parsed.flow(), parsed.dst().is_group()))
}
