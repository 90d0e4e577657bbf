//! Reading what an earlier daemon left.
//!
//! An input is the sections of a file, behind its header. Run it with
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run carried_state`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tapweave_carry::fuzzing::carried_state(input));
