//! Packets of a few sandboxes and strangers, translated by one table.
//!
//! An input is a list of steps of nine octets each: what to do, between which ends, and with which L4
//! header. Run it with `RUSTC_BOOTSTRAP=1 cargo fuzz run nat_flows`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tapweave_nat::fuzzing::nat_flows(input));
