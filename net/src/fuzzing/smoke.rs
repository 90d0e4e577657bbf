//! A deterministic run of the fuzz target in the ordinary tests: the stored corpus, and frames that a
//! seeded generator builds and then breaks in a few places.

use std::path::Path;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::frame_parser;
use crate::VnetHdr;

const INPUTS: usize = 100_000;

/// The generator: the same numbers in every run.
struct Source(TestRng);

impl Source {
    fn new(seed: u8) -> Self {
        Self(TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]))
    }

    /// Returns a number below `end`.
    fn below(&mut self, end: usize) -> usize {
        self.0.next_u32() as usize % end
    }

    fn byte(&mut self) -> u8 {
        self.0.next_u32().to_be_bytes()[0]
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// Returns a header and a frame that mostly fit each other.
    fn input(&mut self) -> Vec<u8> {
        let tags = self.below(4).saturating_sub(1);
        let v6 = self.below(2) == 0;
        let protocol = self.pick(&[6, 6, 6, 17, 17, 17, if v6 { 58 } else { 1 }]);
        let payload_len = self.below(400);
        let l4 = self.l4(protocol, payload_len);
        let (l3, l4_at) = if v6 {
            self.v6(protocol, &l4)
        } else {
            self.v4(protocol, &l4)
        };
        let mut frame = self.bytes(12);
        for _ in 0..tags {
            frame.extend([0x81, 0, 0, 1]);
        }
        frame.extend(match (self.below(16), v6) {
            (0, _) => [8, 6],
            (_, true) => [0x86, 0xdd],
            (_, false) => [8, 0],
        });
        let start = frame.len() + l4_at;
        frame.extend(l3);
        let mut input = self.vnet_header(v6, protocol, start).to_vec();
        input.extend(frame);
        input
    }

    fn vnet_header(&mut self, v6: bool, protocol: u8, start: usize) -> [u8; VnetHdr::LEN] {
        let (gso, offset) = match (protocol, v6) {
            (6, false) => (1, 16_u16),
            (6, true) => (4, 16),
            (17, _) => (5, 6),
            _ => (0, 2),
        };
        let gso = if self.below(4) == 0 { 0 } else { gso };
        let size = self.pick(&[1_u16, 7, 100, 1448]).to_ne_bytes();
        let start = u16::try_from(start).unwrap().to_ne_bytes();
        let offset = offset.to_ne_bytes();
        let mut header = [0; VnetHdr::LEN];
        header[..2].copy_from_slice(&[1, gso]);
        header[4..6].copy_from_slice(&size);
        header[6..8].copy_from_slice(&start);
        header[8..10].copy_from_slice(&offset);
        header
    }

    fn l4(&mut self, protocol: u8, payload_len: usize) -> Vec<u8> {
        let mut l4 = self.bytes(8 + payload_len);
        match protocol {
            6 => {
                let words = self.pick(&[5, 5, 8, 10]);
                l4.extend(self.bytes(40));
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
                l4[0] = self.pick(&[3, 8, 0, 2, 128, 133, 134, 135, 136, 137]);
                l4.extend([5, 1, 0, 0, 0, 0, 5, 0]);
            }
        }
        l4
    }

    fn v4(&mut self, protocol: u8, l4: &[u8]) -> (Vec<u8>, usize) {
        let options_len = self.pick(&[0, 0, 0, 4, 40]);
        let header_len = 20 + options_len;
        let mut header = self.bytes(header_len);
        header[0] = 0x40 | u8::try_from(header_len / 4).unwrap();
        let len = u16::try_from(header_len + l4.len()).unwrap().to_be_bytes();
        header[2..4].copy_from_slice(&len);
        header[6] = self.pick(&[0x40, 0x40, 0x40, 0x20, 0x00]);
        header[7] = self.pick(&[0, 0, 0, 0, 1]);
        header[9] = protocol;
        header.extend(l4);
        (header, header_len)
    }

    fn v6(&mut self, protocol: u8, l4: &[u8]) -> (Vec<u8>, usize) {
        let mut chain = Vec::new();
        let mut next = protocol;
        for _ in 0..self.below(6).saturating_sub(2) {
            let kind = self.pick(&[60, 60, 43, 44, 51, 135, 0]);
            let mut extension = self.bytes(8);
            extension[..2].copy_from_slice(&[next, 0]);
            if kind == 44 {
                let field = self.pick(&[0, 0, 1, 8]);
                extension[2..4].copy_from_slice(&[0, field]);
            }
            next = kind;
            extension.extend(chain);
            chain = extension;
        }
        let mut header = self.bytes(40);
        header[0] = 0x60;
        let len = u16::try_from(chain.len() + l4.len()).unwrap();
        header[4..6].copy_from_slice(&len.to_be_bytes());
        header[6] = next;
        let l4_at = 40 + chain.len();
        header.extend(chain);
        header.extend(l4);
        (header, l4_at)
    }

    /// Breaks the input in up to three places; most often where the headers are.
    fn mutate(&mut self, input: &mut Vec<u8>) {
        for _ in 0..self.below(4) {
            let reach = self.pick(&[12, 90, 90, 90, usize::MAX]).min(input.len());
            if reach == 0 {
                return;
            }
            let at = self.below(reach);
            match self.below(4) {
                0 => input[at] ^= 1 << self.below(8),
                1 => input[at] = self.pick(&[0, 1, 0x7f, 0x80, 0xff]),
                2 => input[at] = self.byte(),
                _ => input.truncate(at),
            }
        }
    }
}

fn run(seed: u8) {
    let mut source = Source::new(seed);
    for _ in 0..INPUTS / 4 {
        let mut input = source.input();
        source.mutate(&mut input);
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
        let input = source.input();
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
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/frame_parser");
    let mut count = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        frame_parser(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count >= 10, "{count} stored inputs");
}
