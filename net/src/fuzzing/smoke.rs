//! A deterministic run of the fuzz target in the ordinary tests: the stored corpus, and frames that a
//! seeded generator builds and then breaks in a few places.

use tapweave_smoke::{Source, stored_inputs};

use super::frame_parser;
use crate::VnetHdr;

const INPUTS: usize = 100_000;

/// How far into an input it is broken: most often where the headers are.
const REACHES: [usize; 5] = [12, 90, 90, 90, usize::MAX];

/// Returns a header and a frame that mostly fit each other.
fn input(source: &mut Source) -> Vec<u8> {
    let tags = source.below(4).saturating_sub(1);
    let v6 = source.below(2) == 0;
    let protocol = source.pick(&[6, 6, 6, 17, 17, 17, if v6 { 58 } else { 1 }]);
    let payload_len = source.below(400);
    let l4 = l4(source, protocol, payload_len);
    let (l3, l4_at) = if v6 {
        v6_packet(source, protocol, &l4)
    } else {
        v4_packet(source, protocol, &l4)
    };
    let mut frame = source.bytes(12);
    for _ in 0..tags {
        frame.extend([0x81, 0, 0, 1]);
    }
    frame.extend(match (source.below(16), v6) {
        (0, _) => [8, 6],
        (_, true) => [0x86, 0xdd],
        (_, false) => [8, 0],
    });
    let start = frame.len() + l4_at;
    frame.extend(l3);
    let mut input = vnet_header(source, v6, protocol, start).to_vec();
    input.extend(frame);
    input
}

fn vnet_header(source: &mut Source, v6: bool, protocol: u8, start: usize) -> [u8; VnetHdr::LEN] {
    let (gso, offset) = match (protocol, v6) {
        (6, false) => (1, 16_u16),
        (6, true) => (4, 16),
        (17, _) => (5, 6),
        _ => (0, 2),
    };
    let gso = if source.below(4) == 0 { 0 } else { gso };
    let size = source.pick(&[1_u16, 7, 100, 1448]).to_ne_bytes();
    let start = u16::try_from(start).unwrap().to_ne_bytes();
    let offset = offset.to_ne_bytes();
    let mut header = [0; VnetHdr::LEN];
    header[..2].copy_from_slice(&[1, gso]);
    header[4..6].copy_from_slice(&size);
    header[6..8].copy_from_slice(&start);
    header[8..10].copy_from_slice(&offset);
    header
}

fn l4(source: &mut Source, protocol: u8, payload_len: usize) -> Vec<u8> {
    let mut l4 = source.bytes(8 + payload_len);
    match protocol {
        6 => {
            let words = source.pick(&[5, 5, 8, 10]);
            l4.extend(source.bytes(40));
            l4[12] = words << 4;
            // Options that a stack sends, so that the walk gets somewhere.
            l4[20..32].copy_from_slice(&[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
            l4[32..40].copy_from_slice(&[1, 2, 4, 5, 0xb4, 4, 2, 0]);
        }
        17 => {
            let len = u16::try_from(l4.len()).unwrap().to_be_bytes();
            l4[4..6].copy_from_slice(&len);
        }
        // Neighbor Discovery and errors more often than anything else.
        _ => {
            l4[0] = source.pick(&[3, 8, 0, 2, 128, 133, 134, 135, 136, 137]);
            l4.extend([5, 1, 0, 0, 0, 0, 5, 0]);
        }
    }
    l4
}

fn v4_packet(source: &mut Source, protocol: u8, l4: &[u8]) -> (Vec<u8>, usize) {
    let options_len = source.pick(&[0, 0, 0, 4, 40]);
    let header_len = 20 + options_len;
    let mut header = source.bytes(header_len);
    header[0] = 0x40 | u8::try_from(header_len / 4).unwrap();
    let len = u16::try_from(header_len + l4.len()).unwrap().to_be_bytes();
    header[2..4].copy_from_slice(&len);
    header[6] = source.pick(&[0x40, 0x40, 0x40, 0x20, 0x00]);
    header[7] = source.pick(&[0, 0, 0, 0, 1]);
    header[9] = protocol;
    header.extend(l4);
    (header, header_len)
}

fn v6_packet(source: &mut Source, protocol: u8, l4: &[u8]) -> (Vec<u8>, usize) {
    let mut chain = Vec::new();
    let mut next = protocol;
    for _ in 0..source.below(6).saturating_sub(2) {
        let kind = source.pick(&[60, 60, 43, 44, 51, 135, 0]);
        let mut extension = source.bytes(8);
        extension[..2].copy_from_slice(&[next, 0]);
        if kind == 44 {
            let field = source.pick(&[0, 0, 1, 8]);
            extension[2..4].copy_from_slice(&[0, field]);
        }
        next = kind;
        extension.extend(chain);
        chain = extension;
    }
    let mut header = source.bytes(40);
    header[0] = 0x60;
    let len = u16::try_from(chain.len() + l4.len()).unwrap();
    header[4..6].copy_from_slice(&len.to_be_bytes());
    header[6] = next;
    let l4_at = 40 + chain.len();
    header.extend(chain);
    header.extend(l4);
    (header, l4_at)
}

fn run(seed: u8) {
    let mut source = Source::new(seed);
    for _ in 0..INPUTS / 4 {
        let mut input = input(&mut source);
        source.mutate(&mut input, &REACHES);
        frame_parser(&input);
    }
}

// Four tests rather than one, so that they share the cores and none is slow.

#[test]
fn generated_and_broken_frames_hold_the_invariants_first_quarter() {
    run(1);
}

#[test]
fn generated_and_broken_frames_hold_the_invariants_second_quarter() {
    run(2);
}

#[test]
fn generated_and_broken_frames_hold_the_invariants_third_quarter() {
    run(3);
}

#[test]
fn generated_and_broken_frames_hold_the_invariants_fourth_quarter() {
    run(4);
}

#[test]
fn the_generator_reaches_what_it_is_for() {
    use crate::{ParsedFrame, Splitter};
    let mut source = Source::new(1);
    let (mut parsed, mut split) = (0, 0);
    for _ in 0..1000 {
        let input = input(&mut source);
        let (header, frame) = input.split_first_chunk().unwrap();
        parsed += u32::from(ParsedFrame::parse(frame).is_ok());
        if let Ok(offload) = VnetHdr::decode(header).offload(frame.len()) {
            split += u32::from(Splitter::new(frame, offload).is_ok());
        }
    }
    assert!(parsed > 700, "{parsed} of 1000 frames are well-formed");
    assert!(split > 200, "{split} of 1000 frames can be cut");
}

#[test]
fn stored_inputs_hold_the_invariants() {
    let inputs = stored_inputs("frame_parser").unwrap();
    for input in &inputs {
        frame_parser(input);
    }
    let count = inputs.len();
    assert!(count >= 10, "{count} stored inputs");
}
