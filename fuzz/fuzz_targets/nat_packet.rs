//! Reading packets as the address translation does, and giving them other ends.
//!
//! An input is a `virtio_net_hdr` of 12 bytes and a frame. Run it with
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run nat_packet`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tapweave_nat::fuzzing::nat_packet(input));
