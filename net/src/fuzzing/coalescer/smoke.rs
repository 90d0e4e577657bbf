//! A deterministic run of the fuzz target in the ordinary tests: bursts of datagrams that a seeded
//! generator builds and then breaks in a few places.

use tapweave_smoke::Source;

use super::generated::GeneratedFrame;
use super::{datagrams, leave, read_batch};
use crate::IpProtocol;
use crate::coalesce::RunTable;

const BATCHES: usize = 5000;

/// Returns a batch in which neighbours are often of one flow.
fn input(source: &mut Source) -> Vec<u8> {
    let mut input = Vec::new();
    let (mut flow, mut payload_len) = (0, 18);
    for id in 0..source.below(40) {
        if source.below(4) == 0 {
            flow = source.pick(&[0, 1, 2, 3]);
            payload_len = source.pick(&[18, 18, 19, 5, 300]);
        }
        let id = u8::try_from(id).unwrap();
        let mut frame = datagram(source, flow, id, payload_len);
        frame.damage(source, &[0, 1, 5, 6, 40]);
        frame.write(&mut input, source.below(8) == 0);
    }
    input
}

fn datagram(source: &mut Source, flow: u8, id: u8, payload_len: usize) -> GeneratedFrame {
    let mut l4 = vec![0, flow, 0, 9];
    l4.extend(u16::try_from(8 + payload_len).unwrap().to_be_bytes());
    l4.extend([0, 0]);
    l4.extend(vec![id; payload_len]);
    GeneratedFrame::new(source, flow, id, IpProtocol::UDP, &l4, 6)
}

#[test]
fn generated_and_broken_batches_hold_the_invariants() {
    let mut source = Source::new(1);
    for _ in 0..BATCHES {
        datagrams(&read_batch(&input(&mut source)));
    }
}

#[test]
fn the_generator_reaches_what_it_is_for() {
    let mut source = Source::new(2);
    let (mut offered, mut merged) = (0, 0);
    for _ in 0..100 {
        let mut table = RunTable::new(64, 0);
        let mut count = |to, run: &mut crate::coalesce::Run| {
            merged += run.frame_count() - 1;
            leave(to, run);
        };
        for (to, frame, offload) in read_batch(&input(&mut source)) {
            offered += 1;
            table.offer(to, &frame, offload, &mut count);
        }
        table.dismiss_all(&mut count);
    }
    assert!(
        merged > offered / 3,
        "{merged} of {offered} frames are merged"
    );
    assert!(
        merged < offered * 9 / 10,
        "{merged} of {offered} are merged"
    );
}
