//! A deterministic run of the fuzz target in the ordinary tests: datagrams and frames that a seeded
//! generator builds and then breaks in a few places.

use std::path::Path;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::tunnel;

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

    /// Returns an IP packet, its version, and where its TCP header is.
    fn packet(&mut self) -> (Vec<u8>, bool, u16) {
        let payload_len = self.below(3000);
        let mut tcp = self.bytes(20 + payload_len);
        tcp[12] = 0x50;
        let is_v6 = self.below(2) == 0;
        let mut packet = if is_v6 {
            let mut header = self.bytes(40);
            header[0] = 0x60 | (header[0] & 0x0f);
            let len = u16::try_from(tcp.len()).unwrap();
            header[4..6].copy_from_slice(&len.to_be_bytes());
            header[6] = 6;
            header
        } else {
            let mut header = self.bytes(20);
            header[0] = 0x45;
            let len = u16::try_from(20 + tcp.len()).unwrap();
            header[2..4].copy_from_slice(&len.to_be_bytes());
            header[6..8].fill(0);
            header[9] = 6;
            header
        };
        let start = u16::try_from(packet.len()).unwrap();
        packet.extend(tcp);
        (packet, is_v6, start)
    }

    fn input(&mut self) -> Vec<u8> {
        let (packet, is_v6, start) = self.packet();
        let mut frame = self.bytes(12);
        for _ in 0..self.below(8).saturating_sub(6) {
            frame.extend([0x81, 0, 0, 1]);
        }
        frame.extend(if is_v6 { [0x86, 0xdd] } else { [0x08, 0x00] });
        let start = start + u16::try_from(frame.len()).unwrap();
        frame.extend(&packet);
        let [s0, s1] = start.to_ne_bytes();
        let [g0, g1] = self.pick(&[40_u16, 536, 1400]).to_ne_bytes();
        let [o0, o1] = 16_u16.to_ne_bytes();
        let gso = if is_v6 { 4 } else { 1 };
        let mut input = vec![self.byte(), self.byte()];
        input.extend([1, gso, 0, 0, g0, g1, s0, s1, o0, o1, 0, 0]);
        match self.below(3) {
            0 => input.extend(packet),
            1 => {
                input.extend([8, 0, 0, 0, 0, 0, 42, 0]);
                input.extend(frame);
            }
            _ => input.extend(frame),
        }
        input
    }

    /// Breaks the input in up to three places; most often where the headers are.
    fn mutate(&mut self, input: &mut Vec<u8>) {
        for _ in 0..self.below(4) {
            let reach = self.pick(&[14, 70, 70, usize::MAX]).min(input.len());
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
    for _ in 0..10_000 {
        let mut input = source.input();
        source.mutate(&mut input);
        tunnel(&input);
    }
}

#[test]
fn generated_and_broken_datagrams_hold_the_invariants_first_half() {
    run(1);
}

#[test]
fn generated_and_broken_datagrams_hold_the_invariants_second_half() {
    run(2);
}

#[test]
fn stored_inputs_hold_the_invariants() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/tunnel");
    let mut count = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        tunnel(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count >= 6, "{count} stored inputs");
}
