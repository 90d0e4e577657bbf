//! The guard of a port.
//!
//! An input is six bytes of offload and a frame. Run it with `RUSTC_BOOTSTRAP=1 cargo fuzz run guard`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tapweave_switch::fuzzing::guard(input));
