//! What the short deterministic runs of the fuzz targets share.
//!
//! A crate that a target of `fuzz/` is about has the body of the target run by its ordinary tests too: over
//! inputs that it generates and then breaks in a few places, and over those stored in `fuzz/corpus/`. How
//! an input is built is the crate's own; the numbers that decide on it, the breaking and the reading are
//! here. Only tests depend on this crate.

#![forbid(unsafe_code)]

use std::path::Path;
use std::{fs, io};

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

/// A source of numbers, the same in every run.
#[derive(Debug)]
pub struct Source(TestRng);

impl Source {
    /// Returns the source that a seed stands for.
    pub fn new(seed: u8) -> Self {
        Self(TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]))
    }

    /// Returns a number below `end`, which is not zero.
    pub fn below(&mut self, end: usize) -> usize {
        self.0.next_u32() as usize % end
    }

    /// Returns any octet.
    pub fn byte(&mut self) -> u8 {
        self.0.next_u32().to_be_bytes()[0]
    }

    /// Returns `len` octets.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// Returns one of several values, of which there is at least one.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Breaks an input in up to three places, each among as many of its first octets as one of `reaches`
    /// says: short reaches hit the headers.
    pub fn mutate(&mut self, input: &mut Vec<u8>, reaches: &[usize]) {
        for _ in 0..self.below(4) {
            let reach = self.pick(reaches).min(input.len());
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

/// Returns the inputs that are stored for a fuzz target.
///
/// # Errors
///
/// When there are none, or one cannot be read.
pub fn stored_inputs(target: &str) -> io::Result<Vec<Vec<u8>>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    fs::read_dir(corpus.join(target))?
        .map(|entry| fs::read(entry?.path()))
        .collect()
}
