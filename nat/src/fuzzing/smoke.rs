//! A deterministic run of the fuzz target in the ordinary tests: the stored corpus, and packets that a
//! seeded generator builds, with right checksums, and then breaks in a few places.

use std::path::Path;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use tapweave_net::{Offload, VnetHdr};

use super::nat_packet;
use crate::packet::QueryKind;
use crate::packet::tests::build::{
    Kind, Spec, State, cut, ends, error_frame, error_types, header_len,
};

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

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn spec(&mut self) -> Spec {
        let kind = self.pick(&[
            Kind::Tcp,
            Kind::Udp,
            Kind::UdpWithoutChecksum,
            Kind::Query(QueryKind::Request),
            Kind::Query(QueryKind::Reply),
        ]);
        let mut pair = if self.below(2) == 0 {
            ends("10.0.0.2:40000", "192.0.2.9:443")
        } else {
            ends("[fd00::2]:40000", "[2001:db8::9]:443")
        };
        match kind {
            Kind::Query(QueryKind::Request) => pair.dst = pair.dst.with_port(0),
            Kind::Query(QueryKind::Reply) => pair.src = pair.src.with_port(0),
            Kind::Tcp | Kind::Udp | Kind::UdpWithoutChecksum => {}
        }
        let mut payload = vec![0; self.below(200)];
        self.0.fill_bytes(&mut payload);
        let mut spec = Spec::new(kind, pair, &payload);
        if kind != Kind::UdpWithoutChecksum && self.below(3) == 0 {
            spec.state = State::Partial;
        }
        spec
    }

    fn input(&mut self) -> Vec<u8> {
        let spec = self.spec();
        match self.below(4) {
            0 | 1 => stored(spec.offload(), &spec.frame()),
            2 => {
                let kind = self.pick(error_types(spec.is_v6()));
                let len = header_len(&spec) + self.below(90);
                let router = self.pick(&[spec.ends.src.ip(), spec.ends.dst.ip()]);
                stored(Offload::NONE, &error_frame(kind, router, &spec, len, &[]))
            }
            _ => {
                let len = spec.l4().len();
                if len <= 24 {
                    return stored(spec.offload(), &spec.frame());
                }
                let parts = cut(&spec, &[0, 24]);
                let index = self.below(2);
                stored(Offload::NONE, &parts[index])
            }
        }
    }

    /// Breaks the input in up to three places; most often where the headers are.
    fn mutate(&mut self, input: &mut Vec<u8>) {
        for _ in 0..self.below(4) {
            let reach = self.pick(&[12, 80, 80, 160, usize::MAX]).min(input.len());
            if reach == 0 {
                return;
            }
            let at = self.below(reach);
            match self.below(4) {
                0 => input[at] ^= 1 << self.below(8),
                1 => input[at] = self.pick(&[0, 1, 0x7f, 0x80, 0xff]),
                2 => input[at] = self.0.next_u32().to_be_bytes()[0],
                _ => input.truncate(at),
            }
        }
    }
}

fn stored(offload: Offload, frame: &[u8]) -> Vec<u8> {
    [&VnetHdr::from(offload).encode()[..], frame].concat()
}

#[test]
fn generated_and_broken_packets_hold_the_invariants() {
    let mut source = Source::new(1);
    for _ in 0..30_000 {
        let mut input = source.input();
        nat_packet(&input);
        source.mutate(&mut input);
        nat_packet(&input);
    }
}

#[test]
fn stored_inputs_hold_the_invariants() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let mut count = 0;
    // What breaks parsers may break the translation.
    for target in ["nat_packet", "frame_parser"] {
        for entry in std::fs::read_dir(corpus.join(target)).unwrap() {
            nat_packet(&std::fs::read(entry.unwrap().path()).unwrap());
            count += 1;
        }
    }
    assert!(count >= 35, "{count} stored inputs");
}
