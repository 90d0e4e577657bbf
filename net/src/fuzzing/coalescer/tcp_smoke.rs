//! A deterministic run of the fuzz target in the ordinary tests: bursts of TCP segments that a seeded
//! generator builds and then breaks in a few places.

use tapweave_smoke::Source;

use super::generated::GeneratedFrame;
use super::{read_batch, segments};
use crate::IpProtocol;

const BATCHES: usize = 1000;

/// Returns a batch in which neighbours often follow each other in one flow.
fn input(source: &mut Source) -> Vec<u8> {
    let mut input = Vec::new();
    let mut next = [u32::MAX - 100; 4];
    let mut flow = 0;
    for id in 0..source.below(40) {
        if source.below(4) == 0 {
            flow = source.below(4);
        }
        let payload_len = match source.below(12) {
            0 => source.pick(&[7, 0, 300]),
            _ => 20,
        };
        let mut frame = segment(source, flow, id, next[flow], payload_len);
        if source.below(16) > 0 {
            next[flow] = next[flow].wrapping_add(u32::try_from(payload_len).unwrap());
        }
        frame.damage(source, &[0, 1, 4, 6, 40]);
        frame.write(&mut input, source.below(16) == 0);
    }
    input
}

fn segment(
    source: &mut Source,
    flow: usize,
    id: usize,
    seq: u32,
    payload_len: usize,
) -> GeneratedFrame {
    let (flow, id) = (u8::try_from(flow).unwrap(), u8::try_from(id).unwrap());
    let mut l4 = vec![0, flow, 0, 9];
    l4.extend(seq.to_be_bytes());
    let flags = match source.below(12) {
        0 => source.pick(&[0x18, 0x11, 0x02, 0x50]),
        _ => 0x10,
    };
    l4.extend([0, 0, 0, 7, 0x50, flags, 1, 0, 0, 0, 0, 0]);
    l4.extend(vec![id; payload_len]);
    GeneratedFrame::new(source, flow, id, IpProtocol::TCP, &l4, 16)
}

#[test]
fn generated_and_broken_batches_hold_the_invariants() {
    let mut source = Source::new(1);
    for _ in 0..BATCHES {
        segments(&read_batch(&input(&mut source)));
    }
}

#[test]
fn the_generator_reaches_what_it_is_for() {
    let mut source = Source::new(2);
    let (mut offered, mut merged) = (0, 0);
    for _ in 0..100 {
        let batch = read_batch(&input(&mut source));
        offered += batch.len();
        merged += segments(&batch);
    }
    assert!(
        (offered / 6..offered * 9 / 10).contains(&merged),
        "{merged} of {offered} frames are merged"
    );
}
