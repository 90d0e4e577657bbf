//! The switching engine beside a plain switch that does the same in a few lines.
//!
//! An input is a program of commands and frames. Run it with `RUSTC_BOOTSTRAP=1 cargo fuzz run engine`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tapweave_switch::fuzzing::engine(input));
