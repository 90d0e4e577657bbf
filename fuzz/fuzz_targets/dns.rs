//! The resolver of a network, and what it does with the answers of a server.
//!
//! Run it with `RUSTC_BOOTSTRAP=1 cargo fuzz run dns`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tapweave_dns::fuzzing::check(input));
