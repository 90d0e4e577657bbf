//! The gateway with NAT, between a network, one without a way out, and an uplink.
//!
//! An input is a list of frames with four bytes before each. Run it with `RUSTC_BOOTSTRAP=1 cargo fuzz run gateway`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tapweave_switch::fuzzing::gateway(input));
