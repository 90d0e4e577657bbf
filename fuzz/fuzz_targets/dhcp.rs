//! The DHCP server of a network, against one hostile message after the other.
//!
//! Run it with `RUSTC_BOOTSTRAP=1 cargo fuzz run dhcp`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tapweave_dhcp::fuzzing::check(input));
